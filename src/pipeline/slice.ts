import { isReject, type Event, type Reject } from '../record/event.ts'
import { inputName } from '../record/input.ts'
import type { RawRecord } from '../record/raw-record.ts'
import { begins } from '../time/watchdog.ts'
import type { AppliedRow } from './apply.ts'
import type { PartitionSetup } from './partition-context.ts'
import { loadAligned, type Aligned, type SliceSignals } from './alignment.ts'
import type { Stamp } from './peers.ts'
import { evict, type Owned } from './takeover.ts'
import { boundTimes, type TimeBounds } from './time-bounds.ts'
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
  /** Which event times below `next` were refused. */
  readonly times: TimeBounds
  readonly matrix: Matrix
  readonly decodeMs: number
  readonly featureMs: number
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
  const read = decodeAll(setup, owned, records)
  const until = shared.clock.now() + setup.source.limits.futureMaxMs
  const bounded = boundTimes(owned.times, read, until)
  const decoded = bounded.items
  const decodedAt = shared.clock.monotonic()
  await run.leave()
  const aligned = await loadAligned(setup, owned, decoded, { signal, wait })
  await run.enter(wait)
  const { count } = aligned
  const applied = applyAll(owned, inputName(setup.input), decoded.slice(0, count), aligned)
  owned.times =
    count === read.length ? bounded.bounds : boundTimes(owned.times, read.slice(0, count), until).bounds
  const { items, matrix } = buildMatrix(shared, applied)
  evict(setup, owned)
  const whole = count === records.length
  owned.prepared = whole ? next : (records[count]?.offset ?? next)
  return {
    records: whole ? records : records.slice(0, count),
    items,
    next: owned.prepared,
    maxTime: owned.memory.maxTime,
    times: owned.times,
    matrix,
    decodeMs: decodedAt - startedAt,
    featureMs: shared.clock.monotonic() - decodedAt,
  }
}

function decodeAll(setup: PartitionSetup, owned: Owned, records: readonly RawRecord[]): (Event | Reject)[] {
  const { quarantine } = owned.metadata
  const name = inputName(setup.input)
  const decoded: (Event | Reject)[] = Array.from({ length: records.length })
  for (let i = 0; i < records.length; i++) {
    const record = records[i] as RawRecord
    begins(name, record.offset)
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

function applyAll(
  owned: Owned,
  name: string,
  decoded: readonly (Event | Reject)[],
  { foreign, unalignedAfter, behind }: Aligned,
): (AppliedRow | Reject)[] {
  const applied: (AppliedRow | Reject)[] = []
  for (const item of decoded) {
    begins(name, item.raw.offset)
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
    const stamp = foreign?.stampOf(item) ?? null
    const stamped = stamp === null ? result : { ...result, stamp }
    applied.push(item.time > unalignedAfter ? unaligned(stamped, behind) : stamped)
  }
  return applied
}

function unaligned(applied: AppliedRow, behind: Stamp): AppliedRow {
  const flags: AppliedRow['flags'] = [...applied.flags, 'unaligned']
  return { ...applied, flags, behind }
}
