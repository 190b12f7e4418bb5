import { MillraceError } from '../errors.ts'
import type { Claim, CommittedPosition } from '../commit/transaction.ts'
import { isReject, type Event } from '../record/event.ts'
import { inputName } from '../record/input.ts'
import type { RawRecord } from '../record/raw-record.ts'
import type { InputStream, LogRange } from '../source/source.ts'
import { begins } from '../time/watchdog.ts'
import { createApplier, type Applier } from './apply.ts'
import { Flusher } from './flusher.ts'
import { HeldForeign } from './held-foreign.ts'
import { encodeMetadata, recordDigest, type CommitMetadata } from './metadata.ts'
import { loadParts, type LoaderOptions } from './part-loader.ts'
import { keptForMs, type PartitionSetup, type StateSetup } from './partition-context.ts'
import { PartitionMemory } from './partition-memory.ts'
import { awaitedFor, mergedReads, type MergedRead } from './peers.ts'
import { readFacts, storesMerged, type KnownBefore } from './takeover-facts.ts'
import { planTakeover } from './takeover-plan.ts'
import type { TakeoverPlan } from './takeover-types.ts'
import { unbounded, wasAccepted, type TimeBounds } from './time-bounds.ts'
import type { TopicLives } from './topic-life.ts'

/** State of one partition in memory, and how it gets into the store. */
export interface Held {
  readonly memory: PartitionMemory
  readonly flusher: Flusher
  readonly applier: Applier
  readonly merged: readonly MergedRead[]
  readonly foreign: HeldForeign
  /** As committed last. */
  metadata: CommitMetadata
  /** Largest event time of the slowest reader of what this partition stores; refreshed while serving. */
  readerTime: number | null
}

/** One partition, owned: claimed, its state known up to the committed offset. */
export interface Owned extends Held {
  readonly claim: Claim
  /** Offset after the last slice applied to the memory. */
  prepared: number
  /** Which event times below `prepared` were refused. */
  times: TimeBounds
  /** Record timestamp of the oldest record taken but not committed. */
  pendingTimestamp: number | null
  /** Wall clock of the last acknowledged commit. */
  committedAt: number | null
}

export type ServePlan = Extract<TakeoverPlan, { kind: 'serve' }>

/** Records replayed per step; the flusher runs between steps. */
const replayRowsMax = 2_000

/** A plan, and what it was made from. */
export interface PlannedOwnership {
  readonly plan: ServePlan
  readonly log: LogRange
  readonly readerTime: number | null
  readonly topics: TopicLives
}

/**
 * R3: claim → read position → read watermarks → decide. The claim is the caller's to close on any trouble.
 * Resolves with a plan to serve; pins start and incarnation first where nothing usable was committed.
 */
export async function planOwnership(
  setup: PartitionSetup,
  stream: InputStream,
  claim: Claim,
  before: KnownBefore,
  signal: AbortSignal,
): Promise<PlannedOwnership> {
  const { shared, input } = setup
  const name = inputName(input)
  // Of the topic that the offset is of, or of a later one: the watch then tells.
  const topics = await shared.topics.look(signal)
  let foreign = before.foreignLog
  let pinned: CommittedPosition | null = null
  for (let attempt = 0; ; attempt++) {
    // An acknowledged commit may be invisible to reads until its markers are written: what was pinned is not read again.
    const committed: CommittedPosition | null = pinned ?? (await claim.committed(signal))
    const known = { foreignLog: foreign, acknowledged: before.acknowledged }
    const { facts, policy, log, readerTime } = await readFacts(
      setup,
      stream,
      topics,
      committed,
      known,
      signal,
    )
    const plan = planTakeover(facts, policy)
    if (plan.kind === 'serve') {
      return { plan, log, readerTime, topics: new Map(topics).set(input.topic, facts.topic) }
    }
    if (plan.kind === 'pin') {
      const { metadata } = plan
      shared.observer.begun(input, plan.reason)
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

export function own(
  setup: PartitionSetup,
  stream: InputStream,
  claim: Claim,
  plan: ServePlan,
  readerTime: number | null,
): Owned {
  const held = hold(setup, stream, plan, readerTime)
  return Object.assign(held, {
    claim,
    prepared: plan.metadata.offset,
    times: plan.metadata.times ?? unbounded,
    pendingTimestamp: null,
    committedAt: null,
  })
}

/** Memory, flusher and applier for a plan. */
export function hold(
  setup: StateSetup,
  stream: InputStream,
  plan: ServePlan,
  readerTime: number | null,
): Held {
  const { shared, source, input } = setup
  const { features, store: limits } = shared.plan
  const ttlMs = keptForMs(shared.plan)
  const memory = new PartitionMemory(
    features,
    shared.store.buckets,
    (key) => shared.store.bucketOf(key),
    { ttlMs, monotonic: () => shared.clock.monotonic() },
    shared.store.flushMax.changes,
  )
  memory.maxTime = plan.replayFrom.maxTime
  const merged = mergedReads(shared.plan, shared.partitionCounts)
  const flusher = new Flusher({
    store: shared.store,
    memory,
    clock: shared.clock,
    inputName: inputName(input),
    incarnation: plan.metadata.incarnation,
    buckets: plan.buckets,
    replayFrom: plan.replayFrom,
    ttlMs,
    rowsMax: limits.unflushedRowsMax,
    ageMaxMs: limits.unflushedAgeMaxMs,
    outageMaxMs: limits.outageMaxMs,
    awaited: awaitedFor(merged, source.name),
    isShared: storesMerged(setup),
    // Of what is flushed, not of what is committed: in a rebuild the others must not take an empty share for a whole one.
    // As old as the news of the log's end: a partition that does not fetch does not know what arrives.
    caughtUpAt: (offset) =>
      stream.highWatermark >= 0 && offset >= stream.highWatermark ? stream.highWatermarkAt : 0,
    flushed: (offset, changes, durationMs) => shared.observer.flushed(input, offset, changes, durationMs),
  })
  const replayedFrom = plan.buckets.map((bucket) => bucket.offset)
  const held: Held = {
    memory,
    flusher,
    merged,
    foreign: new HeldForeign(),
    metadata: plan.metadata,
    readerTime,
    applier: createApplier({
      plan: shared.plan,
      source,
      memory,
      committedTime: () => flusher.target.maxTime,
      slowestReaderTime: () => held.readerTime,
      storedBelow: (entityKey) => replayedFrom[shared.store.bucketOf(entityKey)] ?? 0,
      gapUntil: plan.metadata.gapUntil,
      failed: (place, message) => shared.observer.expressionFailed(input, place, message),
    }),
  }
  return held
}

/** Re-applies [W, c): state only. Afterwards the memory is the state at the committed offset, and the stream stands there. */
export async function replay(
  setup: StateSetup,
  stream: InputStream,
  owned: Held,
  plan: Pick<ServePlan, 'metadata' | 'replayFrom'>,
  log: LogRange,
  signal: AbortSignal,
): Promise<void> {
  const { metadata, replayFrom } = plan
  const until = metadata.offset
  // Before anything of this log can reach the store.
  await verifyLast(setup, stream, metadata, log, signal)
  const from = Math.max(log.start, Math.min(replayFrom.offset, until))
  stream.seek(from)
  while (stream.position < until) {
    const taken = await stream.take(replayRowsMax, signal)
    const records = taken.records.filter((record) => record.offset < until)
    const due = records.filter((record) => record.offset >= replayFrom.offset)
    await applyState(setup, owned, due, signal)
    const reached = Math.min(taken.next, until)
    if (reached > replayFrom.offset) {
      owned.flusher.committed({ offset: reached, maxTime: owned.memory.maxTime }, due.length)
    }
    evict(setup, owned)
    await owned.flusher.room(signal)
  }
  verifyReplay(setup, owned, metadata, from <= replayFrom.offset)
  owned.flusher.committed({ offset: until, maxTime: owned.memory.maxTime }, 0)
  stream.seek(until)
}

/** How parts of an owned partition are loaded. */
export function loaderOf({ shared, input }: StateSetup, owned: Held): LoaderOptions {
  return {
    shared,
    topic: input.topic,
    inputName: inputName(input),
    incarnation: owned.metadata.incarnation,
    memory: owned.memory,
    flusher: owned.flusher,
    fed: owned.applier.fed,
    merged: owned.merged,
    foreign: owned.foreign,
    ttlMs: keptForMs(shared.plan),
  }
}

async function applyState(
  setup: StateSetup,
  owned: Held,
  records: readonly RawRecord[],
  signal: AbortSignal,
): Promise<void> {
  const { decoder, trials } = setup
  await decoder.prepare(records, signal)
  const quarantine = new Set(owned.metadata.quarantine)
  const times = owned.metadata.times ?? unbounded
  const name = inputName(setup.input)
  const events: Event[] = []
  await trials.turns.shared(signal, () => {
    for (const record of records) {
      if (quarantine.has(record.offset)) continue
      begins(name, record.offset)
      const decoded = decoder.decode(record)
      if (!isReject(decoded) && wasAccepted(times, decoded)) events.push(decoded)
    }
  })
  await loadParts(loaderOf(setup, owned), events, null, signal)
  await trials.turns.shared(signal, () => {
    for (const event of events) {
      begins(name, event.raw.offset)
      owned.applier.replay(event)
    }
  })
}

/** The last consumed record, read again even when no state needs it, tells this log from another. */
async function verifyLast(
  { input }: StateSetup,
  stream: InputStream,
  { last }: CommitMetadata,
  log: LogRange,
  signal: AbortSignal,
): Promise<void> {
  if (last === null || last.offset < log.start) return
  stream.seek(last.offset)
  const { records } = await stream.take(1, signal)
  const found = records[0]
  if (found?.offset === last.offset && recordDigest(found) === last.digest) return
  throw new MillraceError(
    'OFFSET_FOREIGN',
    `${inputName(input)}: the record at offset ${last.offset} is not the one this service consumed: the topic was recreated or rewritten`,
  )
}

function verifyReplay(setup: StateSetup, owned: Held, metadata: CommitMetadata, whole: boolean): void {
  const name = inputName(setup.input)
  if (whole && metadata.maxTime !== null && owned.memory.maxTime !== metadata.maxTime) {
    throw new MillraceError(
      'OFFSET_FOREIGN',
      `${name}: replaying up to offset ${metadata.offset} ends at event time ${owned.memory.maxTime}, committed was ${metadata.maxTime}: the log changed`,
    )
  }
}

/** Of a partition's share of the cache, what parts of others may take. */
const foreignShare = 1 / 4

/** Down to the partition's share of the cache, parts of others included. */
export function evict(setup: StateSetup, { memory, foreign }: Held): void {
  const bytesMax = cacheShare(setup)
  foreign.evict(bytesMax * foreignShare)
  memory.evict(bytesMax - foreign.bytes)
}

/** Every partition of the process gets an equal share of the cache. */
function cacheShare({ shared }: StateSetup): number {
  let partitions = 0
  for (const count of shared.partitionCounts.values()) partitions += count
  return shared.plan.store.cacheMaxBytes / Math.max(1, partitions)
}
