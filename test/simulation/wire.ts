import type { Faults, Fate } from './faults.ts'
import type { Host } from './host.ts'
import type { Scheduler } from './scheduler.ts'
import type { Trace } from './trace.ts'

/** One connection: requests arrive and replies come back in order, as long as nothing goes wrong. */
export interface Lane {
  arrivalMs: number
  replyMs: number
}

export interface Call<T> {
  readonly host: Host
  readonly what: string
  /** Runs at the server when the request arrives, `late`: long after it was sent. What it throws is the reply. */
  readonly effect: (late: boolean) => T
  readonly signal?: AbortSignal
  readonly lane?: Lane
  /** What the caller gets when no answer comes; absent: the client sends again until it is answered. */
  readonly unanswered?: () => Error
}

/** Carries calls from simulated processes to simulated servers, and decides what becomes of each. */
export class Wire {
  readonly scheduler: Scheduler
  readonly faults: Faults
  readonly trace: Trace

  constructor(scheduler: Scheduler, faults: Faults, trace: Trace) {
    this.scheduler = scheduler
    this.faults = faults
    this.trace = trace
  }

  call<T>(call: Call<T>): Promise<T> {
    const { host, signal } = call
    return new Promise<T>((resolve, reject) => {
      if (host.isDead) return
      if (signal?.aborted) return reject(signal.reason)
      const onAbort = (): void => reject(signal?.reason)
      signal?.addEventListener('abort', onAbort, { once: true })
      const done = {
        resolve: (value: T): void => {
          signal?.removeEventListener('abort', onAbort)
          resolve(value)
        },
        reject: (error: unknown): void => {
          signal?.removeEventListener('abort', onAbort)
          reject(error)
        },
      }
      if (host.isUp) this.#send(call, this.faults.draw(), done)
      else host.deliver(0, () => this.#send(call, 'fine', done))
    })
  }

  #send<T>(call: Call<T>, fate: Fate, done: Done<T>): void {
    if (call.signal?.aborted) return
    const { host, what } = call
    const { scheduler, trace } = this
    if (fate !== 'fine') {
      trace.add(scheduler.nowMs, host.name, what, `[${fate}]`)
      trace.count(fate)
    }
    const latencyMs =
      fate === 'slow' ? Math.round(scheduler.random.logBetween(10, 8_000)) : scheduler.between(1, 8)
    switch (fate) {
      case 'fine':
      case 'slow':
        return this.#answer(call, latencyMs, done)
      case 'refused':
        return this.#giveUp(call, latencyMs, done)
      case 'request lost':
        return this.#giveUp(call, this.#timeoutMs(), done)
      case 'request late':
        this.#land(call, this.#lateMs(), true)
        return this.#giveUp(call, this.#timeoutMs(), done)
      case 'reply lost':
        this.#land(call, latencyMs)
        return this.#giveUp(call, this.#timeoutMs(), done)
      case 'crash before':
        return host.crash()
      case 'crash, request under way':
        this.#land(call, latencyMs)
        return host.crash()
      case 'crash, request late':
        this.#land(call, this.#lateMs(), true)
        return host.crash()
      case 'crash after the effect':
        this.#land(call, latencyMs)
        return scheduler.at(latencyMs, () => host.crash())
      case 'freeze before':
        host.freeze(this.#freezeMs())
        return host.deliver(0, () => this.#send(call, 'fine', done))
      case 'freeze, request under way':
        this.#answer(call, latencyMs, done)
        return host.freeze(this.#freezeMs())
      case 'freeze after the effect':
        scheduler.at(latencyMs, () => host.freeze(this.#freezeMs()))
        return this.#answer(call, latencyMs, done)
    }
  }

  #answer<T>(call: Call<T>, latencyMs: number, done: Done<T>): void {
    const { host, lane, effect } = call
    const { scheduler } = this
    let atMs = scheduler.nowMs + latencyMs
    if (lane) lane.arrivalMs = atMs = Math.max(atMs, lane.arrivalMs)
    scheduler.at(atMs - scheduler.nowMs, () => {
      const reply = outcome(() => effect(false))
      let backMs = scheduler.nowMs + scheduler.between(1, 8)
      if (lane) lane.replyMs = backMs = Math.max(backMs, lane.replyMs)
      host.deliver(backMs - scheduler.nowMs, () => {
        if ('error' in reply) done.reject(reply.error)
        else done.resolve(reply.value)
      })
    })
  }

  /** The effect happens, nobody learns of it. */
  #land<T>({ host, what, effect }: Call<T>, delayMs: number, late = false): void {
    this.scheduler.at(delayMs, () => {
      const reply = outcome(() => effect(late))
      const said = 'error' in reply ? reply.error : 'has landed'
      this.trace.add(this.scheduler.nowMs, '(wire)', what, `of ${host.name}:`, said)
    })
  }

  #giveUp<T>(call: Call<T>, afterMs: number, done: Done<T>): void {
    const { host, unanswered, signal } = call
    host.deliver(afterMs, () => {
      if (signal?.aborted) return
      if (unanswered) done.reject(unanswered())
      else this.#send(call, this.faults.draw(), done)
    })
  }

  #timeoutMs(): number {
    return this.scheduler.between(50, 1_500)
  }
  #lateMs(): number {
    return Math.round(this.scheduler.random.logBetween(20, 9_000))
  }
  #freezeMs(): number {
    return Math.round(this.scheduler.random.logBetween(100, 9_000))
  }
}

interface Done<T> {
  resolve(value: T): void
  reject(error: unknown): void
}

function outcome<T>(effect: () => T): { readonly value: T } | { readonly error: unknown } {
  try {
    return { value: effect() }
  } catch (error) {
    return { error }
  }
}
