import { MillraceError } from '../errors.ts'
import type { RunReply } from '../onnx/protocol.ts'
import type { ModelProcess } from '../onnx/process.ts'
import type { Log } from '../telemetry/log.ts'
import type { Clock } from '../time/clock.ts'
import { DeadlineExceeded, withTimeout } from '../time/deadline.ts'
import type { PoolWorker } from './pool.ts'
import type { RunWatch } from './run-watch.ts'

export interface ProcessWorkerParts {
  /** Starts a process, ready for runs. Throws MODEL_PROCESS_LOST when it ends before that. */
  readonly open: (signal: AbortSignal) => Promise<ModelProcess>
  /** Throws when the model in it does not score as it should, MODEL_PROCESS_LOST when it ends over that. */
  readonly prove: (worker: PoolWorker, signal: AbortSignal) => Promise<void>
  readonly watch: RunWatch
  readonly clock: Clock
  readonly log: Log
}

/** Processes lost one after another, with no run that was answered between them: eight rows in a row, twice each. */
export const lostInARowMax = 16
/** Loading a model and warming it up takes seconds at most. */
export const openMaxMs = 120_000
const backOffFirstMs = 100
const backOffMaxMs = 5_000

/**
 * A model process that is replaced when it ends. A run that it does not survive, or that has to be ended because it hangs,
 * fails (`lost`) like one that throws; the caller narrows it down to its rows. Rejects with MODEL_PROCESS_LOST when one process
 * after another is lost, or one does not become ready in time.
 */
export async function processWorker(parts: ProcessWorkerParts, signal: AbortSignal): Promise<PoolWorker> {
  const worker = new LastingWorker(parts)
  await worker.start(signal)
  return worker
}

class LastingWorker implements PoolWorker {
  readonly #parts: ProcessWorkerParts
  readonly #closed = new AbortController()
  #process: ModelProcess | null = null
  #lostInARow = 0

  constructor(parts: ProcessWorkerParts) {
    this.#parts = parts
  }

  async start(signal: AbortSignal): Promise<void> {
    await this.#open(AbortSignal.any([signal, this.#closed.signal]))
  }

  async run(rows: Float32Array<ArrayBuffer>, n: number): Promise<RunReply> {
    // One that ended between two runs ended over none.
    const process = this.#process?.isGone === false ? this.#process : await this.#replace()
    try {
      const reply = await this.#watched(process).run(rows, n)
      this.#lostInARow = 0
      return reply
    } catch (error) {
      const message = this.#lose(error)
      this.#parts.log.warn({ rows: n, error: message }, 'a model process was lost over a run')
      return { kind: 'failed', why: 'lost', message }
    }
  }

  async close(): Promise<void> {
    this.#closed.abort()
    await this.#process?.close()
  }

  /** Runs in a process that is killed when one hangs. */
  #watched(process: ModelProcess): PoolWorker {
    const { watch } = this.#parts
    return {
      run: async (rows, n) => {
        const end = watch.begin(() =>
          process.kill(`a run of ${n} ${n === 1 ? 'row' : 'rows'} did not end within ${watch.timeoutMs} ms`),
        )
        try {
          return await process.run(rows, n)
        } finally {
          end()
        }
      },
      close: () => process.close(),
    }
  }

  async #replace(): Promise<ModelProcess> {
    const { clock } = this.#parts
    const { signal } = this.#closed
    for (;;) {
      if (this.#lostInARow > 1) {
        await clock.sleep(Math.min(backOffFirstMs * 2 ** (this.#lostInARow - 2), backOffMaxMs), signal)
      }
      try {
        return await this.#open(signal)
      } catch (error) {
        // Another try may take as long again, in which the service looks healthy and does nothing: a restart is seen.
        if (error instanceof MillraceError && error.cause instanceof DeadlineExceeded) throw error
        this.#lose(error)
      }
    }
  }

  async #open(signal: AbortSignal): Promise<ModelProcess> {
    const { open, prove, clock } = this.#parts
    const late = new AbortController()
    const either = AbortSignal.any([signal, late.signal])
    let opened: ModelProcess | null = null
    const ready = async (): Promise<ModelProcess> => {
      opened = await open(either)
      await prove(this.#watched(opened), either)
      return opened
    }
    try {
      this.#process = await withTimeout(ready(), openMaxMs, clock, 'starting a model process')
      return this.#process
    } catch (error) {
      late.abort()
      ;(opened as ModelProcess | null)?.kill('it did not become ready')
      if (!(error instanceof DeadlineExceeded)) throw error
      // Not the record's doing that waits for it: no error that nobody thought of (trial.ts).
      const text = `a model process did not become ready within ${openMaxMs / 1000} s`
      throw new MillraceError('MODEL_PROCESS_LOST', text, { cause: error })
    }
  }

  /** Counts a lost process; what is no such loss is thrown on, and so is one too many. */
  #lose(error: unknown): string {
    this.#process = null
    if (!(error instanceof MillraceError) || error.code !== 'MODEL_PROCESS_LOST') throw error
    this.#lostInARow++
    if (this.#lostInARow < lostInARowMax) return error.message
    throw new MillraceError(
      'MODEL_PROCESS_LOST',
      `${this.#lostInARow} model processes in a row were lost, none of which answered a run; the last: ${error.message}`,
      { cause: error },
    )
  }
}
