/**
 * Loaded with `--import`: any model crashes natively, as a faulty kernel would (SIGSEGV), on a row that holds `crashes`.
 * No ONNX graph does so reliably. Loads itself into model threads, which inherit no options.
 */
import { createRequire, syncBuiltinESMExports } from 'node:module'
import threads, { isMainThread, type WorkerOptions } from 'node:worker_threads'
import type { InferenceSession, OnnxValue } from 'onnxruntime-node'
import { crashes } from './crash-value.ts'

interface Prototype {
  run(feeds: Readonly<Record<string, OnnxValue>>, ...rest: unknown[]): Promise<unknown>
}

if (isMainThread) {
  const { Worker } = threads
  threads.Worker = class extends Worker {
    constructor(file: string | URL, options: WorkerOptions) {
      super(file, { ...options, execArgv: [...(options.execArgv ?? []), '--import', import.meta.url] })
    }
  }
  syncBuiltinESMExports()
} else {
  const runtime = createRequire(import.meta.url)('onnxruntime-node') as { InferenceSession: unknown }
  const { prototype } = runtime.InferenceSession as { prototype: InferenceSession & Prototype }
  const run = prototype.run as Prototype['run']
  const crashing: Prototype['run'] = function (this: InferenceSession, feeds, ...rest) {
    const values = Object.values(feeds).flatMap(({ data }) => [...(data as Float32Array)])
    if (values.includes(crashes)) process.kill(process.pid, 'SIGSEGV')
    return run.call(this, feeds, ...rest)
  }
  Object.assign(prototype, { run: crashing })
}
