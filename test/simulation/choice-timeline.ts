import { calmDice, type Dice } from './dice.ts'
import { settled, type Planned, type Timeline } from './scheduler.ts'

/** What may happen next: a message or a local step that is due, or time that passes. */
export interface Pending extends Planned {
  readonly id: number
  /** The process it happens in; empty: outside of all. */
  readonly who: string
  readonly label: string
  /** Of a request: what it is sent to. */
  readonly server?: string
  /** What may become of it instead of going well. */
  readonly choices?: Choices
  /** State of its process when it was planned, for the fingerprint. */
  readonly origin: string
}

/** Ways out by name; each takes the place of `run`. */
export type Choices = Readonly<Record<string, () => void>>

/**
 * Virtual time for the exploration: latencies are nothing, so everything that is sent is due at once, in the order of
 * sending; time passes only when a timer is taken.
 */
export class ChoiceTimeline implements Timeline {
  nowMs = 0
  touched = false
  /** Processes in which nothing happens. What they have sent goes on. */
  readonly stalled = new Set<string>()
  #nextId = 0
  #pending: Pending[] = []
  readonly #histories = new Map<string, Hash>()

  dice(): Dice {
    return calmDice
  }

  at(delayMs: number, run: () => void, who = ''): Pending {
    return this.plan({ delayMs, run, who, label: 'timer' })
  }

  plan(step: {
    readonly delayMs: number
    readonly run: () => void
    readonly who: string
    readonly label: string
    readonly server?: string
    readonly choices?: Choices
  }): Pending {
    const { delayMs, ...rest } = step
    const id = this.#nextId++
    const atMs = this.nowMs + Math.max(0, delayMs)
    const pending: Pending = {
      ...rest,
      id,
      order: id,
      atMs,
      cancelled: false,
      origin: this.history(step.who),
    }
    this.#pending.push(pending)
    return pending
  }

  /** Due now, in the order of sending. */
  due(): Pending[] {
    return this.#pending.filter((pending) => pending.atMs <= this.nowMs && this.#isPossible(pending))
  }
  #isPossible({ cancelled, who, server }: Pending): boolean {
    return !cancelled && (server !== undefined || !this.stalled.has(who))
  }
  /** The next to become due. */
  timer(): Pending | null {
    let next: Pending | null = null
    for (const pending of this.#pending) {
      if (pending.atMs <= this.nowMs || !this.#isPossible(pending)) continue
      if (next === null || pending.atMs < next.atMs) next = pending
    }
    return next
  }

  /** Takes one, or one of its ways out, and lets everything run that can. */
  async take(pending: Pending, choice?: string): Promise<void> {
    this.#pending = this.#pending.filter((other) => other !== pending && !other.cancelled)
    this.nowMs = Math.max(this.nowMs, pending.atMs)
    if (pending.who !== '' && pending.server === undefined)
      this.note(pending.who, `${pending.label} ${this.nowMs}`)
    const run = choice === undefined ? pending.run : pending.choices?.[choice]
    if (run === undefined) throw new Error(`${pending.label} has no way out ${choice}`)
    run()
    await settled()
  }
  /** Nobody waits for what a dead process would do. */
  forget(who: string): void {
    this.#pending = this.#pending.filter((pending) => pending.who !== who || pending.server !== undefined)
    this.#histories.delete(who)
  }

  // --- what is known of a process from outside: everything that ever reached it ------------------------------------

  note(who: string, what: string): void {
    this.#histories.set(who, hashOf(what, this.#histories.get(who)))
  }
  history(who: string): string {
    return textOf(this.#histories.get(who) ?? seed)
  }

  fingerprint(): string {
    const histories = [...this.#histories].map(([who, hash]) => `${who} ${textOf(hash)}`).toSorted()
    const pending = this.#pending
      .filter(({ cancelled }) => !cancelled)
      .map(({ who, label, atMs, origin }) => `${who} ${label} ${Math.max(0, atMs - this.nowMs)} ${origin}`)
    return `${this.nowMs} ${histories.join()} ${pending.join()}`
  }
}

/** 64 bits: two FNV-like hashes with different multipliers. */
type Hash = readonly [number, number]
const seed: Hash = [0x811c9dc5, 0x1b873593]

export function hashOf(text: string, [a, b]: Hash = seed): Hash {
  let high = a
  let low = b
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i)
    high = Math.imul(high ^ code, 0x01000193)
    low = Math.imul(low ^ code, 0x85ebca6b)
    low ^= low >>> 13
  }
  return [high ^ (high >>> 16), low ^ (low >>> 15)]
}

export function textOf([a, b]: Hash): string {
  return `${(a >>> 0).toString(36)}.${(b >>> 0).toString(36)}`
}
