import { isReject, type Event, type Reject } from '../record/event.ts'
import type { RawRecord } from '../record/raw-record.ts'
import type { AppliedRow } from './apply.ts'
import type { PartitionSetup } from './partition-context.ts'
import { loadParts, type LoadedForeign } from './part-loader.ts'
import { cacheShare, loaderOf, type Owned } from './takeover.ts'
import { poisonAttempts, poisonMessage, type Run } from './trial.ts'
import { buildMatrix, type Matrix, type SliceItem } from './matrix.ts'

/** Records decoded and applied to the memory; scoring may be under way. */
export interface PreparedSlice {
  readonly records: readonly RawRecord[]
  readonly items: readonly SliceItem[]
  /** Position after the slice. */
  readonly next: number
  /** Largest event time below `next`. */
  readonly maxTime: number | null
  readonly matrix: Matrix
  readonly decodeMs: number
  readonly featureMs: number
}

const alignPollMs = 50

export interface SliceSignals {
  readonly signal: AbortSignal
  /** Also aborted when the partition drains: nothing of a slice that waits for others is applied yet, so it may be left. */
  readonly wait: AbortSignal
}

/**
 * Decodes records, loads their parts, applies them and computes rows. Returns how many of the records it took: events
 * that the labels (or other partitions) have not caught up with wait, at most `align`, and are then flagged.
 */
export async function prepareSlice(
  setup: PartitionSetup,
  owned: Owned,
  run: Run,
  { signal, wait }: SliceSignals,
): Promise<PreparedSlice> {
  const { shared, decoder } = setup
  const { records, next } = run
  const startedAt = shared.clock.monotonic()
  await decoder.prepare(records, signal)
  await run.enter(wait)
  const decoded = decodeAll(setup, owned, records)
  const decodedAt = shared.clock.monotonic()
  await run.leave()
  const { count, foreign, unalignedAfter } = await loadAligned(setup, owned, decoded, { signal, wait })
  await run.enter(wait)
  const applied = applyAll(owned, decoded.slice(0, count), foreign, unalignedAfter)
  const { items, matrix } = buildMatrix(shared, applied)
  owned.memory.evict(cacheShare(setup))
  const whole = count === records.length
  owned.prepared = whole ? next : (records[count]?.offset ?? next)
  return {
    records: whole ? records : records.slice(0, count),
    items,
    next: owned.prepared,
    maxTime: owned.memory.maxTime,
    matrix,
    decodeMs: decodedAt - startedAt,
    featureMs: shared.clock.monotonic() - decodedAt,
  }
}

function decodeAll(setup: PartitionSetup, owned: Owned, records: readonly RawRecord[]): (Event | Reject)[] {
  const { quarantine } = owned.metadata
  const decoded: (Event | Reject)[] = Array.from({ length: records.length })
  for (let i = 0; i < records.length; i++) {
    const record = records[i] as RawRecord
    decoded[i] =
      quarantine.length > 0 && quarantine.includes(record.offset)
        ? poisoned(record)
        : setup.decoder.decode(record)
  }
  return decoded
}

function poisoned(raw: RawRecord): Reject {
  return {
    rejected: true,
    reason: 'POISON',
    stage: 'model',
    message: poisonMessage,
    attempts: poisonAttempts,
    raw,
  }
}

/** Loads what the events need and, for delayed merged reads, waits until at least the first of them is aligned. */
async function loadAligned(
  setup: PartitionSetup,
  owned: Owned,
  decoded: readonly (Event | Reject)[],
  { signal, wait }: SliceSignals,
): Promise<{ count: number; foreign: LoadedForeign | null; unalignedAfter: number }> {
  const { shared, source } = setup
  owned.flusher.refuseOutlived()
  const events = decoded.filter((item): item is Event => !isReject(item))
  const options = loaderOf(setup, owned)
  const scored = source.role === 'score'
  const giveUpAt = shared.clock.monotonic() + source.alignMs
  for (;;) {
    const foreign = await loadParts(options, events, scored, signal)
    const until = foreign?.alignedUntil ?? Infinity
    const blocked = decoded.findIndex((item) => !isReject(item) && item.time > until)
    if (blocked < 0) return { count: decoded.length, foreign, unalignedAfter: Infinity }
    if (blocked > 0) return { count: blocked, foreign, unalignedAfter: Infinity }
    owned.flusher.waitsAt(owned.prepared, decoded[0] as Event)
    if (shared.clock.monotonic() >= giveUpAt) {
      return { count: decoded.length, foreign, unalignedAfter: until }
    }
    await shared.clock.sleep(alignPollMs, wait)
  }
}

function applyAll(
  owned: Owned,
  decoded: readonly (Event | Reject)[],
  foreign: LoadedForeign | null,
  unalignedAfter: number,
): (AppliedRow | Reject)[] {
  const applied: (AppliedRow | Reject)[] = []
  for (const item of decoded) {
    if (isReject(item)) {
      applied.push(item)
      continue
    }
    const result = owned.applier.apply(item, foreign)
    if (result === null) continue
    if ('rejected' in result) {
      applied.push(result)
      continue
    }
    const flags: AppliedRow['flags'] =
      item.time > unalignedAfter ? [...result.flags, 'unaligned'] : result.flags
    const stamp = foreign?.stampOf(item) ?? null
    applied.push(stamp === null ? { ...result, flags } : { ...result, flags, stamp })
  }
  return applied
}
