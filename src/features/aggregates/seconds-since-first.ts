import { msPerSecond, ofTimes } from './aggregate.ts'
import type { Aggregate } from './aggregate.ts'

export const secondsSinceFirst: Aggregate = {
  ...ofTimes,
  gives: 'seconds from the oldest event of the window to t',
  aliases: ['firstseen', 'timesincefirst', 'tenure'],
  merged: 'each',
  example: { lines: [], gives: 3000 },
  read: ({ where }, reads) => {
    const slot = reads.oldest(where, null)
    return ({ oldestTimes }, { time }) =>
      oldestTimes[slot]! < Infinity ? (time - oldestTimes[slot]!) / msPerSecond : NaN
  },
}
