import { randomUUID } from 'node:crypto'
import { openKafkaClient } from '../kafka/client.ts'
import { waitForBroker } from '../kafka/wait-for-broker.ts'
import { createFeatureReplay } from '../pipeline/replay-features.ts'
import { isReject } from '../record/event.ts'
import type { PredictionFlag } from '../record/prediction.ts'
import type { RawRecord } from '../record/raw-record.ts'
import { openKafkaSource } from '../source/kafka-source.ts'
import type { InputStream } from '../source/source.ts'
import type { Log } from '../telemetry/log.ts'
import type { Clock } from '../time/clock.ts'
import type { Plan } from '../topology/plan.ts'
import { openDecoders } from './codecs.ts'
import { labelIn, labelSourceOf, type Label, type LabelCounts, type LabelField } from './label-field.ts'

export interface ReplayOptions {
  readonly plan: Plan
  readonly clock: Clock
  readonly log: Log
  /** Field of a state source joined by id; null: no labels. */
  readonly labels: LabelField | null
  /** Labels published at or after this time (epoch ms) do not count. */
  readonly asOf: number
}

export interface ReplayedRow {
  readonly id: string
  readonly key: string
  readonly time: number
  readonly partition: number
  readonly offset: number
  /** In the order of `plan.features.names`; NaN where missing. */
  readonly numbers: Float64Array
  readonly flags: readonly PredictionFlag[]
  readonly label: Label | null
}

export interface ReplaySummary {
  readonly scored: number
  /** Records that are dead letters. */
  readonly rejected: number
  /** Null: none were asked for. */
  readonly labels: LabelCounts | null
}

/** Reads all sources once from the start to their ends of now, in the order in which the records became known. */
export async function readReplay(
  options: ReplayOptions,
  emit: (row: ReplayedRow) => Promise<void>,
  signal: AbortSignal,
): Promise<ReplaySummary> {
  const { plan, clock, log, labels } = options
  await waitForBroker({ plan: plan.kafka, clock, log, startWaitMs: plan.limits.startWaitMs, signal })
  // Labels come days after what they label: they are read first, whole.
  const known = labels === null ? null : await readLabels(options, labels, signal)
  let scored = 0
  let rejected = 0
  await readMerged(
    options,
    plan.sources.map(({ name }) => name),
    signal,
    async (streams) => {
      const counts = new Map<string, number>()
      for (const { input } of streams) counts.set(input.topic, (counts.get(input.topic) ?? 0) + 1)
      const decoders = openDecoders(options)
      const replay = createFeatureReplay(
        plan,
        counts,
        new Map([...decoders].map(([name, { decoder }]) => [name, decoder])),
      )
      return async (stream, record) => {
        await decoders.get(stream.input.source)?.decoder.prepare([record], signal)
        const result = replay.next(stream.input, record)
        if (result === null) return
        if ('rejected' in result) {
          rejected++
          return
        }
        scored++
        const { event, row } = result
        await emit({
          id: event.id,
          key: event.key,
          time: event.time,
          partition: record.partition,
          offset: record.offset,
          numbers: row.numbers,
          flags: result.flags,
          label: known?.byId.get(event.id) ?? null,
        })
      }
    },
  )
  return { scored, rejected, labels: known?.counts ?? null }
}

/** The label that was published last, by id. */
async function readLabels(
  options: ReplayOptions,
  field: LabelField,
  signal: AbortSignal,
): Promise<{ readonly byId: ReadonlyMap<string, Label>; readonly counts: LabelCounts }> {
  const source = labelSourceOf(options.plan, field)
  // It may be a source that is not served.
  const reading = { ...options, plan: { ...options.plan, sources: [source] } }
  const byId = new Map<string, Label>()
  const counts = { records: 0, rejected: 0, later: 0, without: 0 }
  await readMerged(reading, [source.name], signal, async () => {
    const decoder = openDecoders(reading).get(source.name)?.decoder
    return async (_, record) => {
      counts.records++
      if (record.timestamp >= options.asOf) return void counts.later++
      await decoder?.prepare([record], signal)
      const decoded = decoder?.decode(record)
      if (decoded === undefined || isReject(decoded)) return void counts.rejected++
      const { topic, partition, offset } = record
      const label = labelIn(decoded.fields, field, `${topic}:${partition}@${offset}`)
      if (label === null) counts.without++
      else byId.set(decoded.id, label)
    }
  })
  const [sampleId = null] = byId.keys()
  return { byId, counts: { ...counts, ids: byId.size, sampleId } }
}

type Handle = (stream: InputStream, record: RawRecord) => Promise<void>

/** All partitions of some sources, merged by record timestamp; per partition in offset order. Commits nothing. */
async function readMerged(
  options: ReplayOptions,
  sources: readonly string[],
  signal: AbortSignal,
  open: (streams: readonly InputStream[]) => Promise<Handle>,
): Promise<void> {
  const { plan, clock, log } = options
  const kafka = { ...plan.kafka, group: `${plan.kafka.group}.replay.${randomUUID()}` }
  const client = openKafkaClient({ plan: kafka, clock, log })
  const joined = Promise.withResolvers<readonly InputStream[]>()
  const topics = plan.sources
    .filter(({ name }) => sources.includes(name))
    .map(({ name, topic }) => ({ source: name, topic }))
  const source = openKafkaSource({ client, plan: kafka, topics, clock, log })
  try {
    await client.admin.describeTopics(topics.map(({ topic }) => topic))
    await source.start({
      assigned: joined.resolve,
      revoking: () => Promise.resolve(),
      crashed: joined.reject,
    })
    const streams = await joined.promise
    const heads = await Promise.all(streams.map((stream) => openHead(stream)))
    const handle = await open(streams)
    for (;;) {
      for (const head of heads) if (head.empty) await head.fill(signal)
      const next = earliest(heads)
      if (next === null) return
      await handle(next.stream, next.take())
    }
  } finally {
    await source.stop()
    await client.close()
  }
}

interface Head {
  readonly stream: InputStream
  readonly next: RawRecord | null
  /** Nothing at hand, but the end is not reached. */
  readonly empty: boolean
  fill(signal: AbortSignal): Promise<void>
  take(): RawRecord
}

const rowsMax = 2_000

async function openHead(stream: InputStream): Promise<Head> {
  const { start, end } = await stream.logRange()
  stream.seek(start)
  let queue: readonly RawRecord[] = []
  let at = 0
  const more = async (signal: AbortSignal): Promise<void> => {
    while (at >= queue.length && stream.position < end) {
      const taken = await stream.take(rowsMax, signal)
      queue = taken.records.filter(({ offset }) => offset < end)
      at = 0
    }
  }
  return {
    stream,
    get next() {
      return queue[at] ?? null
    },
    get empty() {
      return at >= queue.length && stream.position < end
    },
    fill: more,
    take: () => queue[at++] as RawRecord,
  }
}

function earliest(heads: readonly Head[]): Head | null {
  let first: Head | null = null
  for (const head of heads) {
    if (head.next === null) continue
    if (first === null || head.next.timestamp < (first.next?.timestamp ?? Infinity)) first = head
  }
  return first
}
