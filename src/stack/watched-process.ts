import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, readFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { createInterface } from 'node:readline'
import { MillraceError } from '../errors.ts'
import type { Clock } from '../time/clock.ts'
import { systemClock } from '../time/system-clock.ts'

/** How to start one server and how to know that it serves. */
export interface ServerLaunch {
  /** For messages: 'Kafka', 'Redis', … */
  readonly name: string
  readonly command: string
  readonly args: readonly string[]
  /** Receives stdout and stderr, appended. */
  readonly logFile: string
  /** Ends when the server answers; polled again while it throws. */
  readonly probe: (signal: AbortSignal) => Promise<void>
  /** Removed when the parent dies without stopping the server; for temporary data only. */
  readonly removeAfterCrash?: string
}

/** A server that lives no longer than this process. */
export interface WatchedServer extends AsyncDisposable {
  readonly name: string
  /** Of the server itself, not of its supervisor: to stall (SIGSTOP) or kill it in fault tests. */
  readonly pid: number
  readonly logFile: string
  /** The server's exit code, once it ended for whatever reason. */
  readonly exited: Promise<number>
  /** SIGTERM, SIGKILL after `stopGraceMs`; may be called again. */
  stop(): Promise<void>
  /** SIGKILL at once, as a crash. */
  kill(): Promise<void>
}

export const startMaxMs = 60_000 // a JVM on a loaded laptop; measured 2 s on an idle one
const probeEveryMs = 25
const stopGraceMs = 10_000 // Kafka's controlled shutdown takes about 1 s

/*
 * The server's parent is this small shell, whose stdin is a pipe from us. However we die, the kernel closes
 * the pipe; `read` then ends and the server is stopped. As its parent the shell knows that the pid is
 * still the server's. Started in a session of its own, so Ctrl-C in a terminal reaches us first.
 * Arguments: log file, directory to remove after a crash (or empty), command and its arguments.
 */
const supervisorScript = `
log=$1 remove=$2; shift 2
orphaned=
trap 'orphaned=yes' USR1
trap 'kill -TERM "$server"' TERM
exec 3<&0
"$@" </dev/null >>"$log" 2>&1 3<&- & server=$!
echo "$server"
(
  while read -r _ <&3; do :; done
  kill -USR1 $$
  kill -TERM "$server"
  tries=0
  while [ "$tries" -lt 5 ] && kill -0 "$server"; do sleep 1; tries=$((tries + 1)); done
  kill -KILL "$server"
) >/dev/null 2>&1 & watcher=$!
while :; do wait "$server"; code=$?; kill -0 "$server" 2>/dev/null || break; done
kill "$watcher" 2>/dev/null
if [ -n "$orphaned" ] && [ -n "$remove" ]; then rm -rf "$remove"; rmdir "\${remove%/*}"; fi 2>/dev/null
exit "$code"
`

/** Starts the server under its watcher and waits until it serves; a failed start stops it and shows its log. */
export async function startWatched(
  launch: ServerLaunch,
  signal?: AbortSignal,
  clock: Clock = systemClock,
): Promise<WatchedServer> {
  await mkdir(dirname(launch.logFile), { recursive: true })
  const supervisor = spawn(
    'sh',
    [
      '-c',
      supervisorScript,
      'supervise',
      launch.logFile,
      launch.removeAfterCrash ?? '',
      launch.command,
      ...launch.args,
    ],
    { stdio: ['pipe', 'pipe', 'ignore'], detached: true },
  )
  const exited = exitOf(supervisor)
  const pid = await reportedPid(supervisor, launch.name)
  const server = watchedServer(launch, supervisor, pid, exited, clock)
  try {
    await untilServing(launch, exited, signal, clock)
    return server
  } catch (cause) {
    await server.kill()
    throw cause
  }
}

const portTriesMax = 3

/**
 * Starts a server whose free port was chosen just before. Another process can take that port in between, so such a
 * failure is tried again, with what `prepare` chooses next.
 */
export async function startOnFreePort<P extends { readonly launch: ServerLaunch }>(
  prepare: () => Promise<P>,
  signal?: AbortSignal,
): Promise<P & { readonly server: WatchedServer }> {
  for (let tries = 1; ; tries++) {
    const prepared = await prepare()
    try {
      return { ...prepared, server: await startWatched(prepared.launch, signal) }
    } catch (error) {
      if (tries === portTriesMax || !/address already in use|seems to be in use/i.test(String(error)))
        throw error
    }
  }
}

/** Polls the probe until it passes. Throws when the server ends, the signal aborts or `startMaxMs` pass. */
export async function untilServing(
  launch: ServerLaunch,
  exited: Promise<number>,
  signal: AbortSignal | undefined,
  clock: Clock = systemClock,
): Promise<void> {
  const ended = new AbortController()
  void exited.then((code) => ended.abort(code))
  const stop = AbortSignal.any([ended.signal, ...(signal ? [signal] : [])])
  const giveUpAt = clock.monotonic() + startMaxMs
  for (;;) {
    try {
      await launch.probe(stop)
      return
    } catch (cause) {
      signal?.throwIfAborted()
      const problem = ended.signal.aborted
        ? `ended with code ${ended.signal.reason} while starting`
        : clock.monotonic() > giveUpAt
          ? `does not answer ${startMaxMs / 1000} s after its start`
          : null
      if (problem) throw await startFailure(launch, problem, cause)
    }
    await clock.sleep(probeEveryMs, stop).catch(() => {}) // an abort is looked at by the next round
  }
}

const logTailLines = 15

async function startFailure(launch: ServerLaunch, problem: string, cause: unknown): Promise<MillraceError> {
  const log = await readFile(launch.logFile, 'utf8').catch(() => '')
  const tail = log.trimEnd().split('\n').slice(-logTailLines).join('\n')
  const shown =
    tail === '' ? `Its log ${launch.logFile} is empty.` : `Last lines of ${launch.logFile}:\n${tail}`
  return new MillraceError('STACK_UNAVAILABLE', `${launch.name} ${problem}. ${shown}`, { cause })
}

function watchedServer(
  launch: ServerLaunch,
  supervisor: ChildProcess,
  pid: number,
  exited: Promise<number>,
  clock: Clock,
): WatchedServer {
  const kill = async (): Promise<void> => {
    if (isRunning(supervisor)) killQuietly(pid)
    await exited
  }
  const stop = async (): Promise<void> => {
    if (!isRunning(supervisor)) return
    supervisor.kill('SIGTERM') // passed on to the server
    const late = new AbortController()
    const grace = clock.sleep(stopGraceMs, late.signal).then(kill, () => {})
    await exited
    late.abort()
    await grace
  }
  return { name: launch.name, pid, logFile: launch.logFile, exited, stop, kill, [Symbol.asyncDispose]: stop }
}

function isRunning(supervisor: ChildProcess): boolean {
  return supervisor.exitCode === null && supervisor.signalCode === null
}

function killQuietly(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch {
    // it ended between the check and the signal
  }
}

async function exitOf(supervisor: ChildProcess): Promise<number> {
  const [code] = (await once(supervisor, 'exit').catch(() => [1])) as [number | null]
  return code ?? 1
}

async function reportedPid(supervisor: ChildProcess, name: string): Promise<number> {
  if (supervisor.stdout === null)
    throw new MillraceError('INTERNAL', `The supervisor of ${name} has no stdout.`)
  for await (const line of createInterface(supervisor.stdout)) return Number(line)
  throw new MillraceError('STACK_UNAVAILABLE', `${name} could not be started: no POSIX shell (sh) on PATH.`)
}
