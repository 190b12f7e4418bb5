import { missing } from './aggregate.ts'
import type { Aggregate } from './aggregate.ts'

export const sum: Aggregate = {
  gives: 'sum of `value`',
  ofNothing: 'missing',
  value: 'number',
  where: 'optional',
  divided: true,
  settings: {},
  empty: missing,
  aliases: ['total', 'add'],
  merged: 'sum',
  example: { lines: ['value: amountCents'], gives: 110 },
  read: ({ where, value, divideBy }, reads) => {
    const slot = reads.tally(where, value)
    return ({ counts, sums }) => (counts[slot]! > 0 ? sums[slot]! / divideBy : NaN)
  },
}
