import type { Aggregate, SettingKey } from './aggregate.ts'
import { count } from './count.ts'
import { decayedCount, decayedSum, ewma } from './decayed.ts'
import { distinct } from './distinct.ts'
import { first } from './first.ts'
import { gapMean } from './gap-mean.ts'
import { gapStd } from './gap-std.ts'
import { last } from './last.ts'
import { max } from './max.ts'
import { mean } from './mean.ts'
import { min } from './min.ts'
import { mode, modeShare } from './mode.ts'
import { nthLast } from './nth-last.ts'
import { median, quantile } from './quantile.ts'
import { range } from './range.ts'
import { rate } from './rate.ts'
import { secondsSinceFirst } from './seconds-since-first.ts'
import { secondsSinceLast } from './seconds-since-last.ts'
import { std } from './std.ts'
import { countSince, streak } from './streak.ts'
import { sum } from './sum.ts'
import { trend } from './trend.ts'
import { variance } from './variance.ts'
import { zscore } from './zscore.ts'

/** All there are, in the order in which they are listed. `validate`, `describe`, hints and documents read this. */
export const aggregateTable = {
  count,
  sum,
  mean,
  min,
  max,
  range,
  variance,
  std,
  zscore,
  median,
  quantile,
  distinct,
  mode,
  modeShare,
  rate,
  first,
  last,
  nthLast,
  secondsSinceFirst,
  secondsSinceLast,
  gapMean,
  gapStd,
  trend,
  ewma,
  decayedSum,
  decayedCount,
  streak,
  countSince,
} satisfies Readonly<Record<string, Aggregate>>

export type AggregateName = keyof typeof aggregateTable

export const aggregateNames = Object.keys(aggregateTable) as readonly AggregateName[]

export function aggregateOf(name: AggregateName): Aggregate {
  return aggregateTable[name]
}

/** Those that read the `value` of each event. */
export const aggregatesOfValues = aggregateNames.filter((name) => aggregateOf(name).value !== 'none')

/** Those of them that take texts. */
export const aggregatesOfTexts = aggregateNames.filter((name) => aggregateOf(name).value === 'any')

/** Those that take a key which others do not. */
export function aggregatesWith(setting: SettingKey): readonly AggregateName[] {
  return aggregateNames.filter((name) => aggregateOf(name).settings[setting] !== undefined)
}
