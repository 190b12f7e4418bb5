import { Worker } from 'node:worker_threads'
import { MillraceError } from '../errors.ts'
import type { Binding, FromThread, ModelValue, RunReply, ThreadStart, ToThread } from './protocol.ts'

/** A thread with one session of a model in it. One run at a time. */
export interface ModelThread {
  readonly inputs: readonly ModelValue[]
  readonly outputs: readonly ModelValue[]
  /** Must be called before the first run. */
  bind(binding: Binding): void
  /** The buffer of `rows` is transferred. Throws MillraceError INTERNAL when the thread is gone. */
  run(rows: Float32Array<ArrayBuffer>, n: number): Promise<RunReply>
  /** Ends the thread after the run under way; resolves when it is gone. */
  close(): Promise<void>
  /** For one that hangs: from now on it is neither waited for nor does it keep the event loop alive. */
  abandon(): void
}

// Run from sources (type stripping) and from the built package alike.
const workerFile = new URL(import.meta.url.endsWith('.ts') ? './worker.ts' : './worker.js', import.meta.url)

/**
 * Starts a thread and creates the session in it. The model's bytes are copied: the caller keeps his.
 * Throws MillraceError MODEL_INVALID with onnxruntime's reason when it refuses the model.
 */
export async function openThread(start: ThreadStart, file: URL = workerFile): Promise<ModelThread> {
  const worker = new Worker(file, { workerData: start, execArgv: [], name: 'model' })
  let waiting: PromiseWithResolvers<FromThread> | null = Promise.withResolvers<FromThread>()
  let lost: MillraceError | null = null
  const gone = Promise.withResolvers<void>()
  const lose = (text: string, cause?: unknown): void => {
    lost ??= new MillraceError('INTERNAL', text, { cause })
    waiting?.reject(lost)
    waiting = null
  }
  worker.on('message', (message: FromThread) => {
    waiting?.resolve(message)
    waiting = null
  })
  worker.on('error', (error) => lose(`A model thread crashed: ${errorText(error)}`, error))
  worker.on('exit', (code) => {
    lose(`A model thread has ended (code ${code}).`)
    gone.resolve()
  })

  const say = (message: ToThread, transfer: ArrayBuffer[] = []): void => worker.postMessage(message, transfer)
  const opened = await waiting.promise
  if (opened.kind === 'refused') {
    await gone.promise // nothing listens any more, so the thread ends by itself
    throw new MillraceError('MODEL_INVALID', opened.message)
  }
  if (opened.kind !== 'opened')
    throw new MillraceError('INTERNAL', `A model thread began with ${opened.kind}.`)

  return {
    inputs: opened.inputs,
    outputs: opened.outputs,
    bind: (binding) => say({ kind: 'bind', binding }),
    run: async (rows, n) => {
      if (lost) throw lost
      if (waiting)
        throw new MillraceError('INTERNAL', 'A model thread was given a second run at the same time.')
      waiting = Promise.withResolvers<FromThread>()
      const reply = waiting.promise
      say({ kind: 'run', rows, n }, [rows.buffer])
      return (await reply) as RunReply
    },
    close: () => {
      if (!lost) say({ kind: 'close' })
      return gone.promise
    },
    abandon: () => {
      worker.unref()
      lose('The model thread was abandoned because its run hangs.')
      gone.resolve()
    },
  }
}

function errorText(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
