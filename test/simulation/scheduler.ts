import { createRandom, type Random } from '../../src/simulator/random.ts'

interface Planned {
  readonly atMs: number
  readonly order: number
  readonly run: () => void
}

/** Wall clock at the beginning of every run, epoch ms. */
export const epochMs = 1_700_000_000_000

/**
 * Virtual time: a queue of events, taken in order of time, then of planning. Between two events every promise
 * continuation that is ready runs. The same seed gives the same run.
 */
export class Scheduler {
  readonly random: Random
  nowMs = 0
  /** Set when an event may have resolved a promise, so that continuations have to run before the next event. */
  touched = false
  readonly #heap: Planned[] = []
  #order = 0

  constructor(seed: number) {
    this.random = createRandom(seed)
  }

  chance(share: number): boolean {
    return this.random.next() < share
  }
  pick<T>(items: readonly T[]): T {
    return items[this.random.below(items.length)] as T
  }
  between(low: number, high: number): number {
    return Math.round(this.random.between(low, high))
  }

  at(delayMs: number, run: () => void): void {
    const heap = this.#heap
    const planned = { atMs: this.nowMs + Math.max(0, delayMs), order: this.#order++, run }
    let index = heap.push(planned) - 1
    while (index > 0) {
      const parent = (index - 1) >> 1
      if (!before(planned, heap[parent] as Planned)) break
      heap[index] = heap[parent] as Planned
      index = parent
    }
    heap[index] = planned
  }

  /** Runs events until `done` says so; false when `untilMs` comes first or nothing is left to happen. */
  async run(done: () => boolean, untilMs: number): Promise<boolean> {
    await settled()
    while (!done()) {
      const next = this.#take()
      if (next === null || next.atMs > untilMs) return false
      this.nowMs = next.atMs
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

/** All microtasks run before the next turn of the event loop. */
function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}
