import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { promisify } from 'node:util'
import type { Clock } from '../time/clock.ts'
import { systemClock } from '../time/system-clock.ts'
import { isAlive } from './file-lock.ts'

/** A process that may outlive us, recognisable after its pid has been given to another one. */
export interface ProcessIdentity {
  readonly pid: number
  /** When it started, in the terms of this machine; only compared for equality. */
  readonly started: string
}

/** Null when no such process runs. */
export async function identify(pid: number): Promise<ProcessIdentity | null> {
  const started = (await startedFromProc(pid)) ?? (await startedFromPs(pid))
  return started === null ? null : { pid, started }
}

/** Whether this very process still runs. */
export async function isRunning({ pid, started }: ProcessIdentity): Promise<boolean> {
  return isAlive(pid) && (await identify(pid))?.started === started
}

const stopGraceMs = 10_000
const pollEveryMs = 50

/** SIGTERM, SIGKILL after ten seconds; only ever to this very process. Ends when it is gone. */
export async function stopProcess(identity: ProcessIdentity, clock: Clock = systemClock): Promise<void> {
  const killAt = clock.monotonic() + stopGraceMs
  if (await isRunning(identity)) signalQuietly(identity.pid, 'SIGTERM')
  while (await isRunning(identity)) {
    if (clock.monotonic() > killAt) signalQuietly(identity.pid, 'SIGKILL')
    await clock.sleep(pollEveryMs)
  }
}

function signalQuietly(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal)
  } catch {
    // it ended in between
  }
}

const startTimeField = 22 // of /proc/PID/stat: clock ticks from boot to its start
const commandField = 2 // in parentheses; the fields are counted from behind it, it may contain spaces

async function startedFromProc(pid: number): Promise<string | null> {
  try {
    const stat = await readFile(`/proc/${pid}/stat`, 'utf8')
    const [state, ...fields] = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    if (state === 'Z') return null // ended; its parent has not looked yet
    const boot = await readFile('/proc/sys/kernel/random/boot_id', 'utf8')
    return `${boot.trim()} ${fields[startTimeField - commandField - 2]}`
  } catch {
    return null
  }
}

/** macOS has no /proc. */
async function startedFromPs(pid: number): Promise<string | null> {
  try {
    const { stdout } = await promisify(execFile)('ps', ['-o', 'stat=,lstart=', '-p', String(pid)])
    const [state = 'Z', ...started] = stdout.trim().split(/\s+/)
    return state.startsWith('Z') ? null : started.join(' ')
  } catch {
    return null
  }
}
