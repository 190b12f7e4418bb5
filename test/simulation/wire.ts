import type { Dice } from './dice.ts'
import type { Fate, FaultPlan } from './faults.ts'
import type { Host } from './host.ts'
import type { Scheduler, Timeline } from './scheduler.ts'
import type { Trace } from './trace.ts'

/** One connection: requests arrive and replies come back in order, as long as nothing goes wrong. */
export interface Lane {
  arrivalMs: number
  replyMs: number
}

/** A server that does one thing after the other: what arrives before waits. */
export interface BusyServer {
  busyUntilMs: number
}

export interface Call<T> {
  readonly host: Host
  /** The same for all calls of a kind: chance is drawn, and faults are named, by it. */
  readonly what: string
  /** What sets this one apart, for the reader of a trace. */
  readonly detail?: string | number
  /** Runs at the server when the request arrives. What it throws is the reply. */
  readonly effect: () => T
  readonly signal?: AbortSignal | undefined
  readonly lane?: Lane | undefined
  readonly server?: BusyServer
  /** What the caller gets when no answer comes; absent: the client sends again until it is answered. */
  readonly unanswered?: () => Error
}

/** Carries calls from simulated processes to simulated servers, and decides what becomes of each. */
export interface Wire {
  readonly timeline: Timeline
  readonly trace: Trace
  call<T>(call: Call<T>): Promise<T>
}

/** A call as the caller waits for it. */
export interface Waiting<T> {
  resolve(value: T): void
  reject(error: unknown): void
}

/** The caller's side of a call: waits until answered, given up or aborted; a dead process waits for ever. */
export function waitFor<T>(call: Call<T>, send: (waiting: Waiting<T>) => void): Promise<T> {
  const { host, signal } = call
  return new Promise<T>((resolve, reject) => {
    if (host.isDead) return
    if (signal?.aborted) return reject(signal.reason)
    const onAbort = (): void => reject(signal?.reason)
    signal?.addEventListener('abort', onAbort, { once: true })
    send({
      resolve: (value) => {
        signal?.removeEventListener('abort', onAbort)
        resolve(value)
      },
      reject: (error) => {
        signal?.removeEventListener('abort', onAbort)
        reject(error)
      },
    })
  })
}

/** Latencies by chance, and faults as planned. */
export class LossyWire implements Wire {
  readonly timeline: Scheduler
  readonly faults: FaultPlan
  readonly trace: Trace
  readonly #calls = new Map<string, number>()

  constructor(scheduler: Scheduler, faults: FaultPlan, trace: Trace) {
    this.timeline = scheduler
    this.faults = faults
    this.trace = trace
  }

  call<T>(call: Call<T>): Promise<T> {
    return waitFor(call, (waiting) => {
      if (call.host.isUp) this.#draw(call, waiting)
      else call.host.deliver(0, () => this.#send(call, 'fine', 0, waiting))
    })
  }

  #draw<T>(call: Call<T>, waiting: Waiting<T>): void {
    const name = `${call.host.name} ${call.what}`
    const nth = (this.#calls.get(name) ?? 0) + 1
    this.#calls.set(name, nth)
    this.#send(call, this.faults.fate(name, nth), nth, waiting)
  }

  #send<T>(call: Call<T>, fate: Fate, nth: number, waiting: Waiting<T>): void {
    if (call.signal?.aborted) return
    const { host, what } = call
    const scheduler = this.timeline
    const latency = scheduler.dice(`${host.name} latency`)
    const latencyMs = latency.between(1, 8)
    if (fate === 'fine') return this.#answer(call, latencyMs, latency, waiting)
    this.trace.add(scheduler.nowMs, host.name, what, call.detail ?? '', `[${fate}]`)
    this.trace.count(fate)
    const dice = scheduler.seededDice(`${host.name} ${what} #${nth}`)
    const lateMs = (): number => dice.spread(20, 9_000)
    const freezeMs = (): number => dice.spread(100, 9_000)
    const timeoutMs = dice.between(50, 1_500)
    switch (fate) {
      case 'slow':
        return this.#answer(call, dice.spread(10, 8_000), latency, waiting)
      case 'refused':
        return this.#giveUp(call, latencyMs, waiting)
      case 'request lost':
        return this.#giveUp(call, timeoutMs, waiting)
      case 'request late':
        this.#land(call, lateMs())
        return this.#giveUp(call, timeoutMs, waiting)
      case 'reply lost':
        this.#land(call, latencyMs)
        return this.#giveUp(call, timeoutMs, waiting)
      case 'crash before':
        return host.crash()
      case 'crash, request under way':
        this.#land(call, latencyMs)
        return host.crash()
      case 'crash, request late':
        this.#land(call, lateMs())
        return host.crash()
      case 'crash after the effect':
        this.#land(call, latencyMs)
        scheduler.at(latencyMs, () => host.crash())
        return
      case 'freeze before':
        host.freeze(freezeMs())
        host.deliver(0, () => this.#send(call, 'fine', nth, waiting))
        return
      case 'freeze, request under way':
        this.#answer(call, latencyMs, latency, waiting)
        return host.freeze(freezeMs())
      case 'freeze after the effect':
        scheduler.at(latencyMs, () => host.freeze(freezeMs()))
        return this.#answer(call, latencyMs, latency, waiting)
    }
  }

  #answer<T>(call: Call<T>, latencyMs: number, latency: Dice, waiting: Waiting<T>): void {
    const { host, lane } = call
    const scheduler = this.timeline
    let atMs = scheduler.nowMs + latencyMs
    if (lane) lane.arrivalMs = atMs = Math.max(atMs, lane.arrivalMs)
    this.#arrive(call, atMs - scheduler.nowMs, () => {
      const reply = outcome(call.effect)
      let backMs = scheduler.nowMs + latency.between(1, 8)
      if (lane) lane.replyMs = backMs = Math.max(backMs, lane.replyMs)
      host.deliver(backMs - scheduler.nowMs, () => {
        if ('error' in reply) waiting.reject(reply.error)
        else waiting.resolve(reply.value)
      })
    })
  }

  /** The effect happens, nobody learns of it. */
  #land<T>(call: Call<T>, delayMs: number): void {
    const { host, what, detail, effect } = call
    this.#arrive(call, delayMs, () => {
      const reply = outcome(effect)
      const said = 'error' in reply ? reply.error : 'has landed'
      this.trace.add(this.timeline.nowMs, '(wire)', what, detail ?? '', `of ${host.name}:`, said)
    })
  }

  #arrive<T>({ server }: Call<T>, delayMs: number, run: () => void): void {
    const { timeline } = this
    timeline.at(delayMs, () => {
      if (server === undefined || server.busyUntilMs <= timeline.nowMs) run()
      else timeline.at(server.busyUntilMs - timeline.nowMs, run)
    })
  }

  #giveUp<T>(call: Call<T>, afterMs: number, waiting: Waiting<T>): void {
    const { host, unanswered, signal } = call
    host.deliver(afterMs, () => {
      if (signal?.aborted) return
      if (unanswered) waiting.reject(unanswered())
      else this.#draw(call, waiting)
    })
  }
}

export type Outcome<T> = { readonly value: T } | { readonly error: unknown }

export function outcome<T>(effect: () => T): Outcome<T> {
  try {
    return { value: effect() }
  } catch (error) {
    return { error }
  }
}
