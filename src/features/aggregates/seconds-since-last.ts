import { missing } from './aggregate.ts'
import type { Aggregate } from './aggregate.ts'

const msPerSecond = 1000

export const secondsSinceLast: Aggregate = {
  gives: 'seconds from the newest event to t; with `current: false` to the one before',
  ofNothing: 'missing',
  value: 'none',
  where: 'optional',
  divided: false,
  settings: {},
  empty: missing,
  aliases: ['recency', 'timesincelast', 'time_since_last', 'age'],
  merged: 'each',
  example: { lines: ['current: false'], gives: 600 },
  read: ({ where }, reads) => {
    const slot = reads.newest(where, null)
    return ({ latestTimes }, { time }) =>
      latestTimes[slot]! > -Infinity ? (time - latestTimes[slot]!) / msPerSecond : NaN
  },
}
