import { ofValues } from './aggregate.ts'
import type { Aggregate } from './aggregate.ts'

export const sum: Aggregate = {
  ...ofValues,
  gives: 'sum of `value`',
  aliases: ['total', 'add'],
  merged: 'sum',
  example: { lines: ['value: amountCents'], gives: 110 },
  read: ({ where, value, divideBy }, reads) => {
    const slot = reads.tally(where, value)
    return ({ counts, sums }) => (counts[slot]! > 0 ? sums[slot]! / divideBy : NaN)
  },
}
