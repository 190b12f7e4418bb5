import { missing } from './aggregate.ts'
import type { Aggregate } from './aggregate.ts'
import { estimatePhrase, momentsOf, varianceOf } from './moments.ts'

export const std: Aggregate = {
  gives: 'standard deviation of `value`: of a sample (÷ n − 1), or with `estimate: population` ÷ n',
  ofNothing: 'missing; of a sample also of one event',
  value: 'number',
  where: 'optional',
  divided: true,
  settings: { estimate: 'optional' },
  empty: missing,
  aliases: ['stddev', 'stdev', 'stddev_samp', 'stddev_pop', 'sigma', 'deviation'],
  merged: 'log',
  example: { lines: ['value: amountCents'], gives: 13.0384 },
  phrase: estimatePhrase,
  read: ({ where, value, divideBy, settings: { estimate } }, reads) => {
    const slot = reads.log(where, value)
    return ({ windows }) => {
      const { log, start } = windows[slot]!
      if (start === log.length) return NaN
      return Math.sqrt(varianceOf(momentsOf(log.values, start, log.length), estimate)) / divideBy
    }
  },
}
