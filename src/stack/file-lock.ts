import { mkdir, open, readFile, rm, stat, utimes } from 'node:fs/promises'
import { hostname } from 'node:os'
import { dirname } from 'node:path'
import type { Clock } from '../time/clock.ts'
import { systemClock } from '../time/system-clock.ts'

const retryMs = 100
const beatMs = 2_000
const staleAfterMs = 20_000 // ten missed beats; the pid check alone is blind to reused pids and other hosts
const takeoverMaxMs = 5_000 // the takeover itself is a few file operations

/**
 * Runs `work` while holding `path` against other processes. The lock of a dead holder is taken over.
 * `onWait` is told once when somebody else holds it.
 */
export async function withFileLock<T>(
  path: string,
  work: () => Promise<T>,
  options: { clock?: Clock; signal?: AbortSignal; onWait?: (holder: string) => void } = {},
): Promise<T> {
  const clock = options.clock ?? systemClock
  await mkdir(dirname(path), { recursive: true })
  for (let waited = false; !(await tryLock(path)); waited = true) {
    const holder = await readFile(path, 'utf8').catch(() => null)
    if (holder !== null && (await isStale(path, holder, clock)) && (await takeOver(path, holder, clock)))
      break
    if (!waited) options.onWait?.(holder ?? 'another process')
    await clock.sleep(retryMs, options.signal)
  }
  const done = new AbortController()
  const beating = beat(path, clock, done.signal)
  try {
    return await work()
  } finally {
    done.abort()
    await beating
    await rm(path, { force: true })
  }
}

async function tryLock(path: string): Promise<boolean> {
  try {
    const file = await open(path, 'wx')
    await file.writeFile(`${process.pid} ${hostname()}`)
    await file.close()
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false
    throw error
  }
}

async function beat(path: string, clock: Clock, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    await clock.sleep(beatMs, signal).catch(() => {})
    const nowS = clock.now() / 1000
    if (!signal.aborted) await utimes(path, nowS, nowS).catch(() => {})
  }
}

async function isStale(path: string, holder: string, clock: Clock): Promise<boolean> {
  if ((await ageMs(path, clock)) > staleAfterMs) return true
  const [pid, host] = holder.split(' ')
  if (!pid || host !== hostname()) return false // just being written, or not ours to judge
  return !isAlive(Number(pid))
}

/** One process at a time may remove a stale lock, and only the very one it judged. */
async function takeOver(path: string, staleHolder: string, clock: Clock): Promise<boolean> {
  const guard = `${path}.takeover`
  if ((await ageMs(guard, clock)) > takeoverMaxMs) await rm(guard, { force: true })
  if (!(await tryLock(guard))) return false
  try {
    if ((await readFile(path, 'utf8').catch(() => null)) === staleHolder) await rm(path)
    return await tryLock(path)
  } finally {
    await rm(guard, { force: true })
  }
}

async function ageMs(path: string, clock: Clock): Promise<number> {
  const found = await stat(path).catch(() => null)
  return found === null ? 0 : clock.now() - found.mtimeMs
}

/** Whether a process with this id exists, whoever owns it. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}
