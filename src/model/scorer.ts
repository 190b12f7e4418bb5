import type { ModelIdentity, ScoreType } from '../record/prediction.ts'

/**
 * Scores rows. `rows` holds n rows of `width` float32 each, row by row: the model's inputs side by side in
 * topology order. The buffer is handed over (transferred): do not use it afterwards.
 *
 * Resolves to n scores, all finite. Throws MillraceError MODEL_RUN_FAILED when the run throws or a score is not finite
 * (the caller bisects), MODEL_HANG when it does not end in time. The process must then end by a signal,
 * `process.kill(process.pid, 'SIGKILL')`: `process.exit` joins the thread that hangs, and never returns.
 */
export interface Scorer {
  readonly identity: ModelIdentity
  readonly width: number
  /** Precision of the model's output, though scores are handed on as doubles. */
  readonly scoreType: ScoreType
  /** Median of every model input by feature name, for reasons; null for a bare .onnx. */
  readonly baseline: ReadonlyMap<string, number> | null
  /** Value for a missing input by feature name, from the manifest; absent: dead letter MISSING. */
  readonly missing: ReadonlyMap<string, number>
  score(rows: Float32Array, n: number): Promise<ScoreResult>
  /** Number of runs that can be under way at once. */
  readonly workers: number
  close(): Promise<void>
}

export interface ScoreResult {
  readonly scores: Float64Array
  /** Time inside the session, ms. */
  readonly runMs: number
}
