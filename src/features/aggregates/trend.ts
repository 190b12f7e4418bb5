import { formatDuration } from '../../expression/quantity.ts'
import { missing } from './aggregate.ts'
import type { Aggregate } from './aggregate.ts'

export const trend: Aggregate = {
  gives:
    'slope of the line of least squares through `value` over time: by how much it rises per `per` (default 1s)',
  ofNothing: 'missing, also where all are of one millisecond',
  value: 'number',
  where: 'optional',
  divided: true,
  settings: { per: 'optional' },
  empty: missing,
  aliases: ['slope', 'regr_slope', 'linreg', 'regression', 'gradient'],
  merged: 'log',
  example: { lines: ['value: amountCents', 'per: 1h'], gives: -9.0698 },
  phrase: ({ perMs }) => ` per ${formatDuration(perMs!)}`,
  read: ({ where, value, divideBy, settings: { perMs } }, reads) => {
    const slot = reads.log(where, value)
    return ({ windows }) => {
      const { log, start } = windows[slot]!
      const { times, values, length } = log
      const count = length - start
      if (count < 2) return NaN
      // Differences from the first, for the same reasons as in moments.ts.
      const [firstTime, firstValue] = [times[start]!, values[start]!]
      let [time, value] = [0, 0]
      for (let i = start; i < length; i++) {
        time += times[i]! - firstTime
        value += values[i]! - firstValue
      }
      const [meanTime, meanValue] = [time / count, value / count]
      let [together, alone] = [0, 0]
      for (let i = start; i < length; i++) {
        const apart = times[i]! - firstTime - meanTime
        together += apart * (values[i]! - firstValue - meanValue)
        alone += apart * apart
      }
      return alone > 0 ? ((together / alone) * perMs!) / divideBy : NaN
    }
  },
}
