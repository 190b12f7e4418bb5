/**
 * Body of a model process: the channel to the parent on the main thread, the session on a thread of its own. So the main
 * thread notices that the parent is gone even while a run hangs, and ends the process with it.
 */
import type { ThreadStart, ToThread } from './protocol.ts'
import type { FromProcess } from './process.ts'
import { openThread, type ModelThread } from './thread.ts'

process.title = 'millrace model'
const die = (): void => void process.kill(process.pid, 'SIGKILL') // any other exit waits for the thread
process.on('disconnect', die)
// Signals go to whole process groups. The parent still needs scores to drain, and ends this process when it is done.
process.on('SIGINT', () => undefined)
process.on('SIGTERM', () => undefined)

let thread: ModelThread | null = null

process.on('message', (message: ThreadStart | ToThread) => {
  receive(message).catch((error: unknown) => {
    process.stderr.write(`millrace model process: ${textOf(error)}\n`)
    die()
  })
})

async function receive(message: ThreadStart | ToThread): Promise<void> {
  if ('model' in message) return open(message)
  if (message.kind === 'bind') thread?.bind(message.binding)
  if (message.kind === 'run' && thread !== null) say(await thread.run(message.rows.slice(), message.n))
  if (message.kind === 'close') {
    await thread?.close()
    die()
  }
}

async function open(start: ThreadStart): Promise<void> {
  try {
    thread = await openThread(start)
  } catch (error) {
    return say({ kind: 'refused', message: textOf(error) })
  }
  say({ kind: 'opened', inputs: thread.inputs, outputs: thread.outputs })
}

function say(message: FromProcess): void {
  process.send?.(message)
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
