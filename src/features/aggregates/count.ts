import type { Aggregate } from './aggregate.ts'

export const count: Aggregate = {
  gives: 'number of events',
  ofNothing: '0',
  value: 'none',
  where: 'optional',
  divided: false,
  settings: {},
  empty: () => 0,
  aliases: [],
  merged: 'sum',
  example: { lines: [], gives: 5 },
  read: ({ where }, reads) => {
    const slot = reads.tally(where, null)
    return ({ counts }) => (counts[slot]! > 0 ? counts[slot]! : NaN)
  },
}
