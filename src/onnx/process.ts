import { fork } from 'node:child_process'
import { MillraceError } from '../errors.ts'
import type { Binding, FromThread, RunReply, ThreadStart, ToThread } from './protocol.ts'
import type { ModelThread } from './thread.ts'

/** What a model process says is what a model thread says. */
export type FromProcess = FromThread

/** A process with one session of a model in it. Like a thread, but what happens in it ends only itself. */
export interface ModelProcess extends ModelThread {
  readonly pid: number
  /** It has ended, or cannot be used any more. */
  readonly isGone: boolean
  /** Ends it now, whatever it does: the run under way rejects with this reason. */
  kill(reason: string): void
}

// Run from sources (type stripping) and from the built package alike.
const bodyFile = new URL(
  import.meta.url.endsWith('.ts') ? './process-body.ts' : './process-body.js',
  import.meta.url,
)

/** The rest of the environment holds passwords, which a model has no use for. */
const inherited = ['PATH', 'LD_LIBRARY_PATH', 'DYLD_LIBRARY_PATH', 'NODE_OPTIONS', 'SystemRoot', 'TZ', 'LANG']

/**
 * Starts a process and creates the session in it. Throws MillraceError MODEL_INVALID with onnxruntime's reason when it
 * refuses the model, MODEL_PROCESS_LOST when the process ends instead or the signal aborts. The process dies with this one.
 */
export async function openProcess(start: ThreadStart, signal: AbortSignal): Promise<ModelProcess> {
  const child = fork(bodyFile, [], {
    serialization: 'advanced', // typed arrays as bytes
    execArgv: [],
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    env: Object.fromEntries(inherited.map((name) => [name, process.env[name]])),
  })
  let waiting: PromiseWithResolvers<FromProcess> | null = Promise.withResolvers<FromProcess>()
  let lost: MillraceError | null = null
  let reason: string | null = null
  const gone = Promise.withResolvers<void>()
  const lose = (text: string): void => {
    lost ??= new MillraceError('MODEL_PROCESS_LOST', text)
    waiting?.reject(lost)
    waiting = null
  }
  const kill = (why: string): void => {
    reason ??= why
    child.kill('SIGKILL')
  }
  child.on('message', (message) => {
    waiting?.resolve(message as FromProcess)
    waiting = null
  })
  child.on('error', (error) => {
    lose(`the model process cannot be used: ${error.message}`)
    kill('it cannot be used')
    if (child.pid === undefined) gone.resolve() // was never started: no exit will come
  })
  child.on('exit', (code, ended) => {
    lose(`the model process ended (${ended ?? `code ${code}`}): ${reason ?? 'by itself'}`)
    gone.resolve()
  })
  const say = (message: ThreadStart | ToThread): void => {
    child.send(message, (error) => {
      if (error !== null) kill(`it cannot be reached (${error.message})`)
    })
  }

  const onAbort = (): void => kill('it was not wanted any more')
  signal.addEventListener('abort', onAbort, { once: true })
  try {
    if (signal.aborted) onAbort()
    else say(start)
    const opened = await waiting.promise
    if (opened.kind !== 'opened') {
      kill('it refused the model')
      await gone.promise
      const text = opened.kind === 'refused' ? opened.message : `a model process began with ${opened.kind}`
      throw new MillraceError(opened.kind === 'refused' ? 'MODEL_INVALID' : 'INTERNAL', text)
    }
    return {
      pid: child.pid ?? 0,
      get isGone() {
        return lost !== null
      },
      inputs: opened.inputs,
      outputs: opened.outputs,
      bind: (binding: Binding) => say({ kind: 'bind', binding }),
      run: async (rows, n) => {
        if (lost) throw lost
        if (waiting)
          throw new MillraceError('INTERNAL', 'A model process was given a second run at the same time.')
        waiting = Promise.withResolvers<FromProcess>()
        const reply = waiting.promise
        say({ kind: 'run', rows, n })
        return (await reply) as RunReply
      },
      close: () => {
        if (!lost) say({ kind: 'close' })
        return gone.promise
      },
      abandon: () => kill('its run hangs'),
      kill,
    }
  } finally {
    signal.removeEventListener('abort', onAbort)
  }
}
