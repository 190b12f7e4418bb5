import { MillraceError } from '../errors.ts'
import type { Claim, CommittedPosition } from '../commit/transaction.ts'
import { isReject, type Event } from '../record/event.ts'
import { inputName } from '../record/input.ts'
import type { RawRecord } from '../record/raw-record.ts'
import type { InputStream, LogRange } from '../source/source.ts'
import { createApplier, type Applier } from './apply.ts'
import { Flusher } from './flusher.ts'
import { encodeMetadata, recordDigest, type CommitMetadata } from './metadata.ts'
import { loadParts, type LoaderOptions } from './part-loader.ts'
import { latenessMs, scoredSource, visibleSpanMs, type PartitionSetup } from './partition-context.ts'
import { PartitionMemory } from './partition-memory.ts'
import { mergedReads, parseAll, slowestReader, type MergedRead } from './peers.ts'
import { planTakeover, type TakeoverPlan, type TakeoverPolicy } from './takeover-plan.ts'

/** One partition, owned: claimed, its state known up to the committed offset. */
export interface Owned {
  readonly claim: Claim
  readonly memory: PartitionMemory
  readonly flusher: Flusher
  readonly applier: Applier
  readonly merged: readonly MergedRead[]
  /** As committed last. */
  metadata: CommitMetadata
  /** Largest event time of the slowest reader of what this partition stores; refreshed while serving. */
  readerTime: number | null
  /** Offset after the last slice applied to the memory. */
  prepared: number
  /** Record timestamp of the oldest record taken but not committed. */
  pendingTimestamp: number | null
  /** Wall clock of the last acknowledged commit. */
  committedAt: number | null
}

type ServePlan = Extract<TakeoverPlan, { kind: 'serve' }>

/** Records replayed per step; the flusher runs between steps. */
const replayRowsMax = 2_000

/** What this process learned while it owned the partition before. */
export interface KnownBefore {
  readonly foreignLog: string | null
  readonly acknowledged: { readonly incarnation: string; readonly offset: number } | null
}

/**
 * R3: claim → read position → read watermarks → decide. The claim is the caller's to close on any trouble.
 * Resolves with a plan to serve; pins start and incarnation first where nothing usable was committed.
 */
export async function planOwnership(
  setup: PartitionSetup,
  stream: InputStream,
  claim: Claim,
  known: KnownBefore,
  signal: AbortSignal,
): Promise<{ plan: ServePlan; log: LogRange; readerTime: number | null }> {
  const { shared, input } = setup
  const name = inputName(input)
  let foreign = known.foreignLog
  let pinned: CommittedPosition | null = null
  for (let attempt = 0; ; attempt++) {
    // An acknowledged commit may be invisible to reads until its markers are written: what was pinned is not read again.
    const committed: CommittedPosition | null = pinned ?? (await claim.committed(signal))
    const log = await stream.logRange()
    const watermarks: (string | null)[] = []
    let peers: ReadonlyMap<string, string> = new Map()
    for (let bucket = 0; bucket < shared.store.buckets; bucket++) {
      peers = await shared.store.watermarks(bucket, signal)
      watermarks.push(peers.get(name) ?? null)
    }
    const nowMs = shared.clock.now()
    const readerTime = slowestReader(shared.plan, shared.partitionCounts, parseAll(peers), nowMs)
    const slowestReaderTime = storesMerged(setup) ? readerTime : Infinity
    const start = await startOffset(setup, stream)
    const plan = planTakeover(
      {
        name,
        committed,
        log,
        watermarks,
        slowestReaderTime,
        nowMs,
        clusterId: shared.clusterId,
        foreignLog: foreign,
        acknowledged: known.acknowledged,
      },
      { ...policyOf(setup), start },
    )
    if (plan.kind === 'serve') return { plan, log, readerTime }
    if (plan.kind === 'pin') {
      const { metadata } = plan
      pinned = { offset: metadata.offset, metadata: encodeMetadata(metadata) }
      await claim.run([], pinned)
      foreign = null
    } else if (attempt >= aheadTriesMax) {
      throw new MillraceError('COMMIT_LOST', `${name}: ${plan.reason}`)
    } else {
      await shared.clock.sleep(aheadWaitMs, signal)
    }
  }
}

/** A late flush of an earlier owner may be seen before its commit is; that ends within milliseconds. */
const aheadTriesMax = 20
const aheadWaitMs = 100

function storesMerged({ shared, source }: PartitionSetup): boolean {
  const { features } = shared.plan
  return features.layoutsFedBy(source.name).some((layout) => features.mergedReads.includes(layout))
}

async function startOffset(setup: PartitionSetup, stream: InputStream): Promise<TakeoverPolicy['start']> {
  const { start } = setup.source
  if (typeof start === 'string') return start
  return { offset: await stream.offsetAt(start) }
}

function policyOf({ shared }: PartitionSetup): Omit<TakeoverPolicy, 'start'> {
  const { store, stateHash } = shared.plan
  return {
    stateHash,
    onForeignOffset: store.onForeignOffset,
    onLogGone: store.onLogGone,
    outageMaxMs: store.outageMaxMs,
    visibleSpanMs: visibleSpanMs(shared.plan),
    newIdentity: shared.newIdentity,
  }
}

/** Memory, flusher and applier for a plan. */
export function own(
  setup: PartitionSetup,
  stream: InputStream,
  claim: Claim,
  plan: ServePlan,
  readerTime: number | null,
): Owned {
  const { shared, source, input } = setup
  const { features, store: limits } = shared.plan
  const memory = new PartitionMemory(features, shared.store.buckets, (key) => shared.store.bucketOf(key))
  memory.maxTime = plan.replayFrom.maxTime
  const scored = scoredSource(shared.plan)
  const flusher = new Flusher({
    store: shared.store,
    memory,
    clock: shared.clock,
    inputName: inputName(input),
    incarnation: plan.metadata.incarnation,
    buckets: plan.buckets,
    replayFrom: plan.replayFrom,
    ttlMs:
      scored.outOfOrderMs + features.horizonMs + latenessMs(scored, features.horizonMs) + limits.outageMaxMs,
    rowsMax: limits.unflushedRowsMax,
    ageMaxMs: limits.unflushedAgeMaxMs,
    // Of what is flushed, not of what is committed: in a rebuild the others must not take an empty share for a whole one.
    // As old as the news of the log's end: a partition that does not fetch does not know what arrives.
    caughtUpAt: (offset) =>
      stream.highWatermark >= 0 && offset >= stream.highWatermark ? stream.highWatermarkAt : 0,
    flushed: (offset, changes, durationMs) => shared.observer.flushed(input, offset, changes, durationMs),
  })
  const replayedFrom = plan.buckets.map((bucket) => bucket.offset)
  const owned: Owned = {
    claim,
    memory,
    flusher,
    merged: mergedReads(shared.plan, shared.partitionCounts),
    metadata: plan.metadata,
    readerTime,
    prepared: plan.metadata.offset,
    pendingTimestamp: null,
    committedAt: null,
    applier: createApplier({
      plan: shared.plan,
      source,
      memory,
      committedTime: () => flusher.target.maxTime,
      slowestReaderTime: () => owned.readerTime,
      storedBelow: (entityKey) => replayedFrom[shared.store.bucketOf(entityKey)] ?? 0,
      gapUntil: plan.metadata.gapUntil,
    }),
  }
  return owned
}

/** Re-applies [W, c): state only. Afterwards the memory is the state at the committed offset, and the stream stands there. */
export async function replay(
  setup: PartitionSetup,
  stream: InputStream,
  owned: Owned,
  plan: ServePlan,
  log: LogRange,
  signal: AbortSignal,
): Promise<void> {
  const { metadata, replayFrom } = plan
  const last = metadata.last
  const until = metadata.offset
  // The last consumed record is read again even when no state needs it: it tells this log from another.
  const from = Math.max(log.start, Math.min(replayFrom.offset, last?.offset ?? until))
  stream.seek(from)
  let lastSeen = last === null || last.offset < log.start
  while (stream.position < until) {
    const taken = await stream.take(replayRowsMax, signal)
    const records = taken.records.filter((record) => record.offset < until)
    for (const record of records) {
      if (record.offset === last?.offset) lastSeen = recordDigest(record) === last.digest
    }
    const due = records.filter((record) => record.offset >= replayFrom.offset)
    await applyState(setup, owned, due, signal)
    const reached = Math.min(taken.next, until)
    if (reached > replayFrom.offset) {
      owned.flusher.committed({ offset: reached, maxTime: owned.memory.maxTime }, due.length)
    }
    owned.memory.evict(cacheShare(setup))
    await owned.flusher.room(signal)
  }
  verifyReplay(setup, owned, metadata, lastSeen, from <= replayFrom.offset)
  owned.flusher.committed({ offset: until, maxTime: owned.memory.maxTime }, 0)
  stream.seek(until)
}

/** How parts of an owned partition are loaded. */
export function loaderOf({ shared, input }: PartitionSetup, owned: Owned): LoaderOptions {
  return {
    shared,
    inputName: inputName(input),
    memory: owned.memory,
    flusher: owned.flusher,
    fed: owned.applier.fed,
    merged: owned.merged,
  }
}

async function applyState(
  setup: PartitionSetup,
  owned: Owned,
  records: readonly RawRecord[],
  signal: AbortSignal,
): Promise<void> {
  const { decoder } = setup
  await decoder.prepare(records, signal)
  const quarantine = new Set(owned.metadata.quarantine)
  const events: Event[] = []
  for (const record of records) {
    if (quarantine.has(record.offset)) continue
    const decoded = decoder.decode(record)
    if (!isReject(decoded)) events.push(decoded)
  }
  await loadParts(loaderOf(setup, owned), events, false, signal)
  for (const event of events) owned.applier.replay(event)
}

function verifyReplay(
  setup: PartitionSetup,
  owned: Owned,
  metadata: CommitMetadata,
  lastSeen: boolean,
  whole: boolean,
): void {
  const name = inputName(setup.input)
  if (!lastSeen) {
    throw new MillraceError(
      'OFFSET_FOREIGN',
      `${name}: the record at offset ${metadata.last?.offset} is not the one this service consumed: the topic was recreated or rewritten`,
    )
  }
  if (whole && metadata.maxTime !== null && owned.memory.maxTime !== metadata.maxTime) {
    throw new MillraceError(
      'OFFSET_FOREIGN',
      `${name}: replaying up to offset ${metadata.offset} ends at event time ${owned.memory.maxTime}, committed was ${metadata.maxTime}: the log changed`,
    )
  }
}

/** Every partition of the process gets an equal share of the cache. */
export function cacheShare({ shared }: PartitionSetup): number {
  let partitions = 0
  for (const count of shared.partitionCounts.values()) partitions += count
  return shared.plan.store.cacheMaxBytes / Math.max(1, partitions)
}
