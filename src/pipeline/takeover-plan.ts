import { MillraceError } from '../errors.ts'
import { deletedUntil, missesRecords, planLogGone, planStateGone, rebuildStart } from './deleted-records.ts'
import { parseMetadata, type Anchor, type CommitMetadata } from './metadata.ts'
import { freshMetadata, planFirstStart, planGrown, planRecreated, sameTopic } from './new-incarnation.ts'
import type { BucketPlan, TakeoverFacts, TakeoverPlan, TakeoverPolicy } from './takeover-types.ts'
import { isOtherTopic, knownCounts, latest, lostUntil } from './topic-life.ts'
import { outageExceeded, parseWatermark, type Watermark } from './watermark.ts'

/** What to do with a partition: begin anew, wait, or serve from what is committed and what of the store can be trusted. */
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
    const lost = missesRecords(facts, policy) ? deletedUntil(facts, policy) : null
    const fresh = freshMetadata(facts, policy, start, log.start, lost)
    const gapUntil = latest([facts.trimmedFor, lost === null ? null : lost + policy.visibleSpanMs])
    return { kind: 'pin', metadata: { ...fresh, gapUntil }, reason }
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

function planFromWatermarks(
  facts: TakeoverFacts,
  policy: TakeoverPolicy,
  committed: CommitMetadata,
): TakeoverPlan {
  const metadata = committed.stateHash === policy.stateHash ? committed : redefined(committed, policy)
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

/**
 * Anchors were forgotten by what another definition could see; this one may look back further. So it may miss deleted
 * records for longer, too.
 */
function redefined(metadata: CommitMetadata, policy: TakeoverPolicy): CommitMetadata {
  const { anchors, base, incarnation } = metadata
  const hasBase = anchors[0]?.offset === base && anchors[0].maxTime === null
  const lost = lostUntil(incarnation)
  return {
    ...metadata,
    anchors: hasBase ? anchors : [{ offset: base, maxTime: null }, ...anchors],
    gapUntil: latest([metadata.gapUntil, lost === null ? null : lost + policy.visibleSpanMs]),
  }
}
