import { claimOutputs } from '../../commit/outputs-transaction.ts'
import { MillraceError } from '../../errors.ts'
import type { KafkaAdmin } from '../../kafka/admin.ts'
import { openKafkaClient } from '../../kafka/client.ts'
import { waitForBroker } from '../../kafka/wait-for-broker.ts'
import { readModelFiles } from '../../model/files.ts'
import { parseMetadata } from '../../pipeline/metadata.ts'
import { nameSeparator } from '../../record/input.ts'
import type { RawRecord } from '../../record/raw-record.ts'
import { deadLetterTopic } from '../../sink/sink.ts'
import type { Log } from '../../telemetry/log.ts'
import type { Clock } from '../../time/clock.ts'
import type { Plan } from '../../topology/plan.ts'
import { openDecoders } from '../codecs.ts'
import { batchBytesTaken } from '../output-limits.ts'
import { createDeadLetterCheck, type Verdict } from './check.ts'
import { DeadLetterReplay, reasonToLeave, type ReplayStep } from './replay.ts'
import {
  readLetters,
  readPartition,
  refuseUnread,
  type LettersLeft,
  type TakeLetter,
} from './read-letters.ts'
import { replayTopicOf, topicsSelected } from './dead-letter.ts'
import type { DeadLetter, DeadLetterFilter, RecordPlace } from './dead-letter.ts'
import { openLogReader, type LogReader } from './log-reader.ts'
import { createReplayLedger, refuseForgetful, refuseForgotten, type ReplayLedger } from './ledger.ts'

export interface DeadLetterParts {
  readonly plan: Plan
  readonly clock: Clock
  readonly log: Log
}

/** Every selected dead letter, by topic, partition and offset, up to the ends of now. */
export async function listDeadLetters(
  parts: DeadLetterParts,
  filter: DeadLetterFilter,
  take: TakeLetter,
  signal: AbortSignal,
): Promise<LettersLeft> {
  const topics = topicsSelected(parts.plan, filter)
  return withReader(parts, topics, [], signal, (reader) =>
    readLetters(reader, { topics, filter }, take, signal),
  )
}

/** The dead letter at this place, or those of the source record at this place. */
export async function findDeadLetters(
  parts: DeadLetterParts,
  place: RecordPlace,
  signal: AbortSignal,
): Promise<readonly DeadLetter[]> {
  const { plan } = parts
  const found: DeadLetter[] = []
  const letterTopics = plan.sources.map(({ topic }) => deadLetterTopic(plan.sinks, topic))
  if (letterTopics.includes(place.topic)) {
    await withReader(parts, [place.topic], [], signal, async (reader) => {
      const log = reader.partitions.find(({ partition }) => partition === place.partition)
      if (!log || place.offset < log.range.start || place.offset >= log.range.end) return
      const take = (letter: DeadLetter): boolean => {
        if (letter.raw.offset === place.offset) found.push(letter)
        return false
      }
      const { left } = await readPartition(reader, log, place.offset, take, signal)
      if (left !== null) refuseUnread([left])
    })
    return found
  }
  const filter = { topics: [place.topic], partition: place.partition }
  const offsets = { fromOffset: place.offset, toOffset: place.offset + 1 }
  const none = { reasons: null, stages: null, fromMs: null, toMs: null, ids: null }
  const { unread } = await listDeadLetters(
    parts,
    { ...none, ...filter, ...offsets },
    (letter) => found.push(letter) < foundMax,
    signal,
  )
  if (found.length === 0) refuseUnread(unread)
  return found
}

/** A record has one dead letter per incarnation that met it. */
const foundMax = 100

export interface CheckedLetter {
  readonly letter: DeadLetter
  /** Why a replay with this filter would leave it out; null: it would not. */
  readonly left: ReplayStep | null
  readonly verdict: Verdict
}

/** What a replay of the selection would do, record by record. Writes nothing. */
export async function checkDeadLetters(
  parts: DeadLetterParts,
  filter: DeadLetterFilter,
  take: (checked: CheckedLetter) => Promise<boolean> | boolean,
  signal: AbortSignal,
): Promise<LettersLeft> {
  const { plan } = parts
  const topics = topicsSelected(plan, filter)
  const optional = [replayTopicOf(plan)]
  return withReader(parts, topics, optional, signal, async (reader) => {
    const ledger = await readLedger(parts, reader, topics, signal)
    const check = await openCheck(parts, reader.client.admin)
    const sources = sourceTopics(plan)
    const judge = async (letter: DeadLetter): Promise<boolean> => {
      const left = reasonToLeave(letter, { filter, group: plan.kafka.group, ledger, sources })
      return take({ letter, left, verdict: await check(letter) })
    }
    return readLetters(reader, { topics, filter }, judge, signal)
  })
}

/** What would become of these dead letters now. */
export async function* judgeDeadLetters(
  parts: DeadLetterParts,
  letters: readonly DeadLetter[],
): AsyncGenerator<{ readonly letter: DeadLetter; readonly verdict: Verdict }> {
  const client = openKafkaClient({ ...parts, plan: parts.plan.kafka })
  try {
    const check = await openCheck(parts, client.admin)
    for (const letter of letters) yield { letter, verdict: await check(letter) }
  } finally {
    await client.close()
  }
}

async function openCheck(
  parts: DeadLetterParts,
  admin: KafkaAdmin,
): Promise<(letter: DeadLetter) => Promise<Verdict>> {
  const { plan, log } = parts
  const files = await readModelFiles(plan.model.path).catch((error: unknown) => {
    if (!(error instanceof MillraceError)) throw error
    log.warn({ code: error.code, error: error.message }, 'model inputs are not checked')
    return null
  })
  const manifested = (files?.manifest?.inputs ?? []).flatMap(({ features }) => features)
  const missing = manifested.flatMap((one) =>
    one.missing === undefined ? [] : [[one.name, one.missing] as const],
  )
  const known = new Map<string, Promise<number | null>>()
  return createDeadLetterCheck({
    ...parts,
    decoders: openDecoders(parts),
    missing: files === null ? null : new Map(missing),
    largestTime: (topic, partition) => {
      const name = `${topic}:${partition}`
      const time = known.get(name) ?? committedTime(admin, plan.kafka.group, topic, partition)
      known.set(name, time)
      return time
    },
  })
}

async function committedTime(
  admin: KafkaAdmin,
  group: string,
  topic: string,
  partition: number,
): Promise<number | null> {
  const { offset, metadata } = await admin.groupOffset(group, topic, partition)
  return offset < 0 ? null : (parseMetadata(metadata)?.maxTime ?? null)
}

export interface ReplayOptions {
  readonly filter: DeadLetterFilter
  /** Records a second. */
  readonly rate: number
  /** Stop after writing so many. */
  readonly limit: number
  readonly report: (letter: DeadLetter, step: ReplayStep) => void
}

/**
 * Writes the selected dead letters back to their source topics, each id once for ever: the ledger entry is in the
 * transaction of the record, the ledger is read after the claim, and a later run fences this one.
 */
export async function replayDeadLetters(
  parts: DeadLetterParts,
  { filter, rate, limit, report }: ReplayOptions,
  signal: AbortSignal,
): Promise<LettersLeft> {
  const { plan, clock } = parts
  const topics = topicsSelected(plan, filter)
  const ledgerTopic = replayTopicOf(plan)
  return withReader(parts, [...topics, ledgerTopic], [], signal, async (reader) => {
    const { admin } = reader.client
    const written = [...plan.sources.map(({ topic }) => topic), ledgerTopic]
    const described = await admin.describeTopics(written)
    for (const one of described) if (one.topic === ledgerTopic) refuseForgetful(one)
    await using claimed = await openClaim(parts, reader, described, signal)
    const ledger = await readLedger(parts, reader, topics, signal)
    const replay = new DeadLetterReplay({
      filter,
      group: plan.kafka.group,
      ledger,
      ledgerTopic,
      sources: sourceTopics(plan),
      partitionCounts: new Map(described.map(({ topic, partitions }) => [topic, partitions])),
      bytesMax: new Map(described.map((topic) => [topic.topic, batchBytesTaken(topic)])),
      write: (outputs) => claimed.claim.run(outputs),
      clock,
      rate,
      limit,
      report,
    })
    const add = (letter: DeadLetter): Promise<boolean> => replay.add(letter, signal)
    const left = await readLetters(reader, { topics, filter }, add, signal)
    await replay.flush(signal)
    return left
  })
}

function sourceTopics({ sources }: Plan): ReadonlySet<string> {
  return new Set(sources.map(({ topic }) => topic))
}

type Described = Awaited<ReturnType<KafkaAdmin['describeTopics']>>

async function openClaim(
  { plan, clock, log }: DeadLetterParts,
  reader: LogReader,
  described: Described,
  signal: AbortSignal,
) {
  const claim = await claimOutputs(
    {
      client: reader.client,
      // Of the topology and its group, as those of its partitions, which have a fourth part.
      transactionalId: [plan.name, plan.kafka.group, 'dlq-replay'].join(nameSeparator),
      clock,
      log,
      batchBytesMax: Math.min(...described.map(batchBytesTaken)),
    },
    signal,
  )
  return { claim, [Symbol.asyncDispose]: () => claim.close() }
}

/** Everything that was committed to the ledger topic so far. Complete after a claim; without one, of about now. */
async function readLedger(
  { plan }: DeadLetterParts,
  reader: LogReader,
  topics: readonly string[],
  signal: AbortSignal,
): Promise<ReplayLedger> {
  const ledger = createReplayLedger(topics)
  for (const log of reader.partitions.filter(({ topic }) => topic === replayTopicOf(plan))) {
    const { start, end } = await reader.client.admin.logRange(log.topic, log.partition)
    refuseForgotten(log, start)
    const take = (records: readonly RawRecord[]): boolean => {
      for (const record of records) ledger.add(record)
      return true
    }
    const read = { from: start, end, openWaitMs: plan.kafka.transactionTimeoutMs, take }
    const reached = await reader.read(log, read, signal)
    if (reached < end) refuseUnread([{ ...log, reached, end }])
  }
  return ledger
}

async function withReader<T>(
  { plan, clock, log }: DeadLetterParts,
  topics: readonly string[],
  optionalTopics: readonly string[],
  signal: AbortSignal,
  use: (reader: LogReader) => Promise<T>,
): Promise<T> {
  await waitForBroker({ plan: plan.kafka, clock, log, startWaitMs: plan.limits.startWaitMs, signal })
  const what = { plan: plan.kafka, groupSuffix: 'dlq', topics, optionalTopics, clock, log }
  const reader = await openLogReader(what, signal)
  try {
    return await use(reader)
  } finally {
    await reader.close()
  }
}
