import type { Clock } from './clock.ts'

/** A wait that lasted longer than its maximum. */
export class DeadlineExceeded extends Error {
  constructor(what: string, ms: number) {
    super(`${what} did not finish within ${ms} ms`)
    this.name = 'DeadlineExceeded'
  }
}

/**
 * Settles as `promise` does, or rejects with DeadlineExceeded after `ms`. The work behind the promise
 * goes on: give it a signal of its own when it has to stop.
 */
export async function withTimeout<T>(
  promise: Promise<T>,
  ms: number,
  clock: Clock,
  what: string,
): Promise<T> {
  const done = new AbortController()
  const late = clock.sleep(ms, done.signal).then(() => {
    throw new DeadlineExceeded(what, ms)
  })
  late.catch(() => {}) // ends by the abort below when the promise wins
  try {
    return await Promise.race([promise, late])
  } finally {
    done.abort()
  }
}
