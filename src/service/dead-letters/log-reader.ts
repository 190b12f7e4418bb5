import { randomUUID } from 'node:crypto'
import { MillraceError } from '../../errors.ts'
import { openKafkaClient, type KafkaClient } from '../../kafka/client.ts'
import type { KafkaPlan } from '../../kafka/plan.ts'
import type { RawRecord } from '../../record/raw-record.ts'
import { openKafkaSource } from '../../source/kafka-source.ts'
import type { InputStream, LogRange } from '../../source/source.ts'
import type { Log } from '../../telemetry/log.ts'
import type { Clock } from '../../time/clock.ts'
import { withTimeout, DeadlineExceeded } from '../../time/deadline.ts'

export interface LogReaderParts {
  readonly plan: KafkaPlan
  /** The group is `GROUP.SUFFIX.RANDOM`, so a prefixed ACL covers it; it commits nothing. */
  readonly groupSuffix: string
  readonly topics: readonly string[]
  /** Left out when they do not exist. */
  readonly optionalTopics?: readonly string[]
  readonly clock: Clock
  readonly log: Log
}

/** Committed records of whole topics, read once, one partition after another. */
export interface LogReader {
  readonly client: KafkaClient
  /** Sorted by topic and partition. */
  readonly partitions: readonly LogPartition[]
  /**
   * Hands out the committed records in [from, end) in order, some at a time; `take` says false when it has seen enough.
   * Returns how far it came: less than `end` only then, or when nothing came for `openWaitMs`: a transaction is open
   * there, the partition has no leader, or the broker is slow.
   */
  read(partition: LogPartition, read: PartitionRead, signal: AbortSignal): Promise<number>
  close(): Promise<void>
}

export interface LogPartition {
  readonly topic: string
  readonly partition: number
  /** As it was when the reader was opened. */
  readonly range: LogRange
}

export interface PartitionRead {
  readonly from: number
  readonly end: number
  /** How long to wait for the next record below `end`. */
  readonly openWaitMs: number
  readonly take: (records: readonly RawRecord[]) => Promise<boolean> | boolean
}

/** Of each partition: those not yet read are paused, those read through queue what comes in behind their end. */
const queuedRowsMax = 1_000
const queuedBytesMax = 1024 * 1024
const takeRowsMax = 500

/** Throws KAFKA_TOPIC_MISSING with all missing names. */
export async function openLogReader(parts: LogReaderParts, signal: AbortSignal): Promise<LogReader> {
  const { clock, log } = parts
  const plan = { ...parts.plan, group: `${parts.plan.group}.${parts.groupSuffix}.${randomUUID()}` }
  const client = openKafkaClient({ plan, clock, log })
  await using opening = new AsyncDisposableStack()
  opening.defer(() => client.close())
  await client.admin.describeTopics(parts.topics)
  const topics = [...parts.topics, ...(await existing(client, parts.optionalTopics ?? []))]
  const source = openKafkaSource({
    client,
    plan,
    topics: topics.map((topic) => ({ source: topic, topic })),
    clock,
    log,
    options: { queuedRowsMax, queuedBytesMax },
  })
  opening.defer(() => source.stop())
  const joined = Promise.withResolvers<readonly InputStream[]>()
  await source.start({
    assigned: joined.resolve,
    revoking: () => Promise.resolve(),
    crashed: joined.reject,
  })
  const streams = new Map<LogPartition, InputStream>()
  for (const stream of await joined.promise) {
    signal.throwIfAborted()
    const { topic, partition } = stream.input
    streams.set({ topic, partition, range: await stream.logRange() }, stream)
  }
  const opened = opening.move()
  return {
    client,
    partitions: [...streams.keys()].toSorted(byPlace),
    read: (partition, read, stop) => readPartition(streams.get(partition) as InputStream, read, clock, stop),
    close: () => opened.disposeAsync(),
  }
}

async function existing(client: KafkaClient, topics: readonly string[]): Promise<readonly string[]> {
  const found = await Promise.all(
    topics.map((topic) =>
      client.admin.describeTopics([topic]).then(
        () => [topic],
        (error: unknown) => {
          if (error instanceof MillraceError && error.code === 'KAFKA_TOPIC_MISSING') return []
          throw error
        },
      ),
    ),
  )
  return found.flat()
}

function byPlace(a: LogPartition, b: LogPartition): number {
  if (a.topic !== b.topic) return a.topic < b.topic ? -1 : 1
  return a.partition - b.partition
}

async function readPartition(
  stream: InputStream,
  { from, end, openWaitMs, take }: PartitionRead,
  clock: Clock,
  signal: AbortSignal,
): Promise<number> {
  if (from >= end) return end
  stream.seek(from)
  let position = from
  while (position < end) {
    const taken = await takeWithin(stream, openWaitMs, clock, signal)
    if (taken === null) return position
    const wanted = taken.records.filter(({ offset }) => offset < end)
    if (wanted.length > 0 && !(await take(wanted))) return (wanted.at(-1)?.offset ?? position) + 1
    position = taken.next
  }
  return end
}

/** Null when nothing came in time. */
async function takeWithin(
  stream: InputStream,
  waitMs: number,
  clock: Clock,
  signal: AbortSignal,
): Promise<Awaited<ReturnType<InputStream['take']>> | null> {
  const late = new AbortController()
  try {
    const taking = stream.take(takeRowsMax, AbortSignal.any([signal, late.signal]))
    return await withTimeout(taking, waitMs, clock, 'reading')
  } catch (error) {
    if (error instanceof DeadlineExceeded) return null
    if (stream.ended.aborted && !signal.aborted) {
      const { topic, partition } = stream.input
      throw new MillraceError(
        'KAFKA_UNREACHABLE',
        `reading ${topic}:${partition} was cut off by trouble with the brokers; run the command again`,
        { cause: error },
      )
    }
    throw error
  } finally {
    late.abort()
  }
}
