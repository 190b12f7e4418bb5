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
 * for one such row. A run that was lost (MODEL_RUN_LOST) cost a process and perhaps a timeout, which halving would pay again
 * and again: its rows are scored one by one, and one is to blame when it is lost twice. Anything else is laid on no row and
 * thrown. `copyRows(from, to)` gives a fresh copy, as every run takes its buffer away.
 */
export async function scoreAround(
  run: RunModel,
  copyRows: (from: number, to: number) => Float32Array<ArrayBuffer>,
  n: number,
): Promise<BatchScores> {
  const scores = new Float64Array(n).fill(NaN)
  const failures = new Map<number, string>()
  let runMs = 0

  /** Null: scored; else the error that rows are to blame for. */
  const tried = async (from: number, to: number): Promise<MillraceError | null> => {
    try {
      const scored = await run(copyRows(from, to), to - from)
      scores.set(scored.scores, from)
      runMs += scored.runMs
      return null
    } catch (error) {
      return blame(error)
    }
  }
  const narrow = async (from: number, to: number, failure: MillraceError): Promise<void> => {
    if (failure.code === 'MODEL_RUN_LOST') return oneByOne(from, to)
    if (to - from === 1) {
      failures.set(from, failure.message)
      return
    }
    const middle = (from + to) >>> 1
    for (const [low, high] of [
      [from, middle],
      [middle, to],
    ] as const) {
      // prettier-ignore
      const half = await tried(low, high)
      if (half !== null) await narrow(low, high, half)
    }
  }
  const oneByOne = async (from: number, to: number): Promise<void> => {
    for (let row = from; row < to; row++) {
      let failure = await tried(row, row + 1)
      if (failure?.code === 'MODEL_RUN_LOST') failure = await tried(row, row + 1)
      if (failure !== null) failures.set(row, failure.message)
    }
  }

  const failure = await tried(0, n)
  if (failure !== null) await narrow(0, n, failure)
  return { scores, runMs, failures: failures.size > 0 ? failures : null }
}

/** An error that the rows of a run are to blame for; any other is thrown on. */
function blame(error: unknown): MillraceError {
  if (error instanceof MillraceError && error.reaction === 'deadLetter') return error
  throw error
}
