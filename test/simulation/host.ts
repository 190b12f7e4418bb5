import type { Clock } from '../../src/time/clock.ts'
import type { Planned, Timeline } from './scheduler.ts'
import type { Trace } from './trace.ts'

/**
 * One simulated process. A crash abandons everything it waits for, for ever, and aborts nothing: SIGKILL. A freeze holds
 * everything back until the thaw: SIGSTOP. What it has sent before may land at any time.
 */
export class Host {
  readonly name: string
  readonly clock: Clock
  readonly #timeline: Timeline
  readonly #trace: Trace
  readonly #held: (() => void)[] = []
  #state: 'up' | 'frozen' | 'dead' = 'up'
  #frozenUntilMs = 0
  /** Called after a crash and a freeze, by the world around the process. */
  onCrash: () => void = () => {}
  onFreeze: (ms: number) => void = () => {}

  /** `now`: its wall clock, epoch ms. */
  constructor(name: string, timeline: Timeline, trace: Trace, now: () => number) {
    this.name = name
    this.#timeline = timeline
    this.#trace = trace
    this.clock = {
      now,
      monotonic: () => timeline.nowMs,
      sleep: (ms, signal) => this.#sleep(ms, signal),
    }
  }

  get isDead(): boolean {
    return this.#state === 'dead'
  }
  get isUp(): boolean {
    return this.#state === 'up'
  }

  /** Runs inside this process after `delayMs`: later when it is frozen, never when it is dead. */
  deliver(delayMs: number, run: () => void): Planned {
    return this.#timeline.at(delayMs, () => this.arrive(run), this.name)
  }

  /** Runs inside this process now, or when it thaws. */
  arrive(run: () => void): void {
    if (this.#state === 'dead') return
    if (this.#state === 'frozen') {
      this.#held.push(run)
      return
    }
    this.#timeline.touched = true
    run()
  }

  crash(): void {
    if (this.#state === 'dead') return
    this.#state = 'dead'
    this.#trace.add(this.#timeline.nowMs, this.name, 'CRASH')
    this.#trace.count('crash')
    this.onCrash()
  }

  freeze(ms: number): void {
    if (this.#state !== 'up') return
    this.#state = 'frozen'
    this.#frozenUntilMs = this.#timeline.nowMs + ms
    this.#trace.add(this.#timeline.nowMs, this.name, 'FREEZE for', ms)
    this.#trace.count('freeze')
    if (Number.isFinite(ms)) {
      this.#timeline.at(ms, () => {
        if (this.#timeline.nowMs >= this.#frozenUntilMs) this.thaw()
      })
    }
    this.onFreeze(ms)
  }

  thaw(): void {
    if (this.#state !== 'frozen') return
    this.#state = 'up'
    this.#trace.add(this.#timeline.nowMs, this.name, 'THAW')
    for (const run of this.#held.splice(0)) this.deliver(0, run)
  }

  #sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason)
      const planned = this.deliver(ms, () => {
        signal?.removeEventListener('abort', onAbort)
        resolve()
      })
      const onAbort = (): void => {
        planned.cancelled = true
        reject(signal?.reason)
      }
      signal?.addEventListener('abort', onAbort, { once: true })
    })
  }
}
