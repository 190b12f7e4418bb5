import type { LogWindow } from '../window-log.ts'
import { ofValues } from './aggregate.ts'
import type { Aggregate } from './aggregate.ts'

export const quantile: Aggregate = {
  ...ofValues,
  gives:
    '`value` below which the share `q` of the events lies; between two events in proportion (linear, as NumPy and pandas do); exact',
  settings: { q: 'needed' },
  aliases: ['percentile', 'percentile_cont', 'approx_percentile', 'approx_quantile'],
  merged: 'log',
  example: { lines: ['value: amountCents', 'q: 0.9'], gives: 36 },
  phrase: ({ q }) => ` at ${q}`,
  read: ({ where, value, divideBy, settings: { q } }, reads) => {
    const slot = reads.log(where, value)
    return ({ windows }) => quantileOf(windows[slot]!, q!) / divideBy
  },
}

export const median: Aggregate = {
  ...ofValues,
  gives: '`value` in the middle; of an even number the mean of the two in the middle; exact',
  aliases: ['middle', 'med'],
  merged: 'log',
  example: { lines: ['value: amountCents'], gives: 20 },
  read: ({ where, value, divideBy }, reads) => {
    const slot = reads.log(where, value)
    return ({ windows }) => quantileOf(windows[slot]!, 0.5) / divideBy
  },
}

/** NaN of no values. */
function quantileOf({ log, start }: LogWindow, q: number): number {
  const count = log.length - start
  if (count === 0) return NaN
  const sorted = log.values.slice(start, log.length).sort()
  const place = q * (count - 1)
  const below = Math.floor(place)
  const low = sorted[below]!
  const high = sorted[Math.min(below + 1, count - 1)]!
  return low + (high - low) * (place - below)
}
