import type { ChoiceTimeline, Choices } from './choice-timeline.ts'
import { hashOf, textOf } from './choice-timeline.ts'
import type { Host } from './host.ts'
import type { Trace } from './trace.ts'
import { outcome, waitFor, type Call, type Outcome, type Waiting, type Wire } from './wire.ts'

/** A request that arrives when nobody expects it any more. */
export interface LateRequest {
  readonly server: string
  readonly label: string
  /** What it asks, for the fingerprint. */
  readonly origin: string
  readonly land: () => void
}

/** What the world does to a process. */
export interface Fates {
  crash(host: Host): void
  stall(host: Host): void
}

/** Questions about what never changes, or changes nobody: answered at once, without a choice. */
const certain = /^(fetch|prepare|score|topics|id of|positions of|log range|offset by time)/
/** Nothing happens at the server: to lose the request is to lose the reply. */
const reading = /^(committed|watermarks|load)/

/** Carries calls one step at a time, so that an explorer can choose what becomes of each. */
export class ChoiceWire implements Wire {
  readonly timeline: ChoiceTimeline
  readonly trace: Trace
  readonly #fates: Fates
  readonly late = new Set<LateRequest>()

  constructor(timeline: ChoiceTimeline, trace: Trace, fates: Fates) {
    this.timeline = timeline
    this.trace = trace
    this.#fates = fates
  }

  call<T>(call: Call<T>): Promise<T> {
    if (certain.test(call.what)) return at(call)
    return waitFor(call, (waiting) => this.#send(call, waiting))
  }

  #send<T>(call: Call<T>, waiting: Waiting<T>): void {
    const { host, what, signal } = call
    if (!host.isUp) {
      host.deliver(0, () => this.#send(call, waiting))
      return
    }
    if (signal?.aborted) return
    const server = serverOf(call)
    const label = `${host.name} ${what} ${call.detail ?? ''}`
    const answer = (): void => this.#answer(call, waiting, label, this.#effect(call, label))
    const late: LateRequest = {
      server,
      label,
      origin: `${label} ${this.timeline.history(host.name)}`,
      land: () => void this.#effect(call, `late: ${label}`),
    }
    const crash = (): void => this.#fates.crash(host)
    const stall = (): void => this.#fates.stall(host)
    const choices: Choices = reading.test(what)
      ? { 'crash before': crash }
      : {
          'crash before': crash,
          'crash, request late': () => {
            crash()
            this.late.add(late)
          },
          'stall before': () => {
            stall()
            this.#send(call, waiting)
          },
          'request lost': () => this.#giveUp(call, waiting, label),
          'request late': () => {
            this.late.add(late)
            this.#giveUp(call, waiting, label)
          },
          ...(call.unanswered === undefined
            ? {
                'a copy late': () => {
                  this.late.add(late)
                  answer()
                },
              }
            : {}),
        }
    this.timeline.plan({ delayMs: 0, run: answer, who: host.name, label, server, choices })
  }

  #effect<T>(call: Call<T>, label: string): Outcome<T> {
    const result = outcome(call.effect)
    this.trace.add(this.timeline.nowMs, serverOf(call), label, 'error' in result ? result.error : '')
    return result
  }

  #answer<T>(call: Call<T>, waiting: Waiting<T>, label: string, result: Outcome<T>): void {
    const { host, signal } = call
    const back = (): void => {
      if (signal?.aborted) return
      if ('error' in result) waiting.reject(result.error)
      else waiting.resolve(result.value)
    }
    const said = 'error' in result ? String(result.error) : digest(result.value)
    const choices: Choices = {
      'reply lost': () => this.#giveUp(call, waiting, label),
      'stall after the effect': () => {
        this.#fates.stall(host)
        host.arrive(back)
      },
      ...(reading.test(call.what) ? {} : { 'crash after the effect': () => this.#fates.crash(host) }),
    }
    this.timeline.plan({
      delayMs: 0,
      run: () => host.arrive(back),
      who: host.name,
      label: `reply to ${label}: ${textOf(hashOf(said))}`,
      choices,
    })
  }

  #giveUp<T>(call: Call<T>, waiting: Waiting<T>, label: string): void {
    const { host, unanswered, signal } = call
    const run = (): void => {
      if (signal?.aborted) return
      if (unanswered) waiting.reject(unanswered())
      else this.#send(call, waiting)
    }
    this.timeline.plan({
      delayMs: 0,
      run: () => host.arrive(run),
      who: host.name,
      label: `no reply to ${label}`,
    })
  }
}

function at<T>({ host, effect, signal }: Call<T>): Promise<T> {
  if (host.isDead) return new Promise(() => {})
  if (signal?.aborted) return Promise.reject(signal.reason as Error)
  const result = outcome(effect)
  return 'error' in result ? Promise.reject(result.error) : Promise.resolve(result.value)
}

/** `redis b1`, or `kafka`. */
function serverOf({ what }: Call<unknown>): string {
  const bucket = / (b\d+)$/.exec(what)
  return bucket === null ? 'kafka' : `redis ${bucket[1]}`
}

/** Content of a reply as text. */
function digest(value: unknown): string {
  return (
    JSON.stringify(value, (_, inner: unknown) => {
      if (inner instanceof Map) return [...inner] as unknown[]
      return inner
    }) ?? ''
  )
}
