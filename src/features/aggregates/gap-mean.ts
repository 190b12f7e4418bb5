import { missing } from './aggregate.ts'
import type { Aggregate } from './aggregate.ts'

const msPerSecond = 1000

export const gapMean: Aggregate = {
  gives: 'mean seconds between one event and the next',
  ofNothing: 'missing, also of one event',
  value: 'none',
  where: 'optional',
  divided: false,
  settings: {},
  empty: missing,
  aliases: ['interarrival', 'inter_arrival', 'interval', 'meangap', 'period'],
  merged: 'each',
  example: { lines: [], gives: 750 },
  read: ({ where }, reads) => {
    const [events, newest, oldest] = [
      reads.tally(where, null),
      reads.newest(where, null),
      reads.oldest(where, null),
    ]
    return ({ counts, latestTimes, oldestTimes }) =>
      counts[events]! > 1
        ? (latestTimes[newest]! - oldestTimes[oldest]!) / (counts[events]! - 1) / msPerSecond
        : NaN
  },
}
