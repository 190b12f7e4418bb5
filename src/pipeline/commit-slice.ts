import { MillraceError } from '../errors.ts'
import { inputName } from '../record/input.ts'
import type { DeadLetterShare } from './dead-letter-share.ts'
import { advanceAnchors, recordDigest, type CommitMetadata } from './metadata.ts'
import { visibleSpanMs, type Batching, type PartitionSetup } from './partition-context.ts'
import { publish, type Published } from './publish.ts'
import type { PreparedSlice } from './slice.ts'
import type { Owned } from './takeover.ts'
import { storesMerged } from './takeover-facts.ts'
import { trimBounds } from './time-bounds.ts'
import type { Trial } from './trial.ts'

/** R4, R5: scores in hand, one transaction, and only after its acknowledgement anything goes to the store. */
export async function commitSlice(
  setup: PartitionSetup,
  owned: Owned,
  slice: PreparedSlice,
  scored: ReturnType<Batching['score']>,
  { share, trial }: { readonly share: DeadLetterShare; readonly trial: Trial },
  signal: AbortSignal,
): Promise<void> {
  const { clock } = setup.shared
  const waitedFrom = clock.monotonic()
  const scores = await scored
  const scoredAt = clock.monotonic()
  const published = await publish(setup, owned, slice, scores, signal)
  refuseTooManyDeadLetters(setup, share, slice, published)
  signal.throwIfAborted()
  const metadata = nextMetadata(setup, owned, slice, { share, trial })
  const encodedAt = clock.monotonic()
  await trial.commit(published.outputs, metadata)
  owned.committedAt = clock.now()
  owned.flusher.committed({ offset: slice.next, maxTime: slice.maxTime }, slice.records.length)
  report(setup, slice, published, {
    decode: slice.decodeMs,
    feature: slice.featureMs,
    queue: scoredAt - waitedFrom,
    encode: encodedAt - scoredAt,
    commit: clock.monotonic() - encodedAt,
  })
}

function nextMetadata(
  setup: PartitionSetup,
  owned: Owned,
  slice: PreparedSlice,
  { share, trial }: { readonly share: DeadLetterShare; readonly trial: Trial },
): CommitMetadata {
  const { shared } = setup
  const before = owned.metadata
  const last = slice.records.at(-1)
  const spanMs = visibleSpanMs(shared.plan)
  // Peers may be behind this partition and still see older events; how far is sometimes not known.
  const readerTime = storesMerged(setup) ? (owned.readerTime ?? -Infinity) : Infinity
  const slowest = Math.min(readerTime, slice.maxTime ?? Infinity)
  const anchors = advanceAnchors(
    before.anchors,
    { offset: slice.next, maxTime: slice.maxTime },
    slowest - spanMs,
    spanMs,
  )
  return {
    ...before,
    stateHash: shared.plan.stateHash,
    offset: slice.next,
    last: last === undefined ? before.last : { offset: last.offset, digest: recordDigest(last) },
    maxTime: slice.maxTime,
    anchors,
    times: trimBounds(slice.times, anchors[0]?.offset ?? before.base),
    attempt: trial.noteAfter(slice),
    deadLetters: share.counts,
  }
}

function refuseTooManyDeadLetters(
  { shared, input }: PartitionSetup,
  share: DeadLetterShare,
  slice: PreparedSlice,
  published: Published,
): void {
  const exceeded = share.add(slice.records.length, published.rejects.length)
  if (exceeded === null) return
  const { of } = shared.plan.limits.deadLetterShareMax
  const newest = published.rejects.at(-1)
  throw new MillraceError(
    'DEAD_LETTER_SHARE',
    `${inputName(input)}: ${Math.round(exceeded * 100)} % of the last ${of} records would be dead letters, the newest for ${newest?.reason} at offset ${newest?.raw.offset}`,
  )
}

function report(
  { shared, input }: PartitionSetup,
  slice: PreparedSlice,
  published: Published,
  durationsMs: {
    decode: number
    feature: number
    queue: number
    encode: number
    commit: number
  },
): void {
  const timestamps = new Float64Array(published.predictions)
  let at = 0
  for (const item of slice.items) {
    if (item.kind === 'row' && at < timestamps.length) timestamps[at++] = item.applied.event.raw.timestamp
  }
  shared.observer.committed({
    input,
    records: slice.records.length,
    predictions: published.predictions,
    alerts: published.alerts,
    rejects: published.rejects,
    flagged: published.flagged,
    behind: published.behind,
    timestamps,
    acknowledgedAt: shared.clock.now(),
    durationsMs,
  })
}
