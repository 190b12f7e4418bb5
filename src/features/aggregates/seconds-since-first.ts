import { missing } from './aggregate.ts'
import type { Aggregate } from './aggregate.ts'

const msPerSecond = 1000

export const secondsSinceFirst: Aggregate = {
  gives: 'seconds from the oldest event of the window to t',
  ofNothing: 'missing',
  value: 'none',
  where: 'optional',
  divided: false,
  settings: {},
  empty: missing,
  aliases: ['firstseen', 'first_seen', 'timesincefirst', 'time_since_first', 'tenure'],
  merged: 'each',
  example: { lines: [], gives: 3000 },
  read: ({ where }, reads) => {
    const slot = reads.oldest(where, null)
    return ({ oldestTimes }, { time }) =>
      oldestTimes[slot]! < Infinity ? (time - oldestTimes[slot]!) / msPerSecond : NaN
  },
}
