import { missing } from './aggregate.ts'
import type { Aggregate } from './aggregate.ts'
import { estimatePhrase, momentsOf, varianceOf } from './moments.ts'

export const zscore: Aggregate = {
  gives:
    'how many standard deviations `value` of the event lies above the mean of its window, which is without the event itself unless `current: true` is written',
  ofNothing: 'missing, also without deviation',
  value: 'number',
  where: 'optional',
  divided: false,
  settings: { estimate: 'optional' },
  current: false,
  source: 'scored',
  empty: missing,
  aliases: ['z', 'z_score', 'zvalue', 'standardized', 'normalized'],
  merged: 'log',
  example: { lines: ['value: amountCents', 'estimate: population'], gives: 0.8165 },
  phrase: estimatePhrase,
  read: ({ where, value, settings: { estimate } }, reads) => {
    const slot = reads.log(where, value)
    return ({ windows }, event, failures) => {
      const { log, start } = windows[slot]!
      const current = value!.evaluate(event, failures)
      if (current === null || !Number.isFinite(current) || start === log.length) return NaN
      const moments = momentsOf(log.values, start, log.length)
      const deviation = Math.sqrt(varianceOf(moments, estimate))
      return deviation > 0 ? (current - moments.origin - moments.offset) / deviation : NaN
    }
  },
}
