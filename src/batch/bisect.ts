import { MillraceError } from '../errors.ts'

/** One run of the model over rows, row by row. The buffer is taken away. */
export type RunModel = (
  rows: Float32Array<ArrayBuffer>,
  n: number,
) => Promise<{ readonly scores: Float64Array; readonly runMs: number }>

export interface BatchScores {
  /** NaN where the row failed. */
  readonly scores: Float64Array
  /** Row → why; null when none failed. */
  readonly failures: ReadonlyMap<number, string> | null
  readonly runMs: number
}

/**
 * Scores n rows. When a run fails, its halves are scored each, until the rows to blame are alone: 2 · log2(n) runs more
 * for one such row. Only MODEL_RUN_FAILED is laid on rows; anything else is thrown. `copyRows(from, to)` gives a fresh
 * copy, as every run takes its buffer away.
 */
export async function scoreAround(
  run: RunModel,
  copyRows: (from: number, to: number) => Float32Array<ArrayBuffer>,
  n: number,
): Promise<BatchScores> {
  try {
    const { scores, runMs } = await run(copyRows(0, n), n)
    return { scores, runMs, failures: null }
  } catch (error) {
    return bisect(run, copyRows, n, blame(error))
  }
}

async function bisect(
  run: RunModel,
  copyRows: (from: number, to: number) => Float32Array<ArrayBuffer>,
  n: number,
  firstFailure: string,
): Promise<BatchScores> {
  const scores = new Float64Array(n).fill(NaN)
  const failures = new Map<number, string>()
  let runMs = 0
  const split = async (from: number, to: number, failure: string): Promise<void> => {
    if (to - from === 1) {
      failures.set(from, failure)
      return
    }
    const middle = (from + to) >>> 1
    for (const [low, high] of [
      [from, middle],
      [middle, to],
    ] as const) {
      try {
        const half = await run(copyRows(low, high), high - low)
        scores.set(half.scores, low)
        runMs += half.runMs
      } catch (error) {
        await split(low, high, blame(error))
      }
    }
  }
  await split(0, n, firstFailure)
  return { scores, failures: failures.size > 0 ? failures : null, runMs }
}

/** The text for a row to blame; what no row is to blame for is thrown on. */
function blame(error: unknown): string {
  if (error instanceof MillraceError && error.code === 'MODEL_RUN_FAILED') return error.message
  throw error
}
