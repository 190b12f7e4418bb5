import type { Event, Reject } from '../record/event.ts'
import type { RawRecord } from '../record/raw-record.ts'

/** Bytes → Event or Reject. Pure once the schemas of the records are loaded. */
export interface Decoder {
  /**
   * Loads the writer schemas these records name. Resolves at once for JSON. Waits (in order, for ever, until
   * `signal`) while the registry is down or does not know an id.
   */
  prepare(records: readonly RawRecord[], signal: AbortSignal): Promise<void>
  decode(record: RawRecord): Event | Reject
}
