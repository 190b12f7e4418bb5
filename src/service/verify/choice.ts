/** Which events are verified: the same ones on both sides, by what both know of them. */
import { createHash } from 'node:crypto'

export interface VerifyChoice {
  /** Share of keys, above 0 to 1. */
  readonly sample: number
  /** Only events of these keys; null: any. */
  readonly keys: ReadonlySet<string> | null
  /** Event times [sinceMs, untilMs). */
  readonly sinceMs: number
  readonly untilMs: number
  /** Predictions read at most. */
  readonly limit: number
}

export function choosesKey({ keys, sample }: VerifyChoice, key: string): boolean {
  if (keys !== null) return keys.has(key)
  return sample >= 1 || shareOf(key) < sample
}

export function choosesTime({ sinceMs, untilMs }: VerifyChoice, time: number): boolean {
  return time >= sinceMs && time < untilMs
}

/** The same number in [0, 1) for a key in every run: a larger sample holds the smaller one. */
function shareOf(key: string): number {
  return createHash('sha1').update(key).digest().readUInt32BE(0) / 2 ** 32
}
