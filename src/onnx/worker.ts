/**
 * Body of a model thread: one session, one run at a time. `session.run` is native work that blocks the thread it is
 * called on, so it must not be the main one. The thread ends by closing its port when told; it is never terminated,
 * because ending a thread inside native code aborts the process.
 */
import { parentPort, workerData } from 'node:worker_threads'
import { env, InferenceSession, Tensor } from 'onnxruntime-node'
import { systemClock } from '../time/system-clock.ts'
import type { Binding, FromThread, ModelValue, RunReply, ThreadStart, ToThread } from './protocol.ts'
import { dimensionsOf, pickScores, takeColumns } from './tensors.ts'

const port = parentPort!
const start = workerData as ThreadStart
// Failures come back as messages; what onnxruntime prints to standard error besides would say them twice.
const fatalOnly = 4
env.logLevel = 'fatal'

let binding: Binding | null = null
let done: Promise<void> = Promise.resolve() // session.run yields before it begins: a close must not overtake it

try {
  const session = await InferenceSession.create(start.model, {
    // Threads of its own would compete with the other model threads; scale with `model.workers`.
    intraOpNumThreads: 1,
    interOpNumThreads: 1,
    executionMode: 'sequential',
    graphOptimizationLevel: 'all',
    logSeverityLevel: fatalOnly,
    externalData: start.externalData.map(({ path, data }) => ({ path, data })),
  })
  port.on('message', (message: ToThread) => {
    done = done.then(() => receive(session, message))
  })
  say({
    kind: 'opened',
    inputs: session.inputMetadata.map(describe),
    outputs: session.outputMetadata.map(describe),
  })
} catch (error) {
  say({ kind: 'refused', message: textOf(error) })
}

async function receive(session: InferenceSession, message: ToThread): Promise<void> {
  if (message.kind === 'bind') {
    binding = message.binding
  } else if (message.kind === 'run') {
    const reply = await run(session, binding!, message.rows, message.n)
    port.postMessage(reply, reply.kind === 'scored' ? [reply.scores.buffer] : [])
  } else {
    await session.release()
    port.close()
  }
}

async function run(
  session: InferenceSession,
  { inputs, output, column }: Binding,
  rows: Float32Array<ArrayBuffer>,
  n: number,
): Promise<RunReply> {
  try {
    const width = rows.length / n
    const feeds: Record<string, Tensor> = {}
    let from = 0
    for (const input of inputs) {
      const data = input.columns === width ? rows : takeColumns(rows, n, width, from, input.columns)
      feeds[input.name] = new Tensor('float32', data, dimensionsOf(input, n))
      from += input.columns
    }
    const startedMs = systemClock.monotonic()
    const results = await session.run(feeds, [output])
    const runMs = systemClock.monotonic() - startedMs
    const scores = pickScores(results[output]!, n, column)
    return scores instanceof Float64Array ? { kind: 'scored', scores, runMs } : scores
  } catch (error) {
    return { kind: 'failed', why: 'threw', message: textOf(error) }
  }
}

function describe(value: InferenceSession.ValueMetadata): ModelValue {
  return value.isTensor
    ? { name: value.name, type: value.type, shape: [...value.shape] }
    : { name: value.name, type: null, shape: [] }
}

function say(message: FromThread): void {
  port.postMessage(message)
}

function textOf(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).replace(/\s+/g, ' ').trim()
}
