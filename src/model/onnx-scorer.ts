import { MillraceError } from '../errors.ts'
import type { RunReply } from '../onnx/protocol.ts'
import { openThread } from '../onnx/thread.ts'
import type { ModelThread } from '../onnx/thread.ts'
import type { Log } from '../telemetry/log.ts'
import type { Clock } from '../time/clock.ts'
import { baselineProblems, bindModel, goldenProblems, manifestProblems, refuse } from './check.ts'
import { readModelFiles } from './files.ts'
import type { ModelFiles } from './files.ts'
import type { ModelPlan } from './plan.ts'
import { createPool } from './pool.ts'
import type { ThreadPool } from './pool.ts'
import { watchRuns } from './run-watch.ts'
import type { Scorer } from './scorer.ts'
import { proveThread } from './warm-up.ts'

export interface ScorerOptions {
  readonly plan: ModelPlan
  readonly clock: Clock
  readonly log: Log
  readonly signal: AbortSignal
}

/**
 * Opens the model of a topology: reads and verifies its files, starts `plan.workers` threads with a session each, compares
 * session, manifest and topology, runs the golden rows and warms up. Throws MODEL_INVALID when anything does not fit.
 */
export async function openScorer({ plan, clock, log, signal }: ScorerOptions): Promise<Scorer> {
  signal.throwIfAborted()
  const files = await readModelFiles(plan.path)
  checkFiles(plan, files)
  sayWhatIsUnchecked(files, log)
  const threads = await openThreads(plan, files)
  const watch = watchRuns(plan.runTimeoutMs, clock)
  try {
    signal.throwIfAborted()
    const binding = bindModel(plan, threads[0]!, files.file)
    for (const thread of threads) thread.bind(binding)
    // Each thread in a pool of its own, so that none escapes the proof.
    const proofs = threads.map((thread) =>
      proveThread(createPool([thread], watch), plan.inputs, files, signal),
    )
    await Promise.all(proofs)
  } catch (error) {
    watch.close()
    await Promise.all(threads.map((thread) => thread.close()))
    throw error
  }
  const pool = createPool(threads, watch)
  return scorerOf(plan, files, pool, async () => {
    await pool.close()
    watch.close()
  })
}

function checkFiles(plan: ModelPlan, { file, manifest, golden, baseline }: ModelFiles): void {
  if (manifest)
    refuse(manifestProblems(plan, manifest), `The manifest beside ${file} and the topology disagree`)
  if (golden)
    refuse(goldenProblems(plan.inputs, golden), `golden.json beside ${file} does not fit the topology`)
  if (baseline)
    refuse(baselineProblems(plan.inputs, baseline), `baseline.json beside ${file} does not fit the topology`)
}

function sayWhatIsUnchecked({ file, manifest, golden, baseline }: ModelFiles, log: Log): void {
  const unchecked: string[] = []
  if (!manifest) unchecked.push('that the features are those it was trained on (no manifest.yaml)')
  if (!golden) unchecked.push('that it scores as in training (no golden.json)')
  if (!baseline) unchecked.push('reasons of alerts, which stay empty (no baseline.json)')
  if (unchecked.length > 0) log.warn({ file, unchecked }, 'The model is served with fewer checks')
}

async function openThreads(plan: ModelPlan, files: ModelFiles): Promise<ModelThread[]> {
  const start = { model: files.bytes, externalData: files.externalData }
  const opened = await Promise.allSettled(Array.from({ length: plan.workers }, () => openThread(start)))
  const threads = opened.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []))
  const failed = opened.find((result) => result.status === 'rejected')
  if (!failed) return threads
  await Promise.all(threads.map((thread) => thread.close()))
  const reason: unknown = failed.reason
  if (!(reason instanceof MillraceError) || reason.code !== 'MODEL_INVALID') throw reason
  throw new MillraceError(
    'MODEL_INVALID',
    `${files.file} cannot be loaded by onnxruntime: ${reason.message}`,
    {
      cause: reason,
    },
  )
}

function scorerOf(plan: ModelPlan, files: ModelFiles, pool: ThreadPool, close: () => Promise<void>): Scorer {
  const features = plan.inputs.flatMap((input) => input.features)
  const missing = (files.manifest?.inputs ?? []).flatMap((input) =>
    input.features.flatMap((f) => (f.missing === undefined ? [] : [[f.name, f.missing] as const])),
  )
  const medians = files.baseline?.medians
  return {
    identity: files.identity,
    width: features.length,
    baseline: medians ? new Map(features.map((name) => [name, medians[name]!])) : null,
    missing: new Map(missing),
    workers: plan.workers,
    score: async (rows, n) => {
      checkRows(rows, n, features)
      const { name, version } = files.identity
      return resultOf(await pool.run(ownBuffer(rows), n), `${name} ${version}`)
    },
    close,
  }
}

function resultOf(reply: RunReply, model: string): { scores: Float64Array; runMs: number } {
  if (reply.kind === 'scored') return { scores: reply.scores, runMs: reply.runMs }
  throw new MillraceError('MODEL_RUN_FAILED', `Model ${model}: ${reply.message}`)
}

/**
 * A NaN gives an ordinary-looking score from a tree model, so none may pass. Features are checked before; one here is a
 * mistake in the program, not in the data.
 */
export function checkRows(rows: Float32Array, n: number, features: readonly string[]): void {
  const width = features.length
  if (n < 1 || rows.length !== n * width) {
    throw new MillraceError(
      'INTERNAL',
      `The model was given ${rows.length} numbers for ${n} rows of ${width}.`,
    )
  }
  const at = firstNotFinite(rows)
  if (at === -1) return
  const place = `row ${Math.floor(at / width)}, feature ${features[at % width]}`
  throw new MillraceError(
    'INTERNAL',
    `The model was given ${rows[at]} in ${place}; such rows must be dead-lettered before.`,
  )
}

/** A plain loop, as every row that is scored comes by: 7 µs for 1000 rows of 15, where `findIndex` takes 138. */
function firstNotFinite(values: Float32Array): number {
  for (let i = 0; i < values.length; i++) if (!Number.isFinite(values[i])) return i
  return -1
}

/** A view into a larger or shared buffer is copied, because transferring takes the whole buffer away. */
function ownBuffer(rows: Float32Array): Float32Array<ArrayBuffer> {
  const { buffer } = rows
  return buffer instanceof ArrayBuffer && buffer.byteLength === rows.byteLength
    ? (rows as Float32Array<ArrayBuffer>)
    : rows.slice()
}
