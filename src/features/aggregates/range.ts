import { ofValues } from './aggregate.ts'
import type { Aggregate } from './aggregate.ts'

export const range: Aggregate = {
  ...ofValues,
  gives: 'largest less smallest `value`',
  aliases: ['spread', 'minmax'],
  merged: 'each',
  example: { lines: ['value: amountCents'], gives: 30 },
  read: ({ where, value, divideBy }, reads) => {
    const slot = reads.extremes(where, value)
    return ({ mins, maxs }) => (mins[slot]! < Infinity ? (maxs[slot]! - mins[slot]!) / divideBy : NaN)
  },
}
