import type { Registers } from './scan.ts'
import type { AggregateSpec, RateSpec } from './spec.ts'

/** Turns what was read from the parts into a feature's number, NaN where missing. */
export type Finish = (registers: Registers, timeMs: number) => number

const msPerSecond = 1000

/** `slot` is the tally of the matching events; for `last` and `secondsSinceLast` the newest of them. */
export function finishAggregate(feature: AggregateSpec, slot: number): Finish {
  const { divideBy } = feature
  const empty = feature.default ?? NaN
  switch (feature.aggregate) {
    case 'count':
      return ({ counts }) => (counts[slot]! > 0 ? counts[slot]! : empty)
    case 'sum':
      return ({ counts, sums }) => (counts[slot]! > 0 ? sums[slot]! / divideBy : empty)
    case 'mean':
      return ({ counts, sums }) => (counts[slot]! > 0 ? sums[slot]! / divideBy / counts[slot]! : empty)
    case 'last':
      return ({ latestTimes, latestValues }) =>
        latestTimes[slot]! > -Infinity ? latestValues[slot]! / divideBy : empty
    case 'secondsSinceLast':
      return ({ latestTimes }, timeMs) =>
        latestTimes[slot]! > -Infinity ? (timeMs - latestTimes[slot]!) / msPerSecond : empty
  }
}

export function finishRate(feature: RateSpec, hitsSlot: number, eventsSlot: number): Finish {
  const { weight, prior } = feature.smoothing
  const empty = feature.default ?? NaN
  return ({ counts }) =>
    counts[eventsSlot]! > 0 ? (counts[hitsSlot]! + weight * prior) / (counts[eventsSlot]! + weight) : empty
}

/** `of` ÷ `to`; NaN is missing. */
export function ratio(of: number, to: number, otherwise: number | null): number {
  return Number.isNaN(of) || Number.isNaN(to) || to === 0 ? (otherwise ?? NaN) : of / to
}
