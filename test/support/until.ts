import { systemClock } from '../../src/time/system-clock.ts'

/**
 * After this a test gives up waiting for a condition. Far above what anything takes on two slow cores beside a busy
 * neighbour: it ends tests that hang, and measures nothing.
 */
export const patienceMs = 90_000
export const lookEveryMs = 50

/** Polls until it is so; a failing look is tried again. */
export async function until(what: string, look: () => boolean | Promise<boolean>): Promise<void> {
  const giveUpAt = systemClock.monotonic() + patienceMs
  let failure: unknown = null
  for (;;) {
    try {
      if (await look()) return
      failure = null
    } catch (error) {
      failure = error
    }
    if (systemClock.monotonic() > giveUpAt)
      throw new Error(`waited too long until ${what}`, { cause: failure })
    await systemClock.sleep(lookEveryMs)
  }
}
