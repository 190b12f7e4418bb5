import type { Clock } from './clock.ts'

/** The machine's clock. A sleep keeps the process alive until it ends or its signal aborts. */
export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  sleep,
}

// setTimeout fires at once for anything above this (about 24.8 days), so longer sleeps go in steps.
const timerMaxMs = 2 ** 31 - 1

async function sleep(ms: number, signal?: AbortSignal): Promise<void> {
  let leftMs = ms
  while (leftMs > timerMaxMs) {
    await timer(timerMaxMs, signal)
    leftMs -= timerMaxMs
  }
  await timer(leftMs, signal)
}

function timer(ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason)
    const onAbort = (): void => {
      clearTimeout(handle)
      reject(signal?.reason)
    }
    const handle = setTimeout(() => {
      signal?.removeEventListener('abort', onAbort)
      resolve()
    }, ms)
    signal?.addEventListener('abort', onAbort, { once: true })
  })
}
