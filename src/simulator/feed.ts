import type { SimulatedRecord } from './simulation.ts'

/** A simulation read as far as the clock has come. */
export interface Feed {
  /** The next records whose timestamp is at most `untilMs`, at most `rowsMax` of them. */
  takeUntil(untilMs: number, rowsMax: number): SimulatedRecord[]
  /** Timestamp of the next record. */
  nextMs(): number
}

export function createFeed(records: Iterator<SimulatedRecord, never, void>): Feed {
  let ahead = records.next().value
  return {
    takeUntil(untilMs, rowsMax) {
      const taken: SimulatedRecord[] = []
      while (taken.length < rowsMax && ahead.timestampMs <= untilMs) {
        taken.push(ahead)
        ahead = records.next().value
      }
      return taken
    },
    nextMs: () => ahead.timestampMs,
  }
}
