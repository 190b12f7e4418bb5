/** Numbers for one purpose, fixed by a seed: other purposes may draw more or fewer without changing them. */
export interface Dice {
  /** In [0, 1). */
  next(): number
  /** Whole, in [0, n). */
  below(n: number): number
  chance(share: number): boolean
  pick<T>(items: readonly T[]): T
  /** Whole, both ends included. */
  between(low: number, high: number): number
  /** Whole, with equal weight per factor. */
  spread(low: number, high: number): number
}

/** splitmix32. */
export class SeededDice implements Dice {
  #state: number

  constructor(seed: number) {
    this.#state = seed | 0
  }

  next(): number {
    this.#state = (this.#state + 0x9e3779b9) | 0
    let word = this.#state
    word = Math.imul(word ^ (word >>> 16), 0x21f0aaad)
    word = Math.imul(word ^ (word >>> 15), 0x735a2d97)
    return ((word ^ (word >>> 15)) >>> 0) / 4_294_967_296
  }
  below(n: number): number {
    return Math.floor(this.next() * n)
  }
  chance(share: number): boolean {
    return this.next() < share
  }
  pick<T>(items: readonly T[]): T {
    return items[this.below(items.length)] as T
  }
  between(low: number, high: number): number {
    return Math.round(low + this.next() * (high - low))
  }
  spread(low: number, high: number): number {
    return Math.round(low * (high / low) ** this.next())
  }
}

/** Always the least: nothing happens by chance, and everything takes as short as it can. */
export const calmDice: Dice = {
  next: () => 0,
  below: () => 0,
  chance: () => false,
  pick: (items) => items[0] as (typeof items)[number],
  between: (low) => low,
  spread: (low) => low,
}

/** A seed for one purpose of a run (FNV-1a, then mixed by the first draw). */
export function seedOf(seed: number, purpose: string): number {
  let hash = 0x811c9dc5 ^ Math.imul(seed, 0x9e3779b1)
  for (let i = 0; i < purpose.length; i++) hash = Math.imul(hash ^ purpose.charCodeAt(i), 0x01000193)
  return Math.imul(hash ^ (hash >>> 15), 0x735a2d97)
}
