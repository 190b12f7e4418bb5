import type { Clock } from './clock.ts'

interface Sleeper {
  readonly wakeAtMs: number
  readonly wake: () => void
}

/** A clock that stands still until told. `now` and `monotonic` move together. */
export interface ManualClock extends Clock {
  /** Moves on by `ms`; wakes sleepers in order of their wake time, each seeing the time it asked for. */
  advance(ms: number): Promise<void>
  /** Sleepers waiting now. */
  readonly sleeping: number
  /** Earliest wake time, epoch ms; null when nobody sleeps. */
  readonly nextWakeMs: number | null
}

/** `startMs` is the epoch ms it begins at; `monotonic` begins at 0. */
export function manualClock(startMs = 0): ManualClock {
  let nowMs = startMs
  const sleepers: Sleeper[] = [] // sorted by wake time; equal times keep the order of arrival

  const add = (sleeper: Sleeper): void => {
    const at = sleepers.findIndex((other) => other.wakeAtMs > sleeper.wakeAtMs)
    sleepers.splice(at === -1 ? sleepers.length : at, 0, sleeper)
  }

  const sleep = (ms: number, signal?: AbortSignal): Promise<void> =>
    new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason)
      const onAbort = (): void => {
        sleepers.splice(sleepers.indexOf(sleeper), 1)
        reject(signal?.reason)
      }
      const sleeper: Sleeper = {
        wakeAtMs: nowMs + Math.max(0, ms),
        wake: () => {
          signal?.removeEventListener('abort', onAbort)
          resolve()
        },
      }
      signal?.addEventListener('abort', onAbort, { once: true })
      add(sleeper)
    })

  const advance = async (ms: number): Promise<void> => {
    const untilMs = nowMs + ms
    await settle() // work started just before may be about to sleep
    for (let next = sleepers[0]; next && next.wakeAtMs <= untilMs; next = sleepers[0]) {
      sleepers.shift()
      nowMs = Math.max(nowMs, next.wakeAtMs)
      next.wake()
      await settle() // what it woke may sleep again inside this advance
    }
    nowMs = untilMs
  }

  return {
    now: () => nowMs,
    monotonic: () => nowMs - startMs,
    sleep,
    advance,
    get sleeping() {
      return sleepers.length
    },
    get nextWakeMs() {
      return sleepers[0]?.wakeAtMs ?? null
    },
  }
}

/** Lets every promise continuation that is ready run, microtasks and one turn of the event loop. */
function settle(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}
