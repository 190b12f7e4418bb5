import type { TopicLife } from '../kafka/topic-metadata.ts'
import type { PartitionCounts } from './metadata.ts'

/** Source topics and their partitions as the cluster tells them now, and what the group committed in them. */
export interface TopicPort {
  /** All source topics, asked anew. Throws KAFKA_TOPIC_GONE when one does not exist. */
  look(signal: AbortSignal): Promise<TopicLives>
  /** The id that most brokers tell; one may be behind. Throws KAFKA_TOPIC_UNSETTLED when they do not agree. */
  agreedId(topic: string, signal: AbortSignal): Promise<string | null>
  /** What the group committed, by partition; partitions without an offset are left out. */
  positions(
    topic: string,
    signal: AbortSignal,
  ): Promise<ReadonlyMap<number, { readonly offset: number; readonly metadata: string }>>
  /** Offset after the last record that a reader of committed records may see. */
  logEnd(topic: string, partition: number, signal: AbortSignal): Promise<number>
  /**
   * Ends of many logs at once, asked for after the call: with records whose transaction is still open, because they stand
   * there, and may count later. Throws when some leader does not answer.
   */
  logEnds(inputs: readonly InputName[], signal: AbortSignal): Promise<LogEnds>
  /**
   * Tells TOPIC_CHANGED, once, when something else than `taken` is seen: `topic` was created again, or any topic has more
   * partitions. Returns how to stop listening.
   */
  watch(taken: TopicLives, topic: string, tell: (error: Error) => void): () => void
}

/** Input name → offset after the last record of its log, decided or not. */
export type LogEnds = ReadonlyMap<string, number>

/** `topic:partition`. */
export type InputName = string

/** By topic. */
export type TopicLives = ReadonlyMap<string, TopicLife>

/**
 * An incarnation names the topic it belongs to, so that offsets and watermarks of a topic that was deleted and created
 * again under the same name are recognised, even where offsets and records happen to fit. Where deleted records are
 * missing from its state, it also says the latest event time they may have: who reads that state learns it with the
 * watermark.
 */
export function incarnationOf(identity: string, topicId: string | null, lostUntil: number | null): string {
  const name = lostUntil === null ? identity : `${identity}@${Math.ceil(lostUntil)}`
  return topicId === null ? name : `${name}.${topicId}`
}

/** Latest event time of records that were deleted and are missing from the state; null: none are. */
export function lostUntil(incarnation: string): number | null {
  const [, time] = /^[^.@]*@(-?\d+)/.exec(incarnation) ?? []
  return time === undefined ? null : Number(time)
}

/** False when either side does not know the id of its topic. */
export function isOtherTopic(incarnation: string, topicId: string | null): boolean {
  const dot = incarnation.indexOf('.')
  return topicId !== null && dot >= 0 && incarnation.slice(dot + 1) !== topicId
}

/** Without what other partitions of the topic stored of an earlier one of the same name: their next owners begin anew. */
export function ofThisLife<W extends { readonly incarnation: string }>(
  watermarks: ReadonlyMap<string, W>,
  topic: string,
  incarnation: string,
): ReadonlyMap<string, W> {
  const dot = incarnation.indexOf('.')
  if (dot < 0) return watermarks
  const id = incarnation.slice(dot + 1)
  const isEarlier = (name: string, one: W): boolean =>
    name.startsWith(`${topic}:`) && isOtherTopic(one.incarnation, id)
  return new Map([...watermarks].filter(([name, one]) => !isEarlier(name, one)))
}

/** What the group knows of the topic's partitions; the present number where it knows nothing. */
export function knownCounts(
  known: readonly (PartitionCounts | null | undefined)[],
  now: number,
): PartitionCounts {
  const counts = known.filter((one) => one !== null && one !== undefined)
  if (counts.length === 0) return { first: now, accepted: now }
  return {
    first: Math.min(...counts.map(({ first }) => first)),
    accepted: Math.max(...counts.map(({ accepted }) => accepted)),
  }
}

/** The largest of what is known; null: nothing is. */
export function latest(times: readonly (number | null)[]): number | null {
  const known = times.filter((time) => time !== null)
  return known.length === 0 ? null : Math.max(...known)
}
