import { msPerSecond, ofTimes } from './aggregate.ts'
import type { Aggregate } from './aggregate.ts'

export const gapMean: Aggregate = {
  ...ofTimes,
  gives: 'mean seconds between one event and the next',
  ofNothing: 'missing, also of one event',
  aliases: ['interarrival', 'interval', 'meangap', 'period'],
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
