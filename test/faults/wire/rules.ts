import type { Random } from '../../../src/simulator/random.ts'
import { systemClock } from '../../../src/time/system-clock.ts'
import { untilAborted } from '../../../src/time/until-aborted.ts'
import type { WireRequest } from './dialect.ts'

/** Before it goes to the server; after the server has it, and before its reply passes; before the reply passes. */
export type RulePoint = 'request' | 'forwarded' | 'reply'

export type RuleAction =
  /** All behind it on the connection waits too, except when `overtake` lets it pass (Kafka only). */
  | { readonly kind: 'delay'; readonly ms: number; readonly overtake?: boolean }
  | { readonly kind: 'hold'; readonly until: Promise<unknown>; readonly overtake?: boolean }
  /** At 'request' the server never sees it; at the other points its reply is lost. With Redis all behind it is too. */
  | { readonly kind: 'drop' }
  /** RST to the client. What was passed on or delayed before still reaches the server. */
  | { readonly kind: 'reset' }
  /** Awaited before anything goes on; `reply` is null except at 'reply'. */
  | { readonly kind: 'call'; readonly run: (request: WireRequest, reply: Buffer | null) => unknown }

export interface WireRule {
  /** A Kafka API, a Redis command or a script; '*' is every one. */
  readonly on: string
  readonly at: RulePoint
  readonly action: RuleAction
  /** Narrows the match; only what it lets through is counted. */
  readonly where?: (request: WireRequest) => boolean
  /** The first match that counts, from 1; alone it means just that one. */
  readonly nth?: number
  /** How often it acts at most; without it and `nth`, always. */
  readonly times?: number
  /** Of acting at a match, from the wire's seed. */
  readonly probability?: number
}

export interface RuleHandle {
  /** How often it acted. */
  readonly hits: number
  /** The request it acted on first, as soon as it matches. */
  readonly hit: Promise<WireRequest>
  /** Matches no more; what it delays or holds already stays so. */
  remove(): void
}

/** A rule with its counts; one may serve several wires, which then count together. */
export class ArmedRule implements RuleHandle {
  readonly rule: WireRule
  readonly #random: Random
  readonly #first = Promise.withResolvers<WireRequest>()
  #matches = 0
  #hits = 0
  #isRemoved = false

  constructor(rule: WireRule, random: Random) {
    this.rule = rule
    this.#random = random
  }

  get hits(): number {
    return this.#hits
  }

  get hit(): Promise<WireRequest> {
    return this.#first.promise
  }

  remove(): void {
    this.#isRemoved = true
  }

  /** Whether it acts now; counts. */
  meets(point: RulePoint, names: readonly string[], request: WireRequest): boolean {
    const { on, at, where, nth, times, probability = 1 } = this.rule
    if (this.#isRemoved || at !== point || !(on === '*' || names.includes(on))) return false
    if (where !== undefined && !where(request)) return false
    this.#matches += 1
    const timesMax = times ?? (nth === undefined ? Infinity : 1)
    if (this.#matches < (nth ?? 1) || this.#hits >= timesMax) return false
    if (probability < 1 && this.#random.next() >= probability) return false
    this.#hits += 1
    this.#first.resolve(request)
    return true
  }
}

export type Fate = 'pass' | 'drop' | 'reset'

/** What rules act on: a request, and its reply once there is one. */
export interface Message {
  readonly request: WireRequest
  readonly reply: Buffer | null
}

/** Does what the rules say, one after the other; the first that does not let the message pass is the last. */
export async function perform(
  rules: readonly ArmedRule[],
  message: Message,
  signal: AbortSignal,
): Promise<Fate> {
  for (const { rule } of rules) {
    const fate = await act(rule.action, message, signal)
    if (fate !== 'pass') return fate
  }
  return 'pass'
}

export function overtakes({ rule: { action } }: ArmedRule): boolean {
  return (action.kind === 'delay' || action.kind === 'hold') && action.overtake === true
}

async function act(action: RuleAction, { request, reply }: Message, signal: AbortSignal): Promise<Fate> {
  switch (action.kind) {
    case 'delay':
      await systemClock.sleep(action.ms, signal)
      return 'pass'
    case 'hold':
      await untilAborted(action.until, signal)
      return 'pass'
    case 'call':
      await action.run(request, reply)
      return 'pass'
    case 'drop':
    case 'reset':
      return action.kind
  }
}
