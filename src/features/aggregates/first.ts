import { ofValues } from './aggregate.ts'
import type { Aggregate } from './aggregate.ts'

export const first: Aggregate = {
  ...ofValues,
  gives: '`value` of the oldest event',
  aliases: ['earliest', 'oldest', 'firstvalue'],
  merged: 'each',
  example: { lines: ['value: amountCents'], gives: 20 },
  read: ({ where, value, divideBy }, reads) => {
    const slot = reads.oldest(where, value)
    return ({ oldestTimes, oldestValues }) =>
      oldestTimes[slot]! < Infinity ? oldestValues[slot]! / divideBy : NaN
  },
}
