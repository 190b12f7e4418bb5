import type { FailureSink } from '../expression/failure.ts'
import type { Event } from '../record/event.ts'

/** One partition's share of one entity's state, in memory: a log sorted by (time, log order). Opaque outside the features stage. */
export interface PartLog {
  /** Approximate bytes held, for the bounded cache. */
  readonly bytes: number
  /** Events held. */
  readonly length: number
  /** Largest offset inserted since creation or decoding; -1 if none. */
  readonly lastOffset: number
}

/** What one partition stores of one entity: fed by events of `source`, read by features over `entity`. */
export interface Layout {
  readonly index: number
  readonly entity: string
  readonly source: string
  readonly merge: boolean
  /**
   * Read by events of other partitions, of a merged entity or of another source: the shares of all partitions lie
   * together. False: only the partition that stores a share reads it.
   */
  readonly shared: boolean
  /**
   * window + delay, the largest over the features that read it, ms; one more for a closed left edge. An event sees
   * nothing at or before its time − horizonMs.
   */
  readonly horizonMs: number
  /** Whether all features that read it have a delay. */
  readonly delayed: boolean
  /** Stored columns, for describe and the state hash; e.g. ['time', 'amountCents', 'where: fraud']. */
  readonly columns: readonly string[]
}

/** Logs of one event's entities while its row is computed. */
export interface PartView {
  /** The own partition's log of `layout` for this event's entity. */
  own(layout: number): PartLog | null
  /**
   * Other partitions' logs of a merged layout for this event's entity, always in the same order of partitions:
   * fractional sums and ties of `last` between partitions depend on it.
   */
  foreign(layout: number): readonly PartLog[]
  /**
   * Events older than this are late: event watermark − allowedLateness. Their windows end where trimming may cut
   * (this − horizon), so that what they see does not depend on when trimming ran. Absent: no event is late.
   */
  readonly lateBeforeMs?: number
}

export interface CompiledFeatures {
  readonly layouts: readonly Layout[]
  /** Names of a row's columns: values first, then features, in topology order. */
  readonly names: readonly string[]
  /** Layouts that events of `source` are inserted into. */
  layoutsFedBy(source: string): readonly Layout[]
  /** Layouts a scored event reads from other partitions: the shared ones. */
  readonly mergedReads: readonly Layout[]
  /** Largest horizon over all layouts, ms; 0 without windows. */
  readonly horizonMs: number
  /** The entity key of an event in a layout; null when a key field is missing or null (then nothing is stored or read). */
  entityKey(layout: Layout, event: Event): string | null
  newPart(layout: Layout): PartLog
  /** Inserts at the event's own time, behind events of the same time. `failures` hears of expressions in error. */
  insert(layout: Layout, part: PartLog, event: Event, failures?: FailureSink): void
  /**
   * Drops events at or before `untilMs` (event time), and counts them. `untilMs` must come from the event watermark of a
   * committed position: after a takeover, events behind that position are scored again and need what they saw.
   * `settledOffset`: events below it are committed, so what the cap hides behind them may be freed; only needed where
   * `encode` and `encodeTail`, which say the same, are never called (replay).
   */
  trim(layout: Layout, part: PartLog, untilMs: number, settledOffset?: number): number
  /** Offsets of the events a part holds in (afterMs, untilMs] (event time), in the order of their times. */
  offsetsWithin(part: PartLog, afterMs: number, untilMs: number): Float64Array
  /**
   * Values and features of one scored event, float64, NaN where missing, in the order of `names`.
   * Called right after the event's insertion; an event that was not inserted is not counted in its own windows.
   * `capped` when a window reaches events that the cap hides.
   */
  row(event: Event, view: PartView, failures?: FailureSink): FeatureRow
  /**
   * Bytes of the whole part as it stood before events from `untilOffset` on were inserted. `untilOffset` must be
   * committed.
   */
  encode(layout: Layout, part: PartLog, untilOffset: number): Buffer
  /** Bytes of the events with offset in [fromOffset, untilOffset), to append behind stored ones. */
  encodeTail(layout: Layout, part: PartLog, fromOffset: number, untilOffset: number): Buffer
  /** Smallest offset at or above `fromOffset` among the events of the part; null: it has none. */
  nextOffset(part: PartLog, fromOffset: number): number | null
  /** Accepts `encode` output followed by any number of `encodeTail` outputs. Throws STATE_FORMAT on damaged or foreign bytes. */
  decode(layout: Layout, bytes: Buffer): PartLog
}

export interface FeatureRow {
  readonly numbers: Float64Array
  readonly capped: boolean
}
