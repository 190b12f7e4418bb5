import type { Clock } from '../time/clock.ts'

/** Notices runs that do not end. */
export interface RunWatch {
  readonly timeoutMs: number
  /** Call the returned function when the run has ended; otherwise `onHang` is called once. */
  begin(onHang: () => void): () => void
  /** Stops watching. */
  close(): void
}

/**
 * One sleeper for all runs instead of a timer for each: it looks four times per `timeoutMs` while runs are under way.
 * A run hangs when five looks have seen it, which is 1 to 1.25 times the timeout. Looks are counted, not clock time, so
 * that a process that was stopped for a while (SIGSTOP, suspended machine) does not take its own pause for a hang.
 */
export function watchRuns(timeoutMs: number, clock: Clock): RunWatch {
  const looksPerTimeout = 4
  const running = new Set<{ looks: number; readonly onHang: () => void }>()
  const closed = new AbortController()
  let looking = false

  const look = async (): Promise<void> => {
    looking = true
    while (running.size > 0) {
      await clock.sleep(timeoutMs / looksPerTimeout, closed.signal)
      for (const run of running) {
        run.looks += 1
        if (run.looks <= looksPerTimeout) continue
        running.delete(run)
        run.onHang()
      }
    }
    looking = false
  }

  return {
    timeoutMs,
    begin: (onHang) => {
      const run = { looks: 0, onHang }
      running.add(run)
      if (!looking) look().catch(() => {}) // only the sleep rejects, when closed
      return () => running.delete(run)
    },
    close: () => closed.abort(),
  }
}
