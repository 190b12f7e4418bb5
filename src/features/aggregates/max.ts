import { ofValues } from './aggregate.ts'
import type { Aggregate } from './aggregate.ts'

export const max: Aggregate = {
  ...ofValues,
  gives: 'largest `value`',
  aliases: ['maximum', 'greatest', 'highest', 'peak'],
  merged: 'each',
  example: { lines: ['value: amountCents'], gives: 40 },
  read: ({ where, value, divideBy }, reads) => {
    const slot = reads.extremes(where, value)
    return ({ maxs }) => (maxs[slot]! > -Infinity ? maxs[slot]! / divideBy : NaN)
  },
}
