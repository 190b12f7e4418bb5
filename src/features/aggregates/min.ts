import { ofValues } from './aggregate.ts'
import type { Aggregate } from './aggregate.ts'

export const min: Aggregate = {
  ...ofValues,
  gives: 'smallest `value`',
  aliases: ['minimum', 'least', 'lowest'],
  merged: 'each',
  example: { lines: ['value: amountCents'], gives: 10 },
  read: ({ where, value, divideBy }, reads) => {
    const slot = reads.extremes(where, value)
    return ({ mins }) => (mins[slot]! < Infinity ? mins[slot]! / divideBy : NaN)
  },
}
