import { MillraceError } from '../errors.ts'
import type { CommittedPosition } from '../commit/transaction.ts'
import type { TopicLife } from '../kafka/topic-metadata.ts'
import type { LogRange } from '../source/source.ts'
import {
  parseMetadata,
  rebuildAnchor,
  type Anchor,
  type CommitMetadata,
  type PartitionCounts,
} from './metadata.ts'
import { incarnationOf, isOtherTopic, knownCounts, latest, lostUntil } from './topic-life.ts'
import { outageExceeded, parseWatermark, type Watermark } from './watermark.ts'

/** Everything a takeover decides from, read in this order: claim, topics, position, log range, watermarks. */
export interface TakeoverFacts {
  readonly name: string
  readonly partition: number
  readonly topic: TopicLife
  /** Commits in the other partitions of the topic; may be left out where the own one knows the number of partitions. */
  readonly siblings: readonly CommitMetadata[]
  /** Incarnations that Redis remembers of any partition of the topic. */
  readonly remembered: readonly string[]
  readonly committed: CommittedPosition | null
  readonly log: LogRange
  /** Own watermark text by bucket; null: absent. */
  readonly watermarks: readonly (string | null)[]
  /** Smallest largest-event-time among the partitions that read what this one stores; null: some are unknown; Infinity: nobody else reads it. */
  readonly slowestReaderTime: number | null
  /** The same by what they committed: never less, asked only where the log no longer begins at the base. */
  readonly committedReaderTime?: number | null
  /** Record timestamp of the oldest record in the log; null: there is none, or `missesRecords` is false. */
  readonly oldestTimestamp: number | null
  /** Record timestamp of the first record that is not consumed, the present where there is none; absent: not known. */
  readonly nextTimestamp?: number | null
  /**
   * Event time that the parts this partition reads from others were kept for: a new incarnation may begin before it, and
   * then misses what was trimmed. null: it reads none, or nothing was trimmed.
   */
  readonly trimmedFor: number | null
  readonly nowMs: number
  readonly clusterId: string
  /** Set when a replay found the log to be another one. */
  readonly foreignLog: string | null
  /** The last commit that was acknowledged to this process; null: none. */
  readonly acknowledged: { readonly incarnation: string; readonly offset: number } | null
}

export interface TakeoverPolicy {
  readonly start: 'earliest' | 'latest' | { readonly offset: number }
  readonly stateHash: string
  readonly onForeignOffset: 'rebuild' | 'refuse'
  readonly onLogGone: 'refuse' | 'accept-gap'
  readonly onPartitionsAdded: 'refuse' | 'accept'
  /** Features see only what is in the event's own partition: a key that moves to another one loses its past. */
  readonly keysMustStay: boolean
  readonly outageMaxMs: number
  /** outOfOrder + horizon + lateness: events older than the largest event time by more are invisible. */
  readonly visibleSpanMs: number
  /** How far an event time may lie ahead of its record's timestamp. */
  readonly futureMaxMs: number
  readonly newIdentity: () => string
}

export interface BucketPlan {
  /** What the watermark in the store is now, to be replaced by compare-and-set. */
  readonly expected: string | null
  readonly build: string
  /** The store holds this bucket's state below this offset. */
  readonly offset: number
  /** True: nothing stored counts; the first write of each part replaces. */
  readonly rebuild: boolean
  readonly distanceMin: number | null
}

export type TakeoverPlan =
  /** Commit this metadata (pins start and incarnation) and decide again. */
  | { readonly kind: 'pin'; readonly metadata: CommitMetadata; readonly reason: string }
  /** The store is ahead of the committed offset: take over again; refuse if it persists. */
  | { readonly kind: 'again'; readonly reason: string }
  | {
      readonly kind: 'serve'
      readonly metadata: CommitMetadata
      /** Replay (state only) from here to metadata.offset, with this largest event time to begin with. */
      readonly replayFrom: Anchor
      readonly buckets: readonly BucketPlan[]
      readonly rebuilds: boolean
    }

export function planTakeover(facts: TakeoverFacts, policy: TakeoverPolicy): TakeoverPlan {
  const { committed, log, name } = facts
  if (committed === null) return planFirstStart(facts, policy)
  const metadata = parseMetadata(committed.metadata)
  if (metadata?.clusterId === facts.clusterId && isOtherTopic(metadata.incarnation, facts.topic.id)) {
    return planRecreated(facts, policy)
  }
  const foreign = foreignReason(facts, metadata)
  if (metadata === null || foreign !== null) {
    if (policy.onForeignOffset === 'refuse') {
      throw new MillraceError(
        'OFFSET_FOREIGN',
        `${name}: the committed offset ${committed.offset} is not this service's: ${foreign}`,
      )
    }
    const start = Math.min(Math.max(committed.offset, log.start), log.end)
    const reason = `a new incarnation from offset ${start} on: the committed offset ${committed.offset} is not this service's: ${foreign}`
    const fresh = freshMetadata(facts, policy, start, log.start)
    return { kind: 'pin', metadata: { ...fresh, gapUntil: facts.trimmedFor }, reason }
  }
  if (committed.offset < log.start) return planLogGone(facts, policy, metadata)
  const { partitions } = metadata
  if (!partitions) {
    const counts = knownCounts(
      sameTopic(facts).map((one) => one.partitions),
      facts.topic.partitions,
    )
    // Earlier versions kept no anchor at the base, so their oldest one need not be old enough.
    const anchors = [{ offset: metadata.base, maxTime: null }, ...metadata.anchors]
    return planFromWatermarks(facts, policy, { ...metadata, anchors, partitions: counts })
  }
  if (policy.keysMustStay && facts.topic.partitions > partitions.accepted) {
    return planGrown(facts, policy, metadata, partitions)
  }
  return planFromWatermarks(facts, policy, metadata)
}

/** The log is a new one: all of it came after this service began with the topic's name. */
function planRecreated(facts: TakeoverFacts, policy: TakeoverPolicy): TakeoverPlan {
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

function planFirstStart(facts: TakeoverFacts, policy: TakeoverPolicy): TakeoverPlan {
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
  const reason = `a first start at offset ${first}: the group has no committed offset`
  return { kind: 'pin', metadata: freshMetadata(facts, policy, first, log.start), reason }
}

function startOffset(start: TakeoverPolicy['start'], { start: first, end }: LogRange): number {
  if (start === 'earliest') return first
  return start === 'latest' ? end : Math.min(Math.max(start.offset, first), end)
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
function planGrown(
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

function sameTopic({ siblings, clusterId, topic }: TakeoverFacts): readonly CommitMetadata[] {
  return siblings.filter((one) => one.clusterId === clusterId && !isOtherTopic(one.incarnation, topic.id))
}

function freshMetadata(
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
    partitions: knownCounts(
      sameTopic(facts).map(({ partitions }) => partitions),
      facts.topic.partitions,
    ),
  }
}

function foreignReason(facts: TakeoverFacts, metadata: CommitMetadata | null): string | null {
  const { committed, log } = facts
  if (metadata === null) return 'its metadata was not written by millrace'
  if (metadata.clusterId !== facts.clusterId) {
    return `it was committed on cluster ${metadata.clusterId}, this is ${facts.clusterId}`
  }
  if (metadata.offset !== committed?.offset) {
    return `its metadata says ${metadata.offset} (the offset was moved by another tool)`
  }
  if (facts.foreignLog !== null) return facts.foreignLog
  if (metadata.offset > log.end) return `the log ends at ${log.end} (the topic was recreated or truncated)`
  return null
}

function planLogGone(facts: TakeoverFacts, policy: TakeoverPolicy, metadata: CommitMetadata): TakeoverPlan {
  const { log, name } = facts
  if (policy.onLogGone === 'refuse') {
    throw new MillraceError(
      'OFFSET_BELOW_LOG',
      `${name}: the committed offset ${metadata.offset} is below the log start ${log.start}: ${log.start - metadata.offset} records were deleted unread`,
    )
  }
  const unread = deletedUntil(facts, policy)
  const lost = Math.max(metadata.maxTime ?? unread, unread, lostUntil(metadata.incarnation) ?? -Infinity)
  const fresh = freshMetadata(facts, policy, log.start, log.start, lost)
  const gapUntil = lost + policy.visibleSpanMs
  const partitions = metadata.partitions ?? fresh.partitions ?? null
  const reason = `a new incarnation from the log start ${log.start} on: ${log.start - metadata.offset} records were deleted unread`
  return { kind: 'pin', metadata: { ...fresh, partitions, gapUntil }, reason }
}

function planFromWatermarks(
  facts: TakeoverFacts,
  policy: TakeoverPolicy,
  committed: CommitMetadata,
): TakeoverPlan {
  const metadata = committed.stateHash === policy.stateHash ? committed : withBaseAnchor(committed)
  const { acknowledged } = facts
  if (acknowledged?.incarnation === metadata.incarnation && acknowledged.offset > metadata.offset) {
    return {
      kind: 'again',
      reason: `a commit up to ${acknowledged.offset} was acknowledged, the committed offset is ${metadata.offset}`,
    }
  }
  const parsed = facts.watermarks.map(parseWatermark)
  const ahead = parsed.find((w) => w?.incarnation === metadata.incarnation && w.offset > metadata.offset)
  if (ahead) {
    return {
      kind: 'again',
      reason: `Redis holds state up to ${ahead.offset}, the committed offset is ${metadata.offset}`,
    }
  }
  const rebuildFrom = rebuildStart(facts, policy, metadata)
  const trusted = (w: Watermark | null): w is Watermark =>
    w !== null &&
    w.incarnation === metadata.incarnation &&
    w.offset >= facts.log.start && // an old backup of Redis may need records that no window can see any more
    !outageExceeded(w, facts.nowMs, policy.outageMaxMs)
  const starts = parsed.map((w): Anchor =>
    trusted(w) ? { offset: w.offset, maxTime: w.maxTime } : rebuildFrom,
  )
  const replayFrom = starts.reduce((a, b) => (b.offset < a.offset ? b : a))
  const buckets = parsed.map((w, index): BucketPlan => {
    return {
      expected: facts.watermarks[index] ?? null,
      build: trusted(w) ? w.build : policy.newIdentity(),
      offset: starts[index]?.offset ?? metadata.offset,
      rebuild: !trusted(w),
      distanceMin: trusted(w) ? w.distanceMin : null,
    }
  })
  const rebuilds = buckets.some((bucket) => bucket.rebuild) && rebuildFrom.offset < metadata.offset
  if (replayFrom.offset < Math.min(facts.log.start, metadata.offset)) {
    // An event time this far behind is usual here: history that is read in is not a partition that is quiet.
    const usual = parsed.flatMap((w) => (w?.incarnation === metadata.incarnation ? [w.distanceMin ?? 0] : []))
    return planStateGone(facts, policy, metadata, { from: replayFrom, behindMs: Math.max(0, ...usual) })
  }
  return { kind: 'serve', metadata, replayFrom, buckets, rebuilds }
}

/** Anchors were forgotten by what another definition could see; this one may look back further. */
function withBaseAnchor(metadata: CommitMetadata): CommitMetadata {
  const { anchors, base } = metadata
  if (anchors[0]?.offset === base && anchors[0].maxTime === null) return metadata
  return { ...metadata, anchors: [{ offset: base, maxTime: null }, ...anchors] }
}

/** No deleted event is later: its record came before the oldest one left, and an event may lie ahead of its record by so much. */
function deletedUntil(facts: TakeoverFacts, policy: TakeoverPolicy): number {
  return (facts.oldestTimestamp ?? facts.nowMs) + policy.futureMaxMs
}

/** Whether records were deleted that the decision may need. */
export function missesRecords(
  { committed, log }: Pick<TakeoverFacts, 'committed' | 'log'>,
  { stateHash }: Pick<TakeoverPolicy, 'stateHash'>,
): boolean {
  if (committed === null) return false
  if (committed.offset < log.start) return true
  const metadata = parseMetadata(committed.metadata)
  if (metadata === null) return false
  const { anchors, base, partitions } = metadata
  const isFromBase = metadata.stateHash !== stateHash || !partitions
  return (isFromBase ? base : (anchors[0]?.offset ?? base)) < log.start
}

/** Events at or before (largest time − span) are invisible to every reader, so a rebuild may start behind them. */
function rebuildStart(facts: TakeoverFacts, policy: TakeoverPolicy, metadata: CommitMetadata): Anchor {
  const { slowestReaderTime, committedReaderTime = null, log } = facts
  const from = startFor(slowestReaderTime, facts, policy, metadata)
  // The watermarks of a new definition tell nothing yet, or how far its own rebuilds are. What was committed tells more.
  return from.offset >= log.start || committedReaderTime === null
    ? from
    : startFor(committedReaderTime, facts, policy, metadata)
}

function startFor(
  slowest: number | null,
  facts: TakeoverFacts,
  policy: TakeoverPolicy,
  metadata: CommitMetadata,
): Anchor {
  const newestSeen =
    slowest === null || metadata.maxTime === null ? null : Math.min(slowest, metadata.maxTime)
  const visibleFrom = newestSeen === null ? null : newestSeen - policy.visibleSpanMs
  const anchor = rebuildAnchor(metadata.anchors, visibleFrom, metadata.base)
  const isUnseen = visibleFrom !== null && deletedUntil(facts, policy) <= visibleFrom
  return anchor.offset < facts.log.start && isUnseen ? { offset: facts.log.start, maxTime: null } : anchor
}

interface Need {
  /** Where building has to begin. */
  readonly from: Anchor
  /** How far event time was behind wall time at least, as far as Redis remembers. */
  readonly behindMs: number
}

/** State has to be built from records that were deleted: all of them were read, so the windows tell until when they matter. */
function planStateGone(
  facts: TakeoverFacts,
  policy: TakeoverPolicy,
  metadata: CommitMetadata,
  need: Need,
): TakeoverPlan {
  const { log, name } = facts
  const what = `Redis lost state and building it needs records from offset ${need.from.offset}, but the log starts at ${log.start}`
  const deleted = Math.min(metadata.maxTime ?? Infinity, deletedUntil(facts, policy))
  // Without any event in this incarnation only what an earlier one has lost was ever of use.
  const missing = metadata.maxTime === null ? lostUntil(metadata.incarnation) : deleted
  if (policy.onLogGone === 'refuse' && !isBehindUs(facts, policy, metadata, need, missing)) {
    throw new MillraceError('OFFSET_BELOW_LOG', `${name}: ${what}: retention is shorter than the windows`)
  }
  const { offset, last, quarantine, deadLetters } = metadata
  const lost = latest([missing, lostUntil(metadata.incarnation)])
  const fresh = freshMetadata(facts, policy, offset, log.start, lost)
  const partitions = metadata.partitions ?? fresh.partitions ?? null
  const gapUntil = latest([metadata.gapUntil, missing === null ? null : missing + policy.visibleSpanMs])
  // The event of the largest time is still there: a rebuild must find it.
  const maxTime = metadata.maxTime !== null && deleted < metadata.maxTime ? metadata.maxTime : null
  const reason = `a new incarnation from offset ${offset} on: ${what}`
  const kept = { last, quarantine, ...(deadLetters ? { deadLetters } : {}) }
  return { kind: 'pin', metadata: { ...fresh, ...kept, partitions, gapUntil, maxTime }, reason }
}

/**
 * Whether what is missing is so old that retention was not asked to keep it, and no record to come in this partition can see it:
 * the partition was quiet for long, or only a reader in another one stayed behind. Stopping would mend nothing: nobody
 * can bring the records back, and every start would end the same way. Events that do see it after all are flagged.
 */
function isBehindUs(
  { nowMs, log, nextTimestamp }: TakeoverFacts,
  { visibleSpanMs, outageMaxMs }: TakeoverPolicy,
  { offset, maxTime }: CommitMetadata,
  { from, behindMs }: Need,
  missing: number | null,
): boolean {
  if (missing === null) return true
  const next = (offset >= log.end ? nowMs : (nextTimestamp ?? -Infinity)) - behindMs
  const unseenFrom = missing + visibleSpanMs
  const isOld = nowMs - behindMs > (from.maxTime ?? -Infinity) + visibleSpanMs + outageMaxMs
  return isOld && (next > unseenFrom || (maxTime ?? -Infinity) >= unseenFrom)
}
