/** What runs cost: `a + b · rows` milliseconds. */
export interface Cost {
  /** Of a run as such, ms, ≥ 0. */
  readonly a: number
  /** Of one more row, ms, > 0. */
  readonly b: number
}

/** Decayed sums over runs (rows n, time t): weight, Σn, Σt, Σn², Σnt. */
export interface Fit {
  readonly weight: number
  readonly n: number
  readonly t: number
  readonly nn: number
  readonly nt: number
}

export const emptyFit: Fit = { weight: 0, n: 0, t: 0, nn: 0, nt: 0 }

// Half-life of 69 runs: long enough to average out pauses, short enough to follow a machine that slows down.
const decay = 0.99

export function addRun(fit: Fit, rows: number, ms: number): Fit {
  return {
    weight: fit.weight * decay + 1,
    n: fit.n * decay + rows,
    t: fit.t * decay + ms,
    nn: fit.nn * decay + rows * rows,
    nt: fit.nt * decay + rows * ms,
  }
}

// A nanosecond a row: below any model, and keeps a division by b finite.
const bMinMs = 1e-6

/** Least squares with a ≥ 0 and b > 0; null before the first run. */
export function costOf(fit: Fit): Cost | null {
  if (fit.weight === 0) return null
  const spread = fit.weight * fit.nn - fit.n * fit.n
  // Runs of (nearly) one size cannot tell a from b. All of it is then laid on the rows, which overestimates larger runs.
  const proportional = { a: 0, b: Math.max(fit.t / fit.n, bMinMs) }
  if (spread <= fit.weight * fit.nn * 1e-6) return proportional
  const b = (fit.weight * fit.nt - fit.n * fit.t) / spread
  const a = (fit.t - b * fit.n) / fit.weight
  if (a < 0) return { a: 0, b: Math.max(fit.nt / fit.nn, bMinMs) } // the best line through zero
  return b > 0 ? { a, b: Math.max(b, bMinMs) } : proportional
}
