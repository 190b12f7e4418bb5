import { msPerSecond, ofTimes } from './aggregate.ts'
import type { Aggregate } from './aggregate.ts'

export const secondsSinceLast: Aggregate = {
  ...ofTimes,
  gives: 'seconds from the newest event to t; with `current: false` to the one before',
  aliases: ['recency', 'timesincelast', 'age'],
  merged: 'each',
  example: { lines: ['current: false'], gives: 600 },
  read: ({ where }, reads) => {
    const slot = reads.newest(where, null)
    return ({ latestTimes }, { time }) =>
      latestTimes[slot]! > -Infinity ? (time - latestTimes[slot]!) / msPerSecond : NaN
  },
}
