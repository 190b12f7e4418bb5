import type { InputPartition } from '../record/input.ts'
import type { RawRecord } from '../record/raw-record.ts'

/**
 * Ordered fetches of the partitions that the consumer group assigns to this process.
 *
 * Promise: records of one stream come in offset order, without gaps other than control and aborted
 * records, starting at the last `seek`; nothing fetched before a seek or in an earlier generation is delivered.
 */
export interface Source {
  /** Joins the group. `handler` is called for every generation; resolves when joined once. */
  start(handler: AssignmentHandler): Promise<void>
  /** Leaves the group. Tasks must be stopped before. Idempotent. */
  stop(): Promise<void>
}

export interface AssignmentHandler {
  /** A new generation: all earlier streams are dead. New streams are paused until their first `seek`. */
  assigned(streams: readonly InputStream[]): void
  /**
   * The group rebalances (or the process stops): finish or abort what is open. The source rejoins when
   * the promise settles; it must settle within the revoke deadline.
   */
  revoking(): Promise<void>
  /** The client died for good. The process must exit with code 1. */
  crashed(error: unknown): void
}

export interface InputStream {
  readonly input: InputPartition
  /** Aborted when the generation ends. */
  readonly ended: AbortSignal
  /** Drops what is queued and fetches from `offset` on. */
  seek(offset: number): void
  /** Waits for the next records, at most `rowsMax`. Empty `records` means only control or aborted records were skipped. */
  take(rowsMax: number, signal: AbortSignal): Promise<Taken>
  /** Resolves after a heartbeat was accepted in this generation after the call; rejects when the generation ended. */
  heartbeatAccepted(signal: AbortSignal): Promise<void>
  /** Log start and end (high watermark) as the leader says now. */
  logRange(): Promise<LogRange>
  /** First offset whose record timestamp is at or after `timestampMs`; the end of the log if none. */
  offsetAt(timestampMs: number): Promise<number>
  /** Last known end of the log (high watermark), from fetches and `logRange`; -1 when unknown. */
  readonly highWatermark: number
  /** Wall clock, epoch ms, of what `highWatermark` says; 0 when unknown. */
  readonly highWatermarkAt: number
  /** Where committed records end, from fetches; null while unknown. */
  readonly stableEnd: StableEnd | null
  /** Offset of the next record that `take` has not returned yet. */
  readonly position: number
  /** Record timestamp of the next record that `take` has not returned; null while it is not fetched. */
  readonly nextTimestamp: number | null
}

export interface Taken {
  readonly records: readonly RawRecord[]
  /** Position after these records: the next `take` returns offsets >= next. */
  readonly next: number
}

/** Records from `offset` on belong to open transactions, or lie behind one, if it is below the high watermark. */
export interface StableEnd {
  readonly offset: number
  /** Since when it has stood there below the high watermark, epoch ms; null: nothing is held back. */
  readonly heldSinceMs: number | null
}

export interface LogRange {
  readonly start: number
  readonly end: number
}
