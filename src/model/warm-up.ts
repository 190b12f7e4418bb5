import { MillraceError } from '../errors.ts'
import { refuse } from './check.ts'
import type { ModelFiles } from './files.ts'
import { goldenDifference, goldenRows } from './golden.ts'
import type { ModelInputPlan } from './plan.ts'
import type { PoolWorker } from './pool.ts'

// The first runs take 2 to 5 times as long, separately for each size that onnxruntime plans memory for. From 1 row to
// about the largest slice; three runs each take well under 100 ms with a tree model.
const warmUpRows = [1, 32, 256, 1024]
const warmUpRuns = 3

/**
 * Proves that a worker scores as the training did, and makes it fast, before it is given work. Golden rows are scored
 * together and alone: a model whose scores depend on the other rows of the batch would answer by chance.
 */
export async function proveWorker(
  worker: PoolWorker,
  inputs: readonly ModelInputPlan[],
  files: ModelFiles,
  signal: AbortSignal,
): Promise<void> {
  const width = inputs.reduce((sum, { features }) => sum + features.length, 0)
  const sample = sampleRows(inputs, files)
  if (files.golden) {
    const { golden } = files
    const together = await mustScore(worker, sample.slice(), golden.scores.length, files)
    const difference = goldenDifference(golden, together)
    if (difference) {
      refuse(
        [`${difference}. Restore the model and golden.json of one training.`],
        `${files.file} scores otherwise than in training`,
      )
    }
    await proveRowsAlone(worker, sample, together, golden.tolerance, files, signal)
  }
  for (const n of warmUpRows) {
    const rows = repeatRows(sample, width, n)
    for (let run = 0; run < warmUpRuns; run++) {
      signal.throwIfAborted()
      const reply = await worker.run(rows.slice(), n)
      if (reply.kind === 'scored') continue
      // Without golden rows the sample is made up, and may be a row that the model rightly fails on.
      if (reply.why === 'shape' || files.golden) throw refused(files, reply.message)
    }
  }
}

async function proveRowsAlone(
  worker: PoolWorker,
  rows: Float32Array,
  together: Float64Array,
  tolerance: number,
  files: ModelFiles,
  signal: AbortSignal,
): Promise<void> {
  const width = rows.length / together.length
  const count = Math.min(together.length, rowsAloneMax)
  for (let row = 0; row < count; row++) {
    signal.throwIfAborted()
    const [score] = await mustScore(worker, rows.slice(row * width, (row + 1) * width), 1, files)
    if (Math.abs(score! - together[row]!) <= tolerance) continue
    throw refused(
      files,
      `golden row ${row} scores ${score} alone and ${together[row]} in a batch of ${together.length}: the score of a row ` +
        'must not depend on the other rows (normalise with constants of the training, not over the batch)',
    )
  }
}

const rowsAloneMax = 16 // one run each; enough to notice a model that mixes rows

async function mustScore(
  worker: PoolWorker,
  rows: Float32Array<ArrayBuffer>,
  n: number,
  files: ModelFiles,
): Promise<Float64Array> {
  const reply = await worker.run(rows, n)
  if (reply.kind === 'scored') return reply.scores
  throw refused(files, `a golden row cannot be scored: ${reply.message}`)
}

/** Golden rows, else the medians, else zeros. */
function sampleRows(
  inputs: readonly ModelInputPlan[],
  { golden, baseline }: ModelFiles,
): Float32Array<ArrayBuffer> {
  if (golden) return goldenRows(inputs, golden)
  const features = inputs.flatMap((input) => input.features)
  return Float32Array.from(features, (name) => baseline?.medians[name] ?? 0)
}

export function repeatRows(rows: Float32Array, width: number, n: number): Float32Array<ArrayBuffer> {
  const repeated = new Float32Array(n * width)
  for (let i = 0; i < repeated.length; i++) repeated[i] = rows[i % rows.length]!
  return repeated
}

function refused(files: ModelFiles, text: string): MillraceError {
  return new MillraceError('MODEL_INVALID', `${files.file} cannot be used: ${text}.`)
}
