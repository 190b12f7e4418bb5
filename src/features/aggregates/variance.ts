import { missing } from './aggregate.ts'
import type { Aggregate } from './aggregate.ts'
import { estimatePhrase, momentsOf, varianceOf } from './moments.ts'

export const variance: Aggregate = {
  gives:
    'variance of `value`: of a sample (÷ n − 1), or with `estimate: population` ÷ n; `divideBy` counts twice',
  ofNothing: 'missing; of a sample also of one event',
  value: 'number',
  where: 'optional',
  divided: true,
  settings: { estimate: 'optional' },
  empty: missing,
  aliases: ['var', 'var_samp', 'var_pop'],
  merged: 'log',
  example: { lines: ['value: amountCents'], gives: 170 },
  phrase: estimatePhrase,
  read: ({ where, value, divideBy, settings: { estimate } }, reads) => {
    const slot = reads.log(where, value)
    return ({ windows }) => {
      const { log, start } = windows[slot]!
      if (start === log.length) return NaN
      return varianceOf(momentsOf(log.values, start, log.length), estimate) / divideBy / divideBy
    }
  },
}
