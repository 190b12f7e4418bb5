/** What the output topics hold: predictions that were chosen, and records that became dead letters. */
import { openKafkaClient } from '../../kafka/client.ts'
import { parseMetadata } from '../../pipeline/metadata.ts'
import { scoredSource } from '../../pipeline/partition-context.ts'
import type { Prediction } from '../../record/prediction.ts'
import type { RawRecord } from '../../record/raw-record.ts'
import { deadLetterTopic } from '../../sink/sink.ts'
import type { Log } from '../../telemetry/log.ts'
import type { Clock } from '../../time/clock.ts'
import type { Plan } from '../../topology/plan.ts'
import { parseDeadLetter, placeText } from '../dead-letters/dead-letter.ts'
import { openLogReader, type LogReader } from '../dead-letters/log-reader.ts'
import { refuseUnread, type Unread } from '../dead-letters/read-letters.ts'
import { choosesKey, choosesTime, type VerifyChoice } from './choice.ts'
import { openPredictionReader } from './published.ts'

export interface EvidenceParts {
  readonly plan: Plan
  readonly choice: VerifyChoice
  readonly clock: Clock
  readonly log: Log
}

export interface Evidence {
  /** By place of the source record; more than one: published twice. */
  readonly predictions: ReadonlyMap<string, readonly Prediction[]>
  /** Places of source records that became dead letters, of the chosen keys. */
  readonly deadLetters: ReadonlySet<string>
  /** Whether the outputs of this offset of the scored topic must be there. */
  isDone(partition: number, offset: number): boolean
  /** More predictions were there than the choice allows. */
  readonly isCut: boolean
  /** Records that are no predictions, and predictions of other topics. */
  readonly unreadable: number
  readonly foreign: number
  readonly partitions: number
  /** First offset that the log still holds, by partition of the scored topic. */
  readonly logStart: ReadonlyMap<number, number>
  /** Some source has lost records: windows may reach behind what is left. */
  readonly isShortened: boolean
}

export async function readEvidence(parts: EvidenceParts, signal: AbortSignal): Promise<Evidence> {
  const { plan, choice, clock, log } = parts
  const scored = scoredSource(plan).topic
  // First what is committed, then where the outputs end: those of all that is committed lie before the ends.
  const { committed, ...sources } = await readSources(parts, scored)
  const letters = deadLetterTopic(plan.sinks, scored)
  const reader = await openLogReader(
    {
      plan: plan.kafka,
      groupSuffix: 'verify',
      topics: [plan.sinks.predictions.topic],
      optionalTopics: [letters],
      clock,
      log,
    },
    signal,
  )
  try {
    const predictions = await readPredictions(reader, parts, scored, signal)
    const deadLetters = await readDeadLetters(reader, letters, choice, signal)
    const wasTrimmed = reader.partitions.some(({ range }) => range.start > 0)
    return {
      ...predictions,
      deadLetters,
      ...sources,
      isDone: (partition, offset) => {
        const at = committed.get(partition)
        if (at === undefined || offset >= at.offset || offset < at.start || at.quarantine.includes(offset))
          return false
        // Outputs of older records may have been deleted since.
        return !wasTrimmed || offset >= (predictions.first.get(partition) ?? Infinity)
      },
    }
  } finally {
    await reader.close()
  }
}

interface Committed {
  readonly offset: number
  readonly start: number
  readonly quarantine: readonly number[]
}

async function readSources(
  { plan, clock, log }: EvidenceParts,
  topic: string,
): Promise<
  Pick<Evidence, 'partitions' | 'logStart' | 'isShortened'> & {
    readonly committed: ReadonlyMap<number, Committed>
  }
> {
  const client = openKafkaClient({ plan: plan.kafka, clock, log })
  try {
    const described = await client.admin.describeTopics(plan.sources.map((source) => source.topic))
    const committed = new Map<number, Committed>()
    for (const [partition, { offset, metadata }] of await client.admin.groupOffsets(
      plan.kafka.group,
      topic,
    )) {
      const parsed = parseMetadata(metadata)
      committed.set(partition, { offset, start: parsed?.start ?? 0, quarantine: parsed?.quarantine ?? [] })
    }
    const logStart = new Map<number, number>()
    let isShortened = false
    for (const source of described) {
      for (let partition = 0; partition < source.partitions; partition++) {
        const { start } = await client.admin.logRange(source.topic, partition)
        if (start > 0) isShortened = true
        if (source.topic === topic) logStart.set(partition, start)
      }
    }
    return { committed, partitions: logStart.size, logStart, isShortened }
  } finally {
    await client.close()
  }
}

type Predictions = Pick<Evidence, 'predictions' | 'isCut' | 'unreadable' | 'foreign'> & {
  /** Smallest offset of each source partition that a prediction is there for, chosen or not. */
  readonly first: ReadonlyMap<number, number>
}

async function readPredictions(
  reader: LogReader,
  { plan, choice }: EvidenceParts,
  scored: string,
  signal: AbortSignal,
): Promise<Predictions> {
  const read = openPredictionReader(plan)
  const predictions = new Map<string, Prediction[]>()
  const first = new Map<number, number>()
  const counts = { chosen: 0, unreadable: 0, foreign: 0 }
  const take = async (record: RawRecord): Promise<boolean> => {
    const prediction = await read(record, signal)
    if (prediction === null) {
      counts.unreadable++
      return true
    }
    const { position, key, occurredAt } = prediction
    if (position.topic !== scored) {
      counts.foreign++
      return true
    }
    first.set(position.partition, Math.min(position.offset, first.get(position.partition) ?? Infinity))
    if (!choosesKey(choice, key) || !choosesTime(choice, occurredAt)) return true
    if (counts.chosen >= choice.limit) return false
    counts.chosen++
    const place = placeText(position)
    predictions.set(place, [...(predictions.get(place) ?? []), prediction])
    return true
  }
  const isWhole = await readAll(reader, plan.sinks.predictions.topic, take, signal)
  return { predictions, first, isCut: !isWhole, unreadable: counts.unreadable, foreign: counts.foreign }
}

async function readDeadLetters(
  reader: LogReader,
  topic: string,
  choice: VerifyChoice,
  signal: AbortSignal,
): Promise<ReadonlySet<string>> {
  const places = new Set<string>()
  const take = (record: RawRecord): boolean => {
    const letter = parseDeadLetter(record)
    if (letter !== null && (record.key === null || choosesKey(choice, record.key.toString()))) {
      places.add(placeText(letter.source))
    }
    return true
  }
  await readAll(reader, topic, take, signal)
  return places
}

/** An open transaction of the service takes milliseconds. */
const openWaitMs = 10_000

/** False when `take` had enough. Throws KAFKA_READ_INCOMPLETE when a partition cannot be read to its end. */
async function readAll(
  reader: LogReader,
  topic: string,
  take: (record: RawRecord) => Promise<boolean> | boolean,
  signal: AbortSignal,
): Promise<boolean> {
  const unread: Unread[] = []
  let more = true
  for (const log of reader.partitions) {
    if (log.topic !== topic || !more) continue
    const { start, end } = log.range
    const takeSome = async (records: readonly RawRecord[]): Promise<boolean> => {
      for (const record of records) if (more && !(await take(record))) more = false
      return more
    }
    const reached = await reader.read(log, { from: start, end, openWaitMs, take: takeSome }, signal)
    if (more && reached < end) unread.push({ topic, partition: log.partition, reached, end })
  }
  refuseUnread(unread)
  return more
}
