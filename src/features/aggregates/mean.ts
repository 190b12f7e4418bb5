import { ofValues } from './aggregate.ts'
import type { Aggregate } from './aggregate.ts'

export const mean: Aggregate = {
  ...ofValues,
  gives: 'mean of `value`',
  aliases: ['avg', 'average'],
  merged: 'sum',
  example: { lines: ['value: amountCents'], gives: 22 },
  read: ({ where, value, divideBy }, reads) => {
    const slot = reads.tally(where, value)
    return ({ counts, sums }) => (counts[slot]! > 0 ? sums[slot]! / divideBy / counts[slot]! : NaN)
  },
}
