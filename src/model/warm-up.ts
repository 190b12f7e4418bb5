import { MillraceError } from '../errors.ts'
import type { RunFailed } from '../onnx/protocol.ts'
import { plainly } from './causes.ts'
import { ranProblems, refuse } from './check.ts'
import type { ModelFiles } from './files.ts'
import { goldenDifference, goldenRows } from './golden.ts'
import type { ModelPlan } from './plan.ts'
import type { PoolWorker } from './pool.ts'
import { loneRows, neighbourhoods, RowsApart, scoreTogether, type LoneRow } from './rows-apart.ts'
import { sampleBlocks, type RowBlock } from './sample-rows.ts'

// The first runs take 2 to 5 times as long, separately for each size that onnxruntime plans memory for. From 1 row to
// about the largest slice; three runs each take well under 100 ms with a tree model.
const warmUpRows = [1, 32, 256, 1024]
const warmUpRuns = 3

/**
 * Proves that a worker scores as the training did and each row by itself, and makes it fast, before it is given work. What
 * the warm-up scores is compared too, so that the proof covers the sizes of real batches.
 */
export async function proveWorker(
  worker: PoolWorker,
  plan: Pick<ModelPlan, 'inputs' | 'score'>,
  files: ModelFiles,
  signal: AbortSignal,
): Promise<void> {
  const proof: Proof = { worker, plan, files, signal }
  if (files.golden) await proveGolden(proof, files.golden)
  const blocks = sampleBlocks(plan.inputs, files)
  const rows = await scoreAlone(proof, blocks)
  const apart = new RowsApart(rows.length)
  for (const batch of neighbourhoods(rows)) {
    signal.throwIfAborted()
    const scores = await scoreTogether(worker, batch)
    if (!(scores instanceof Float64Array)) throw failsTogether(proof, scores, batch.length)
    apart.compare(batch, scores)
  }
  refuseApart(apart, files)
  for (const n of warmUpRows) {
    const batch = Array.from({ length: n }, (_, i) => rows[i % rows.length]!)
    for (let run = 0; run < warmUpRuns; run++) {
      signal.throwIfAborted()
      const scores = await scoreTogether(worker, batch)
      if (scores instanceof Float64Array) apart.compare(batch, scores)
      // A bare model that has no memory for so many rows may get smaller batches.
      else if (scores.why === 'shape' || files.golden) throw failsTogether(proof, scores, n)
    }
  }
  refuseApart(apart, files)
}

interface Proof {
  readonly worker: PoolWorker
  readonly plan: Pick<ModelPlan, 'inputs' | 'score'>
  readonly files: ModelFiles
  readonly signal: AbortSignal
}

function refuseApart(apart: RowsApart, files: ModelFiles): void {
  const problem = apart.problem(files.facts)
  if (problem !== null) throw refused(files, problem)
}

async function proveGolden(
  { worker, plan, files }: Proof,
  golden: NonNullable<ModelFiles['golden']>,
): Promise<void> {
  const reply = await worker.run(goldenRows(plan.inputs, golden), golden.scores.length)
  if (reply.kind !== 'scored') {
    if (reply.why === 'shape') throw unfit(files, ranProblems(plan, reply, golden.scores.length, files.facts))
    throw refused(files, `a golden row cannot be scored: ${plainly(reply.message)}.`)
  }
  const difference = goldenDifference(golden, reply.scores)
  if (difference) {
    refuse(
      [`${difference}. Restore the model and golden.json of one training.`],
      `${files.file} scores otherwise than in training`,
    )
  }
}

/** Those that can be scored at all: a made-up row may be one that the model rightly fails on. */
async function scoreAlone(proof: Proof, blocks: readonly RowBlock[]): Promise<LoneRow[]> {
  const { worker, plan, files, signal } = proof
  const scores: (number | null)[] = []
  let failure: RunFailed | null = null
  for (const { kind, rows } of blocks) {
    for (const row of rows) {
      signal.throwIfAborted()
      const reply = await worker.run(row.slice(), 1)
      scores.push(reply.kind === 'scored' ? reply.scores[0]! : null)
      if (reply.kind === 'scored') continue
      failure ??= reply
      if (reply.why === 'shape') throw unfit(files, ranProblems(plan, reply, 1, files.facts))
      if (kind === 'golden')
        throw refused(files, `a golden row cannot be scored alone: ${plainly(reply.message)}. ${batchFix}`)
    }
  }
  const rows = loneRows(blocks, scores, files.facts, files.golden?.tolerance ?? 0)
  if (rows.length > 0 || failure === null) return rows
  throw refused(
    files,
    `none of ${scores.length} sample rows can be scored (zeros, whole numbers, numbers up to 1000), the first because ` +
      `${plainly(failure.message)}. ${failure.why === 'not-finite' ? notFiniteFix : batchFix} If the model takes only rows like those ` +
      'of the training, put some of them into golden.json of a model directory.',
  )
}

const notFiniteFix =
  'Look for weights that are NaN (a training that diverged), and for logarithms and divisions of 0 in the model.'
const batchFix =
  'A shape inside the model may be fixed to the batch it was exported with: export it with a free first dimension ' +
  '(PyTorch: dynamic_axes, and x.flatten(1) or x.reshape(x.size(0), -1) instead of x.view(1, -1)).'

function failsTogether({ plan, files }: Proof, reply: RunFailed, n: number): MillraceError {
  if (reply.why === 'shape') return unfit(files, ranProblems(plan, reply, n, files.facts))
  return refused(
    files,
    `rows that it scores one by one fail in a batch of ${n}: ${plainly(reply.message)}. ${batchFix}`,
  )
}

function unfit({ file }: ModelFiles, problems: readonly string[]): MillraceError {
  return new MillraceError(
    'MODEL_INVALID',
    `${file} cannot be used as the topology says: ${problems.join(' ')}`,
  )
}

function refused(files: ModelFiles, text: string): MillraceError {
  return new MillraceError('MODEL_INVALID', `${files.file} cannot be used: ${text}`)
}
