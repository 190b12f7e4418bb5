import type { Aggregate } from './aggregate.ts'
import { count } from './count.ts'
import { last } from './last.ts'
import { mean } from './mean.ts'
import { rate } from './rate.ts'
import { secondsSinceLast } from './seconds-since-last.ts'
import { sum } from './sum.ts'

/** All there are, in the order in which they are listed. `validate`, `describe`, hints and documents read this. */
export const aggregateTable = {
  count,
  sum,
  mean,
  last,
  secondsSinceLast,
  rate,
} satisfies Readonly<Record<string, Aggregate>>

export type AggregateName = keyof typeof aggregateTable

export const aggregateNames = Object.keys(aggregateTable) as readonly AggregateName[]

export function aggregateOf(name: AggregateName): Aggregate {
  return aggregateTable[name]
}

/** Those that read the number `value` of each event. */
export const aggregatesOfValues = aggregateNames.filter((name) => aggregateOf(name).value === 'needed')
