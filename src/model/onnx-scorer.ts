import { MillraceError } from '../errors.ts'
import { openProcess, type ModelProcess } from '../onnx/process.ts'
import type { RunReply, ThreadStart } from '../onnx/protocol.ts'
import { openThread } from '../onnx/thread.ts'
import type { ScoreType } from '../record/prediction.ts'
import type { Log } from '../telemetry/log.ts'
import type { Clock } from '../time/clock.ts'
import {
  baselineProblems,
  bindModel,
  goldenProblems,
  manifestProblems,
  refuse,
  scoreTypeOf,
} from './check.ts'
import { loadRefusal } from './causes.ts'
import { readModelFiles } from './files.ts'
import type { ModelFiles } from './files.ts'
import type { ModelPlan } from './plan.ts'
import { createPool } from './pool.ts'
import type { Pool, PoolWorker } from './pool.ts'
import { processWorker } from './process-worker.ts'
import { watchRuns, type RunWatch } from './run-watch.ts'
import type { Scorer } from './scorer.ts'
import { threadWorker } from './thread-worker.ts'
import { proveWorker } from './warm-up.ts'

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
  const watch = watchRuns(plan.runTimeoutMs, clock)
  let scoreType: ScoreType = 'float32'
  const bind: WorkerParts['bind'] = (session) => {
    const bound = bindModel(plan, session, files)
    scoreType = scoreTypeOf(plan.score, session.outputs)
    return bound
  }
  const parts = { plan, files, watch, clock, log, bind }
  try {
    const workers = await (plan.isolation === 'process' ? openProcesses : openThreads)(parts, signal)
    const pool = createPool(workers)
    return scorerOf(plan, files, scoreType, pool, async () => {
      await pool.close()
      watch.close()
    })
  } catch (error) {
    watch.close()
    throw error
  }
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

interface WorkerParts {
  readonly plan: ModelPlan
  readonly files: ModelFiles
  readonly watch: RunWatch
  readonly clock: Clock
  readonly log: Log
  readonly bind: (session: Parameters<typeof bindModel>[1]) => ReturnType<typeof bindModel>
}

async function openThreads(parts: WorkerParts, signal: AbortSignal): Promise<PoolWorker[]> {
  const { plan, files, watch, bind } = parts
  const threads = await openAll(plan.workers, () => loaded(files, openThread(startOf(files))))
  try {
    signal.throwIfAborted()
    return await Promise.all(
      threads.map(async (thread) => {
        thread.bind(bind(thread))
        const worker = threadWorker(thread, watch)
        await proveWorker(worker, plan, files, signal)
        return worker
      }),
    )
  } catch (error) {
    await Promise.all(threads.map((thread) => thread.close()))
    throw error
  }
}

function openProcesses(parts: WorkerParts, signal: AbortSignal): Promise<PoolWorker[]> {
  const { plan, files, watch, clock, log, bind } = parts
  const open = async (opening: AbortSignal): Promise<ModelProcess> => {
    const opened = await loaded(files, openProcess(startOf(files), opening))
    try {
      opened.bind(bind(opened))
      return opened
    } catch (error) {
      opened.kill('the model does not fit')
      await opened.close()
      throw error
    }
  }
  const prove = (worker: PoolWorker, proving: AbortSignal): Promise<void> =>
    proveWorker(worker, plan, files, proving)
  return openAll(plan.workers, () => processWorker({ open, prove, watch, clock, log }, signal))
}

function startOf({ bytes, externalData }: ModelFiles): ThreadStart {
  return { model: bytes, externalData }
}

/** Says which file it was that onnxruntime refuses. */
async function loaded<T>({ file, facts }: ModelFiles, opening: Promise<T>): Promise<T> {
  try {
    return await opening
  } catch (error) {
    if (!(error instanceof MillraceError) || error.code !== 'MODEL_INVALID') throw error
    const text = `${file} cannot be loaded by onnxruntime: ${loadRefusal(facts, error.message)}`
    throw new MillraceError('MODEL_INVALID', text, { cause: error })
  }
}

/** All or none. */
async function openAll<T extends { close(): Promise<void> }>(
  count: number,
  open: () => Promise<T>,
): Promise<T[]> {
  const results = await Promise.allSettled(Array.from({ length: count }, open))
  const opened = results.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []))
  const failed = results.find((result) => result.status === 'rejected')
  if (!failed) return opened
  await Promise.all(opened.map((one) => one.close()))
  throw failed.reason
}

function scorerOf(
  plan: ModelPlan,
  files: ModelFiles,
  scoreType: ScoreType,
  pool: Pool,
  close: () => Promise<void>,
): Scorer {
  const features = plan.inputs.flatMap((input) => input.features)
  const missing = (files.manifest?.inputs ?? []).flatMap((input) =>
    input.features.flatMap((f) => (f.missing === undefined ? [] : [[f.name, f.missing] as const])),
  )
  const medians = files.baseline?.medians
  return {
    identity: files.identity,
    width: features.length,
    scoreType,
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
  const code = reply.why === 'lost' ? 'MODEL_RUN_LOST' : 'MODEL_RUN_FAILED'
  throw new MillraceError(code, `Model ${model}: ${reply.message}`)
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
