import { missing } from './aggregate.ts'
import type { Aggregate } from './aggregate.ts'

export const first: Aggregate = {
  gives: '`value` of the oldest event',
  ofNothing: 'missing',
  value: 'number',
  where: 'optional',
  divided: true,
  settings: {},
  empty: missing,
  aliases: ['earliest', 'oldest', 'firstvalue'],
  merged: 'each',
  example: { lines: ['value: amountCents'], gives: 20 },
  read: ({ where, value, divideBy }, reads) => {
    const slot = reads.oldest(where, value)
    return ({ oldestTimes, oldestValues }) =>
      oldestTimes[slot]! < Infinity ? oldestValues[slot]! / divideBy : NaN
  },
}
