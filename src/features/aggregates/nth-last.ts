import { missing } from './aggregate.ts'
import type { Aggregate } from './aggregate.ts'

export const nthLast: Aggregate = {
  gives: '`value` of the event at place `n` from the newest, which is 1',
  ofNothing: 'missing, also of fewer than n events',
  value: 'number',
  where: 'optional',
  divided: true,
  settings: { n: 'needed' },
  empty: missing,
  aliases: ['nth', 'lag', 'lastn', 'previous', 'shift'],
  merged: 'log',
  example: { lines: ['value: amountCents', 'n: 2'], gives: 10 },
  phrase: ({ n }) => ` at place ${n} from the newest`,
  read: ({ where, value, divideBy, settings: { n } }, reads) => {
    const slot = reads.log(where, value)
    return ({ windows }) => {
      const { log, start } = windows[slot]!
      const at = log.length - n!
      return at >= start ? log.values[at]! / divideBy : NaN
    }
  },
}
