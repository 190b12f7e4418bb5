import { missing } from './aggregate.ts'
import type { Aggregate } from './aggregate.ts'

export const min: Aggregate = {
  gives: 'smallest `value`',
  ofNothing: 'missing',
  value: 'number',
  where: 'optional',
  divided: true,
  settings: {},
  empty: missing,
  aliases: ['minimum', 'least', 'lowest'],
  merged: 'each',
  example: { lines: ['value: amountCents'], gives: 10 },
  read: ({ where, value, divideBy }, reads) => {
    const slot = reads.extremes(where, value)
    return ({ mins }) => (mins[slot]! < Infinity ? mins[slot]! / divideBy : NaN)
  },
}
