import type { Clock } from '../../src/time/clock.ts'
import { epochMs, type Scheduler } from './scheduler.ts'
import type { Trace } from './trace.ts'

/**
 * One simulated process. A crash abandons everything it waits for, for ever, and aborts nothing: SIGKILL. A freeze holds
 * everything back until the thaw: SIGSTOP. What it has sent before may land at any time.
 */
export class Host {
  readonly name: string
  readonly clock: Clock
  readonly #scheduler: Scheduler
  readonly #trace: Trace
  readonly #held: (() => void)[] = []
  #state: 'up' | 'frozen' | 'dead' = 'up'
  #frozenUntilMs = 0
  /** Called after a crash, a freeze and a thaw, by the world around the process. */
  onCrash: () => void = () => {}
  onFreeze: (ms: number) => void = () => {}

  /** `skewMs`: how wrong its wall clock is. */
  constructor(name: string, scheduler: Scheduler, trace: Trace, skewMs: number) {
    this.name = name
    this.#scheduler = scheduler
    this.#trace = trace
    this.clock = {
      now: () => epochMs + scheduler.nowMs + skewMs,
      monotonic: () => scheduler.nowMs,
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
  deliver(delayMs: number, run: () => void): void {
    this.#scheduler.at(delayMs, () => this.#arrive(run))
  }

  #arrive(run: () => void): void {
    if (this.#state === 'dead') return
    if (this.#state === 'frozen') {
      this.#held.push(run)
      return
    }
    this.#scheduler.touched = true
    run()
  }

  crash(): void {
    if (this.#state === 'dead') return
    this.#state = 'dead'
    this.#trace.add(this.#scheduler.nowMs, this.name, 'CRASH')
    this.#trace.count('crash')
    this.onCrash()
  }

  freeze(ms: number): void {
    if (this.#state !== 'up') return
    this.#state = 'frozen'
    this.#frozenUntilMs = this.#scheduler.nowMs + ms
    this.#trace.add(this.#scheduler.nowMs, this.name, 'FREEZE for', ms)
    this.#trace.count('freeze')
    this.#scheduler.at(ms, () => this.#thaw())
    this.onFreeze(ms)
  }

  #thaw(): void {
    if (this.#state !== 'frozen' || this.#scheduler.nowMs < this.#frozenUntilMs) return
    this.#state = 'up'
    this.#trace.add(this.#scheduler.nowMs, this.name, 'THAW')
    for (const run of this.#held.splice(0)) this.deliver(0, run)
  }

  #sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason)
      const onAbort = (): void => reject(signal?.reason)
      signal?.addEventListener('abort', onAbort, { once: true })
      this.deliver(ms, () => {
        signal?.removeEventListener('abort', onAbort)
        resolve()
      })
    })
  }
}
