import type { ModelIdentity } from '../record/prediction.ts'
import type { Scorer, ScoreResult } from './scorer.ts'

/** A scorer that is a function of one row, for topology tests and simulation. `score` may throw as the port says. */
export function memoryScorer(options: {
  readonly width: number
  readonly score: (row: Float32Array) => number
  readonly identity?: ModelIdentity
  readonly baseline?: ReadonlyMap<string, number>
  readonly missing?: ReadonlyMap<string, number>
}): Scorer {
  const { width } = options
  const scoreAll = (rows: Float32Array, n: number): ScoreResult => {
    const row = (i: number): number => options.score(rows.subarray(i * width, (i + 1) * width))
    return { scores: Float64Array.from({ length: n }, (_, i) => row(i)), runMs: 0 }
  }
  return {
    identity: options.identity ?? { name: 'memory', version: '1', digest: `sha256:${'0'.repeat(64)}` },
    width,
    scoreType: 'float64',
    baseline: options.baseline ?? null,
    missing: options.missing ?? new Map(),
    workers: 1,
    score: async (rows, n) => scoreAll(rows, n),
    close: () => Promise.resolve(),
  }
}
