import { MillraceError } from '../errors.ts'
import { parseMetadata, rebuildAnchor, type Anchor, type CommitMetadata } from './metadata.ts'
import { freshMetadata } from './new-incarnation.ts'
import type { TakeoverFacts, TakeoverPlan, TakeoverPolicy } from './takeover-types.ts'
import { latest, lostUntil } from './topic-life.ts'

/*
 * What follows when the log no longer begins where a partition needs it: records were deleted before they were read, or
 * before state was built from them again.
 */

/** Whether records were deleted that the decision may need. */
export function missesRecords(
  { committed, log }: Pick<TakeoverFacts, 'committed' | 'log'>,
  { stateHash }: Pick<TakeoverPolicy, 'stateHash'>,
): boolean {
  if (committed === null) return false
  if (committed.offset < log.start) return true
  const metadata = parseMetadata(committed.metadata)
  if (metadata === null || metadata.offset !== committed.offset) return log.start > 0 // windows are built from there
  const { anchors, base, partitions } = metadata
  const isFromBase = metadata.stateHash !== stateHash || !partitions
  return (isFromBase ? base : (anchors[0]?.offset ?? base)) < log.start
}

/** No deleted event is later: its record came before the oldest one left, and an event may lie ahead of its record by so much. */
export function deletedUntil(facts: TakeoverFacts, policy: TakeoverPolicy): number {
  return (facts.oldestTimestamp ?? facts.nowMs) + policy.futureMaxMs
}

export function planLogGone(
  facts: TakeoverFacts,
  policy: TakeoverPolicy,
  metadata: CommitMetadata,
): TakeoverPlan {
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

/** Events at or before (largest time − span) are invisible to every reader, so a rebuild may start behind them. */
export function rebuildStart(facts: TakeoverFacts, policy: TakeoverPolicy, metadata: CommitMetadata): Anchor {
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
export function planStateGone(
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
