import { rejectReasons, type RejectReason } from '../../record/event.ts'
import { headerText } from '../../record/headers.ts'
import type { RawRecord } from '../../record/raw-record.ts'
import { contentHeader } from '../../sink/headers.ts'
import { deadLetterTopic } from '../../sink/sink.ts'
import type { Plan } from '../../topology/plan.ts'

/** Where a record is, or was: `topic:partition@offset` in text. */
export interface RecordPlace {
  readonly topic: string
  readonly partition: number
  readonly offset: number
}

/** A record of a dead-letter topic, with what its headers say. */
export interface DeadLetter {
  /** Its own place, `topic:partition@offset`: also the id under which it is replayed. */
  readonly id: string
  readonly raw: RawRecord
  readonly reason: RejectReason | 'UNKNOWN'
  readonly stage: string
  readonly message: string
  /** Where the record was that failed. */
  readonly source: RecordPlace
  /** Group that gave it up. */
  readonly group: string
  /** Wall clock, epoch ms. */
  readonly failedAtMs: number
  readonly attempts: string
  readonly model: string
  readonly schemaId: string | null
  /** False: it only names records that it could not hold. */
  readonly holdsRecord: boolean
  /** Set when the record that failed was itself a replay: the dead letter it came from. */
  readonly replayOf: string | null
}

/** Headers of a replayed record; the first is the id of the dead letter, the second where it had failed. */
export const replayHeaders = { id: 'millrace.replay.id', from: 'millrace.replay.from' } as const

export function placeText({ topic, partition, offset }: RecordPlace): string {
  return `${topic}:${partition}@${offset}`
}

/** Null when the text is no `topic:partition@offset`. */
export function parsePlace(text: string): RecordPlace | null {
  const [, topic, partition, offset] = /^([\w.-]{1,249}):(\d{1,9})@(\d{1,16})$/.exec(text) ?? []
  if (topic === undefined) return null
  const place = { topic, partition: Number(partition), offset: Number(offset) }
  return Number.isSafeInteger(place.offset) ? place : null
}

/** Null for a record that does not say where it came from: another program wrote it. */
export function parseDeadLetter(raw: RawRecord): DeadLetter | null {
  const text = (name: string): string | null => headerText(raw.headers, name)
  const source = parsePlace(
    `${text('__dlq.errors.topic')}:${text('__dlq.errors.partition')}@${text('__dlq.errors.offset')}`,
  )
  if (source === null) return null
  const failedAt = Date.parse(text('millrace.dlq.failed-at') ?? '')
  return {
    id: placeText(raw),
    raw,
    reason: rejectReasons.find((reason) => reason === text('millrace.dlq.reason')) ?? 'UNKNOWN',
    stage: text('millrace.dlq.stage') ?? '?',
    message: text('__dlq.errors.message') ?? '',
    source,
    group: text('__dlq.errors.group') ?? '?',
    failedAtMs: Number.isFinite(failedAt) ? failedAt : raw.timestamp,
    attempts: text('millrace.dlq.attempts') ?? '?',
    model: text('millrace.dlq.model') ?? '?',
    schemaId: text('millrace.dlq.schema-id'),
    holdsRecord: text(contentHeader) === null,
    replayOf: text(replayHeaders.id),
  }
}

/** Which dead letters somebody wants to see or replay; null: any. All speak of the record that failed. */
export interface DeadLetterFilter {
  readonly reasons: readonly string[] | null
  readonly stages: readonly string[] | null
  /** Source topics. */
  readonly topics: readonly string[] | null
  /** Partition of the source topic. */
  readonly partition: number | null
  /** Failed in [fromMs, toMs), epoch ms. */
  readonly fromMs: number | null
  readonly toMs: number | null
  /** Source offset in [fromOffset, toOffset). */
  readonly fromOffset: number | null
  readonly toOffset: number | null
  /** Ids of dead letters. */
  readonly ids: ReadonlySet<string> | null
}

export const everyDeadLetter: DeadLetterFilter = {
  reasons: null,
  stages: null,
  topics: null,
  partition: null,
  fromMs: null,
  toMs: null,
  fromOffset: null,
  toOffset: null,
  ids: null,
}

export function selects(filter: DeadLetterFilter, letter: DeadLetter): boolean {
  const { source, failedAtMs } = letter
  return (
    (filter.reasons === null || filter.reasons.includes(letter.reason)) &&
    (filter.stages === null || filter.stages.includes(letter.stage)) &&
    (filter.topics === null || filter.topics.includes(source.topic)) &&
    (filter.partition === null || filter.partition === source.partition) &&
    failedAtMs >= (filter.fromMs ?? -Infinity) &&
    failedAtMs < (filter.toMs ?? Infinity) &&
    source.offset >= (filter.fromOffset ?? 0) &&
    source.offset < (filter.toOffset ?? Infinity) &&
    (filter.ids === null || filter.ids.has(letter.id))
  )
}

/** Dead-letter topics in which selected dead letters can be. */
export function topicsSelected(plan: Pick<Plan, 'sinks' | 'sources'>, filter: DeadLetterFilter): string[] {
  const sources = plan.sources.filter(({ topic }) => filter.topics === null || filter.topics.includes(topic))
  const topics = new Set(sources.map(({ topic }) => deadLetterTopic(plan.sinks, topic)))
  if (filter.ids === null) return [...topics]
  const named = new Set([...filter.ids].map((id) => parsePlace(id)?.topic))
  return [...topics].filter((topic) => named.has(topic))
}

/**
 * The topic that remembers which dead letters were replayed. Named like a dead-letter topic, so that the same naming
 * rules and rights cover it.
 */
export function replayTopicOf({ name, sinks }: Pick<Plan, 'name' | 'sinks'>): string {
  const pattern = sinks.deadLetterTopic
  return pattern.includes('{topic}')
    ? pattern.replaceAll('{topic}', () => `${name}.replays`)
    : `${pattern}.${name}.replays`
}
