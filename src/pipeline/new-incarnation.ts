import { MillraceError } from '../errors.ts'
import type { LogRange } from '../source/source.ts'
import type { CommitMetadata, PartitionCounts } from './metadata.ts'
import type { TakeoverFacts, TakeoverPlan, TakeoverPolicy } from './takeover-types.ts'
import { boundsFrom } from './time-bounds.ts'
import { incarnationOf, isOtherTopic, knownCounts, latest } from './topic-life.ts'
import { parseWatermark } from './watermark.ts'

/*
 * Where a partition begins: at the group's first start, when its topic is another one than before, and when partitions
 * were added.
 */

export function planFirstStart(facts: TakeoverFacts, policy: TakeoverPolicy): TakeoverPlan {
  const { topic, log, name } = facts
  const others = facts.siblings.filter(({ clusterId }) => clusterId === facts.clusterId)
  const own = facts.acknowledged === null ? [] : [facts.acknowledged.incarnation]
  const known = [...facts.remembered, ...others.map(({ incarnation }) => incarnation), ...own]
  if (known.some((one) => isOtherTopic(one, topic.id))) return planRecreated(facts, policy)
  if (facts.acknowledged !== null) {
    throw new MillraceError(
      'OFFSET_LOST',
      `${name}: the group has no committed offset, but this process committed up to ${facts.acknowledged.offset}: the offset was deleted`,
    )
  }
  const stored = facts.watermarks
    .map(parseWatermark)
    .find((w) => w !== null && w.offset <= log.end && w.offset > log.start)
  if (stored) {
    throw new MillraceError(
      'OFFSET_LOST',
      `${name}: the group has no committed offset, but Redis holds state up to offset ${stored.offset}: the offset was deleted or has expired`,
    )
  }
  const same = sameTopic(facts)
  const counts = knownCounts(
    same.map(({ partitions }) => partitions),
    topic.partitions,
  )
  if (facts.partition >= counts.first) return planAdded(facts, policy, counts)
  const first = startOffset(policy.start, log)
  const fresh = freshMetadata(facts, policy, first, log.start)
  // Its offset was lost and Redis emptied: this one begins anew, the others are long past.
  const { forgottenTime = null, trimmedFor } = facts
  const gapUntil = forgottenTime === null ? null : latest([forgottenTime + policy.visibleSpanMs, trimmedFor])
  const reason = `a first start at offset ${first}: the group has no committed offset`
  return { kind: 'pin', metadata: { ...fresh, gapUntil }, reason }
}

function startOffset(start: TakeoverPolicy['start'], { start: first, end }: LogRange): number {
  if (start === 'earliest') return first
  return start === 'latest' ? end : Math.min(Math.max(start.offset, first), end)
}

/** The log is a new one: all of it came after this service began with the topic's name. */
export function planRecreated(facts: TakeoverFacts, policy: TakeoverPolicy): TakeoverPlan {
  const { name, topic, log } = facts
  const what = `the topic was deleted and created again (its id is ${topic.id} now)`
  if (policy.onForeignOffset === 'refuse') {
    throw new MillraceError('OFFSET_FOREIGN', `${name}: ${what}; the position belongs to the earlier one`)
  }
  const fresh = freshMetadata(facts, policy, log.start, log.start)
  const partitions = { first: 0, accepted: topic.partitions }
  const metadata = { ...fresh, partitions, gapUntil: facts.trimmedFor }
  return { kind: 'pin', metadata, reason: `a new incarnation from the log start ${log.start} on: ${what}` }
}

/** Whatever the policy says: everything in the partition came after the group began with the topic. */
function planAdded(facts: TakeoverFacts, policy: TakeoverPolicy, counts: PartitionCounts): TakeoverPlan {
  const { log, topic } = facts
  const isNews = topic.partitions > counts.accepted
  if (isNews) refuseAdded(facts, policy, counts)
  const fresh = freshMetadata(facts, policy, log.start, log.start)
  const partitions = { first: counts.first, accepted: Math.max(counts.accepted, topic.partitions) }
  const told = sameTopic(facts).map((one) => one.gapUntil)
  const until = isNews && policy.keysMustStay ? movedUntil(facts, policy) : null
  const metadata = { ...fresh, partitions, gapUntil: latest([until, ...told]) }
  const reason = `a first start at the log start ${log.start}: the partition came after the group began with the topic`
  return { kind: 'pin', metadata, reason }
}

/** Keys may have moved here: predictions say so until the windows lie behind the move. */
export function planGrown(
  facts: TakeoverFacts,
  policy: TakeoverPolicy,
  metadata: CommitMetadata,
  counts: PartitionCounts,
): TakeoverPlan {
  refuseAdded(facts, policy, counts)
  const gapUntil = latest([movedUntil(facts, policy, metadata), metadata.gapUntil])
  const partitions = { ...counts, accepted: facts.topic.partitions }
  const reason = `the topic has ${facts.topic.partitions} partitions instead of ${counts.accepted}: predictions are flagged until the windows lie behind that`
  return { kind: 'pin', metadata: { ...metadata, partitions, gapUntil }, reason }
}

function refuseAdded(facts: TakeoverFacts, policy: TakeoverPolicy, { accepted }: PartitionCounts): void {
  if (!policy.keysMustStay || policy.onPartitionsAdded === 'accept') return
  throw new MillraceError(
    'PARTITIONS_ADDED',
    `${facts.name}: the topic has ${facts.topic.partitions} partitions, before there were ${accepted}: keys move to other partitions, where features without merge do not see their past`,
  )
}

function movedUntil(
  facts: TakeoverFacts,
  policy: TakeoverPolicy,
  ...own: readonly CommitMetadata[]
): number | null {
  const newest = latest([...own, ...sameTopic(facts)].map(({ maxTime }) => maxTime))
  return newest === null ? null : newest + policy.visibleSpanMs
}

export function sameTopic({ siblings, clusterId, topic }: TakeoverFacts): readonly CommitMetadata[] {
  return siblings.filter((one) => one.clusterId === clusterId && !isOtherTopic(one.incarnation, topic.id))
}

export function freshMetadata(
  facts: TakeoverFacts,
  policy: TakeoverPolicy,
  start: number,
  base: number,
  lost: number | null = null,
): CommitMetadata {
  return {
    incarnation: incarnationOf(policy.newIdentity(), facts.topic.id, lost),
    stateHash: policy.stateHash,
    clusterId: facts.clusterId,
    offset: start,
    last: null,
    maxTime: null,
    start,
    base,
    // The oldest anchor is one that every reader can start from; it is forgotten only for a later one.
    anchors: [{ offset: base, maxTime: null }],
    quarantine: [],
    gapUntil: null,
    times: boundsFrom(base, facts.nowMs + policy.futureMaxMs),
    partitions: knownCounts(
      sameTopic(facts).map(({ partitions }) => partitions),
      facts.topic.partitions,
    ),
  }
}
