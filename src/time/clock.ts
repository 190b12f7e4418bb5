/**
 * The only door to time. Everything outside `src/time/` takes a Clock, so the same code runs
 * with a manual clock (tests) and under the seeded scheduler (simulation).
 */
export interface Clock {
  /** Wall clock, epoch ms. */
  now(): number
  /** Monotonic milliseconds with fraction; for durations. */
  monotonic(): number
  /** Resolves after `ms`, or rejects with the signal's reason. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>
}
