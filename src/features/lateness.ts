/**
 * Whether an event is late, and what then: pure functions of the log of one partition, so that the verdict is the
 * same after a crash and in a replay.
 */
export type LatePolicy = 'score' | 'drop-state' | 'dead-letter'

/**
 * `on-time`: inserted and scored. `late-score-insert`: both, flagged late. `late-score-skip` (beyond every horizon) and
 * `drop-state` (by policy): scored and flagged late, not inserted; such an event is not counted in its own windows.
 * `dead-letter`: neither. Events of a state source are never scored; for them only "inserted or not" matters.
 */
export type LateVerdict = 'on-time' | 'late-score-insert' | 'late-score-skip' | 'drop-state' | 'dead-letter'

export interface Lateness {
  /** Event time, ms. */
  readonly time: number
  /** Largest event time of the partition before this event; -Infinity for the first one. */
  readonly maxTimeBefore: number
  readonly outOfOrderMs: number
  /**
   * Null (state sources): never late. Whether a window still sees the event is for the scored partition that is furthest
   * behind to say, and this one does not know of it: what none sees any more is trimmed.
   */
  readonly allowedLatenessMs: number | null
  /** Largest horizon of the layouts the event is inserted into. */
  readonly horizonMs: number
  readonly policy: LatePolicy
}

/** The event time up to which a partition is taken to be complete. */
export function eventWatermark(maxTime: number, outOfOrderMs: number): number {
  return maxTime - outOfOrderMs
}

export function lateVerdict(event: Lateness): LateVerdict {
  const watermark = eventWatermark(event.maxTimeBefore, event.outOfOrderMs)
  const { allowedLatenessMs } = event
  if (allowedLatenessMs === null || event.time >= watermark - allowedLatenessMs) return 'on-time'
  if (event.policy !== 'score') return event.policy
  return event.time > watermark - event.horizonMs ? 'late-score-insert' : 'late-score-skip'
}
