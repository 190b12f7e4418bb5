import { missing, msPerSecond } from './aggregate.ts'
import type { Aggregate } from './aggregate.ts'
import { estimatePhrase, varianceOf } from './moments.ts'

export const gapStd: Aggregate = {
  gives: 'standard deviation of the seconds between one event and the next',
  ofNothing: 'missing; of a sample below three events',
  value: 'none',
  where: 'optional',
  divided: false,
  settings: { estimate: 'optional' },
  empty: missing,
  aliases: ['jitter', 'interarrivalstd', 'gapdeviation'],
  merged: 'log',
  example: { lines: [], gives: 300 },
  phrase: estimatePhrase,
  read: ({ where, settings: { estimate } }, reads) => {
    const slot = reads.log(where, null)
    return ({ windows }) => {
      const { log, start } = windows[slot]!
      const { times, length } = log
      const count = length - start - 1
      if (count < 1) return NaN
      const mean = (times[length - 1]! - times[start]!) / count
      let squares = 0
      for (let i = start + 1; i < length; i++) {
        const deviation = times[i]! - times[i - 1]! - mean
        squares += deviation * deviation
      }
      return Math.sqrt(varianceOf({ count, squares }, estimate)) / msPerSecond
    }
  },
}
