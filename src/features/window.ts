import type { WindowSpec } from './spec.ts'

/**
 * A window as two distances back from the event's time t: it holds the events in (t − reachMs, t − lagMs].
 * Event times are whole milliseconds, so a closed left edge is an open one a millisecond earlier, and an open
 * right edge is a closed one a millisecond earlier: all four edge kinds come down to this one.
 */
export interface Reach {
  readonly reachMs: number
  readonly lagMs: number
  /** The event itself is left out, by identity: earlier events of the same millisecond stay. */
  readonly withoutCurrent: boolean
}

/** Splits a sorted log between the events up to t − distanceMs and those after. */
export interface Cut {
  readonly distanceMs: number
  /** The event itself, last of its millisecond so far, falls to the newer side. */
  readonly withoutCurrent: boolean
}

export function reachOf(window: WindowSpec): Reach {
  const leftClosed = window.edges.startsWith('[')
  const rightClosed = window.edges.endsWith(']')
  const lagMs = window.delayMs + (rightClosed ? 0 : 1)
  return {
    reachMs: window.delayMs + window.windowMs + (leftClosed ? 1 : 0),
    lagMs,
    // With a lag the event is out of its own window anyway.
    withoutCurrent: !window.current && lagMs === 0,
  }
}
