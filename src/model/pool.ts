import { MillraceError } from '../errors.ts'
import type { RunReply } from '../onnx/protocol.ts'
import type { ModelThread } from '../onnx/thread.ts'
import type { RunWatch } from './run-watch.ts'

/** Model threads that share one queue: first come, first served. */
export interface ThreadPool {
  run(rows: Float32Array<ArrayBuffer>, n: number): Promise<RunReply>
  /** Ends what was accepted, then the threads. Idempotent. A hanging run is not waited for. */
  close(): Promise<void>
}

interface WaitingRun {
  readonly rows: Float32Array<ArrayBuffer>
  readonly n: number
  readonly reply: PromiseWithResolvers<RunReply>
}

/**
 * A run that does not end in time breaks the pool for good: this and every other run reject with MODEL_HANG. Native code
 * cannot be interrupted, and ending its thread would abort the process. The process must end, and by a signal
 * (`process.kill(process.pid, 'SIGKILL')`): `process.exit` joins the threads, so it would hang as well.
 */
export function createPool(threads: readonly ModelThread[], watch: RunWatch): ThreadPool {
  const idle = [...threads]
  const waiting: WaitingRun[] = [] // bounded by the caller: the batcher keeps as many under way as there are threads
  let broken: MillraceError | null = null
  let closing: Promise<void> | null = null
  const drained = Promise.withResolvers<void>()

  const breakDown = (error: MillraceError): void => {
    broken ??= error
    for (const run of waiting.splice(0)) run.reply.reject(broken)
  }

  const hang = (thread: ModelThread, n: number): void => {
    const text = `A model run of ${n} rows did not end within ${watch.timeoutMs} ms. It cannot be interrupted, so the process must end.`
    breakDown(new MillraceError('MODEL_HANG', text))
    thread.abandon()
  }

  const start = async (thread: ModelThread, { rows, n, reply }: WaitingRun): Promise<void> => {
    const end = watch.begin(() => hang(thread, n))
    try {
      const answer = await thread.run(rows, n)
      idle.push(thread)
      reply.resolve(answer)
    } catch (error) {
      breakDown(
        error instanceof MillraceError
          ? error
          : new MillraceError('INTERNAL', String(error), { cause: error }),
      )
      reply.reject(broken)
    } finally {
      end()
      next()
    }
  }

  const next = (): void => {
    while (idle.length > 0 && waiting.length > 0) void start(idle.pop()!, waiting.shift()!)
    if (closing && waiting.length === 0 && (broken || idle.length === threads.length)) drained.resolve()
  }

  const close = async (): Promise<void> => {
    next()
    await drained.promise
    await Promise.all(threads.map((thread) => thread.close()))
  }

  return {
    run: (rows, n) => {
      if (broken) return Promise.reject(broken)
      if (closing)
        return Promise.reject(
          new MillraceError('INTERNAL', 'The model was asked for scores after it was closed.'),
        )
      const reply = Promise.withResolvers<RunReply>()
      waiting.push({ rows, n, reply })
      next()
      return reply.promise
    },
    close: () => {
      if (!closing) {
        closing = Promise.resolve()
        closing = close()
      }
      return closing
    },
  }
}
