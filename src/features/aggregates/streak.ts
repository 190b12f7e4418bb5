import { missing } from './aggregate.ts'
import type { Aggregate } from './aggregate.ts'

export const streak: Aggregate = {
  gives: 'number of newest events in a row for which `where` holds',
  ofNothing: '0',
  value: 'none',
  where: 'needed',
  divided: false,
  settings: {},
  empty: () => 0,
  aliases: ['run', 'runlength', 'consecutive', 'in_a_row'],
  merged: 'log',
  example: { lines: ['where: amountCents >= 20'], gives: 1 },
  read: ({ where }, reads) => {
    const slot = reads.flags(where!)
    return ({ windows }) => {
      const { log, start } = windows[slot]!
      if (start === log.length) return NaN
      let first = log.length
      while (first > start && log.values[first - 1] === 1) first--
      return log.length - first
    }
  },
}

export const countSince: Aggregate = {
  gives: 'number of events after the last one for which `where` holds',
  ofNothing: 'missing, also where it never holds',
  value: 'none',
  where: 'needed',
  divided: false,
  settings: {},
  empty: missing,
  aliases: ['count_since', 'eventssince', 'since'],
  merged: 'log',
  example: { lines: ['where: amountCents >= 40'], gives: 3 },
  read: ({ where }, reads) => {
    const slot = reads.flags(where!)
    return ({ windows }) => {
      const { log, start } = windows[slot]!
      for (let i = log.length - 1; i >= start; i--) if (log.values[i] === 1) return log.length - 1 - i
      return NaN
    }
  },
}
