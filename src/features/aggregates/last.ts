import { ofValues } from './aggregate.ts'
import type { Aggregate } from './aggregate.ts'

export const last: Aggregate = {
  ...ofValues,
  gives: '`value` of the newest event',
  aliases: ['latest', 'newest', 'lastvalue'],
  merged: 'each',
  example: { lines: ['value: amountCents'], gives: 30 },
  read: ({ where, value, divideBy }, reads) => {
    const slot = reads.newest(where, value)
    return ({ latestTimes, latestValues }) =>
      latestTimes[slot]! > -Infinity ? latestValues[slot]! / divideBy : NaN
  },
}
