import { MillraceError } from '../errors.ts'
import type { RunReply } from '../onnx/protocol.ts'

/** What a pool is made of. One run at a time. */
export interface PoolWorker {
  run(rows: Float32Array<ArrayBuffer>, n: number): Promise<RunReply>
  close(): Promise<void>
}

/** Workers that share one queue: first come, first served. */
export interface Pool {
  run(rows: Float32Array<ArrayBuffer>, n: number): Promise<RunReply>
  /** Ends what was accepted, then the workers. Idempotent. A hanging run is not waited for. */
  close(): Promise<void>
}

interface WaitingRun {
  readonly rows: Float32Array<ArrayBuffer>
  readonly n: number
  readonly reply: PromiseWithResolvers<RunReply>
}

/** A run that rejects breaks the pool for good: every other run rejects with the same. */
export function createPool(workers: readonly PoolWorker[]): Pool {
  const idle = [...workers]
  const waiting: WaitingRun[] = [] // bounded by the caller: the batcher keeps as many under way as there are workers
  let broken: MillraceError | null = null
  let closing: Promise<void> | null = null
  const drained = Promise.withResolvers<void>()

  const breakDown = (error: MillraceError): void => {
    broken ??= error
    for (const run of waiting.splice(0)) run.reply.reject(broken)
  }

  const start = async (worker: PoolWorker, { rows, n, reply }: WaitingRun): Promise<void> => {
    try {
      const answer = await worker.run(rows, n)
      idle.push(worker)
      reply.resolve(answer)
    } catch (error) {
      breakDown(
        error instanceof MillraceError
          ? error
          : new MillraceError('INTERNAL', String(error), { cause: error }),
      )
      reply.reject(broken)
    } finally {
      next()
    }
  }

  const next = (): void => {
    while (idle.length > 0 && waiting.length > 0) void start(idle.pop()!, waiting.shift()!)
    if (closing && waiting.length === 0 && (broken || idle.length === workers.length)) drained.resolve()
  }

  const close = async (): Promise<void> => {
    next()
    await drained.promise
    await Promise.all(workers.map((worker) => worker.close()))
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
