import type { Aggregate } from './aggregate.ts'

export const distinct: Aggregate = {
  gives: 'number of different values; exact',
  ofNothing: '0',
  value: 'any',
  where: 'optional',
  divided: false,
  settings: {},
  empty: () => 0,
  aliases: [
    'uniq',
    'nunique',
    'unique',
    'countdistinct',
    'approx_count_distinct',
    'approx_distinct',
    'cardinality',
    'hll',
  ],
  merged: 'log',
  example: { lines: ['value: amountCents'], gives: 4 },
  read: ({ where, value }, reads) => {
    const slot = reads.log(where, value)
    return ({ windows }) => {
      const { log, start } = windows[slot]!
      if (start === log.length) return NaN
      const seen = new Set<number>()
      for (let i = start; i < log.length; i++) seen.add(log.values[i]!)
      return seen.size
    }
  },
}
