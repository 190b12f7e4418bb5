import { MillraceError } from '../errors.ts'
import type { CommittedPosition } from '../commit/transaction.ts'
import type { LogRange } from '../source/source.ts'
import { parseMetadata, rebuildAnchor, type Anchor, type CommitMetadata } from './metadata.ts'
import { outageExceeded, parseWatermark, type Watermark } from './watermark.ts'

/** Everything a takeover decides from, read in this order: claim, position, log range, watermarks. */
export interface TakeoverFacts {
  readonly name: string
  readonly committed: CommittedPosition | null
  readonly log: LogRange
  /** Own watermark text by bucket; null: absent. */
  readonly watermarks: readonly (string | null)[]
  /** Smallest largest-event-time among the partitions that read what this one stores; null: some are unknown; Infinity: nobody else reads it. */
  readonly slowestReaderTime: number | null
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
  readonly outageMaxMs: number
  /** outOfOrder + horizon + lateness: events older than the largest event time by more are invisible. */
  readonly visibleSpanMs: number
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
  | { readonly kind: 'pin'; readonly metadata: CommitMetadata }
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
  const foreign = foreignReason(facts, metadata)
  if (metadata === null || foreign !== null) {
    if (policy.onForeignOffset === 'refuse') {
      throw new MillraceError(
        'OFFSET_FOREIGN',
        `${name}: the committed offset ${committed.offset} is not this service's: ${foreign}`,
      )
    }
    const start = Math.min(Math.max(committed.offset, log.start), log.end)
    return { kind: 'pin', metadata: freshMetadata(facts, policy, start, log.start) }
  }
  if (committed.offset < log.start) return planLogGone(facts, policy, metadata)
  return planFromWatermarks(facts, policy, metadata)
}

function planFirstStart(facts: TakeoverFacts, policy: TakeoverPolicy): TakeoverPlan {
  const remembered = facts.watermarks.map(parseWatermark).find((w) => w !== null)
  if (remembered && remembered.offset <= facts.log.end && remembered.offset > facts.log.start) {
    throw new MillraceError(
      'OFFSET_LOST',
      `${facts.name}: the group has no committed offset, but Redis holds state up to offset ${remembered.offset}`,
    )
  }
  const { start, end } = facts.log
  const first =
    policy.start === 'earliest'
      ? start
      : policy.start === 'latest'
        ? end
        : Math.min(Math.max(policy.start.offset, start), end)
  return { kind: 'pin', metadata: freshMetadata(facts, policy, first, start) }
}

function freshMetadata(
  facts: TakeoverFacts,
  policy: TakeoverPolicy,
  start: number,
  base: number,
): CommitMetadata {
  return {
    incarnation: policy.newIdentity(),
    stateHash: policy.stateHash,
    clusterId: facts.clusterId,
    offset: start,
    last: null,
    maxTime: null,
    start,
    base,
    anchors: [],
    quarantine: [],
    gapUntil: null,
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
  const fresh = freshMetadata(facts, policy, log.start, log.start)
  const gapUntil = metadata.maxTime === null ? null : metadata.maxTime + policy.visibleSpanMs
  return { kind: 'pin', metadata: { ...fresh, gapUntil } }
}

function planFromWatermarks(
  facts: TakeoverFacts,
  policy: TakeoverPolicy,
  metadata: CommitMetadata,
): TakeoverPlan {
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
  if (rebuilds) refuseIfLogTooShort(facts, policy, rebuildFrom)
  return { kind: 'serve', metadata, replayFrom, buckets, rebuilds }
}

/** Events at or before (largest time − span) are invisible to every reader, so a rebuild may start behind them. */
function rebuildStart(facts: TakeoverFacts, policy: TakeoverPolicy, metadata: CommitMetadata): Anchor {
  const slowest = facts.slowestReaderTime
  const newestSeen =
    slowest === null || metadata.maxTime === null ? null : Math.min(slowest, metadata.maxTime)
  const visibleFrom = newestSeen === null ? null : newestSeen - policy.visibleSpanMs
  return rebuildAnchor(metadata.anchors, visibleFrom, metadata.base)
}

function refuseIfLogTooShort(facts: TakeoverFacts, policy: TakeoverPolicy, from: Anchor): void {
  if (from.offset >= facts.log.start || policy.onLogGone === 'accept-gap') return
  throw new MillraceError(
    'OFFSET_BELOW_LOG',
    `${facts.name}: Redis lost its state and a rebuild needs records from offset ${from.offset}, but the log starts at ${facts.log.start}: retention is shorter than the windows`,
  )
}
