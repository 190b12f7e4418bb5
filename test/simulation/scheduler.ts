import { seedOf, SeededDice, type Dice } from './dice.ts'

/** Something that will happen. */
export interface Planned {
  readonly atMs: number
  readonly order: number
  readonly run: () => void
  /** Set when nobody waits for it any more: it is then passed over. */
  cancelled: boolean
}

/** Virtual time, and chance. */
export interface Timeline {
  readonly nowMs: number
  /** Set when an event may have resolved a promise, so that continuations have to run before the next event. */
  touched: boolean
  /** `who`: the process it happens in, if any. */
  at(delayMs: number, run: () => void, who?: string): Planned
  dice(purpose: string): Dice
}

/** Wall clock at the beginning of every run, epoch ms. */
export const epochMs = 1_700_000_000_000

/**
 * Virtual time: a queue of events, taken in order of time, then of planning. Between two events every promise
 * continuation that is ready runs. The same seed gives the same run.
 */
export class Scheduler implements Timeline {
  readonly seed: number
  nowMs = 0
  touched = false
  /** Events taken so far. */
  steps = 0
  /** True: chance decides nothing, and latencies are the least. */
  readonly #calm: Dice | null
  readonly #dice = new Map<string, Dice>()
  readonly #heap: Planned[] = []
  #order = 0

  constructor(seed: number, calm: Dice | null = null) {
    this.seed = seed
    this.#calm = calm
  }

  dice(purpose: string): Dice {
    if (this.#calm !== null) return this.#calm
    let dice = this.#dice.get(purpose)
    if (dice === undefined) this.#dice.set(purpose, (dice = this.seededDice(purpose)))
    return dice
  }
  /** Dice that start anew, whatever was drawn for the same purpose before, and that also a calm run throws. */
  seededDice(purpose: string): Dice {
    return new SeededDice(seedOf(this.seed, purpose))
  }

  at(delayMs: number, run: () => void): Planned {
    const heap = this.#heap
    const planned = {
      atMs: this.nowMs + Math.max(0, delayMs),
      order: this.#order++,
      run,
      cancelled: false,
    }
    let index = heap.push(planned) - 1
    while (index > 0) {
      const parent = (index - 1) >> 1
      if (!before(planned, heap[parent] as Planned)) break
      heap[index] = heap[parent] as Planned
      index = parent
    }
    heap[index] = planned
    return planned
  }

  /** Runs events until `done` says so; false when `untilMs` comes first or nothing is left to happen. */
  async run(done: () => boolean, untilMs: number): Promise<boolean> {
    await settled()
    while (!done()) {
      const next = this.#take()
      if (next === null || next.atMs > untilMs) return false
      if (next.cancelled) continue
      this.nowMs = next.atMs
      this.steps++
      next.run()
      if (!this.touched) continue
      this.touched = false
      await settled()
    }
    return true
  }

  #take(): Planned | null {
    const heap = this.#heap
    const first = heap[0]
    const last = heap.pop()
    if (first === undefined || last === undefined) return null
    if (heap.length === 0) return first
    let index = 0
    for (;;) {
      let child = index * 2 + 1
      if (child >= heap.length) break
      if (child + 1 < heap.length && before(heap[child + 1] as Planned, heap[child] as Planned)) child++
      if (before(last, heap[child] as Planned)) break
      heap[index] = heap[child] as Planned
      index = child
    }
    heap[index] = last
    return first
  }
}

function before(a: Planned, b: Planned): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order)
}

/** Node runs this after the last promise continuation that is ready, and those that become ready by them. */
export function settled(): Promise<void> {
  return new Promise((resolve) => process.nextTick(resolve))
}
