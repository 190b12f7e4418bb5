import { scoredSource, type StateShared } from './partition-context.ts'
import { parseMetadata, type CommitMetadata } from './metadata.ts'
import { isOtherTopic, latest, type TopicLives } from './topic-life.ts'

/**
 * Largest event time of the slowest scored partition by what the group committed; null while one of them is unknown. For a
 * namespace whose watermarks do not tell: it is new, or its owners are still building.
 *
 * Why a rebuild may start behind (this − visible span), so that events at or before that are in no merged part:
 *
 * 1. A reader looks at merged parts only while it serves, at or behind its committed offset, and its event time there is
 *    at least the committed `maxTime`: it rebuilds up to that offset and checks that it arrives at that time. Whatever it
 *    sees is later than (its event time − visible span).
 * 2. `maxTime` is the same under every definition (it is of the events, not of the windows), and within an incarnation it
 *    only grows (I4), whichever version commits it meanwhile. So what was read stays a lower bound, also for a reader of
 *    another version that comes later.
 * 3. A new incarnation may begin before it. Then its predictions carry `gap` for as long as they could miss something
 *    (`keptForAtMost`, or the gap of a log that is gone).
 * 4. What is not certainly of this log and cluster counts as unknown, and so does a partition without a largest time,
 *    unless it is empty: nothing consumed, nothing to build from, nothing left to read. (`slowestReader` makes the same
 *    exception. An event that comes later may be as late for the others.)
 */
export async function committedReaderTime(
  { plan, topics, clusterId, partitionCounts }: StateShared,
  lives: TopicLives,
  signal: AbortSignal,
): Promise<number | null> {
  const { topic } = scoredSource(plan)
  const positions = await topics.positions(topic, signal)
  let slowest = Infinity
  for (let partition = 0; partition < (partitionCounts.get(topic) ?? 0); partition++) {
    const position = positions.get(partition)
    const metadata = position === undefined ? null : parseMetadata(position.metadata)
    if (metadata === null || metadata.offset !== position?.offset) return null
    if (metadata.clusterId !== clusterId) return null
    if (isOtherTopic(metadata.incarnation, lives.get(topic)?.id ?? null)) return null
    if (metadata.maxTime !== null) slowest = Math.min(slowest, metadata.maxTime)
    else if (metadata.base < metadata.offset) return null
    else if ((await topics.logEnd(topic, partition, signal)) > metadata.offset) return null
  }
  return Number.isFinite(slowest) ? slowest : null
}

/**
 * No partition built its parts for a reader later than this (`committedReaderTime`, at any time before). The least of all
 * scored partitions was at most the one of each, and what that one committed since is later, or says by its gap until when
 * a new incarnation of it may miss something. So each of them tells (the
 * largest, for one may have been added later); of a group whose positions were all moved by another tool
 * nothing is left, and only that nobody reads the future is known.
 */
export function keptForAtMost(
  own: CommitMetadata | null,
  others: readonly CommitMetadata[],
  { clusterId, nowMs, futureMaxMs }: { clusterId: string; nowMs: number; futureMaxMs: number },
): number {
  const known = [...(own === null ? [] : [own]), ...others]
    .filter((one) => one.clusterId === clusterId)
    .map(({ maxTime, gapUntil }) => latest([maxTime, gapUntil]))
    .filter((time) => time !== null)
  return known.length > 0 ? Math.max(...known) : nowMs + futureMaxMs
}
