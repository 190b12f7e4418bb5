import { formatDuration } from '../../expression/quantity.ts'
import type { AggregateSettings } from '../spec.ts'
import type { LogWindow } from '../window-log.ts'
import { ofValues } from './aggregate.ts'
import type { Aggregate } from './aggregate.ts'

const phrase = ({ halfLifeMs }: AggregateSettings): string => ` with half-life ${formatDuration(halfLifeMs!)}`

export const ewma: Aggregate = {
  ...ofValues,
  gives:
    'mean of `value`, weighted by age: an event counts half as much as one that is `halfLife` younger (EWMA in time)',
  settings: { halfLife: 'needed' },
  aliases: ['ema', 'ewm', 'decayedmean', 'weightedmean', 'expmovingavg'],
  merged: 'log',
  example: { lines: ['value: amountCents', 'halfLife: 10m'], gives: 22.0339 },
  phrase,
  read: ({ where, value, divideBy, settings: { halfLifeMs } }, reads) => {
    const slot = reads.log(where, value)
    return ({ windows }) => {
      const window = windows[slot]!
      const { log, start } = window
      if (start === log.length) return NaN
      // Counted from the newest, so that never all weights vanish.
      const { sum, weights } = decay(window, log.times[log.length - 1]!, halfLifeMs!)
      return sum / weights / divideBy
    }
  },
}

export const decayedSum: Aggregate = {
  ...ofValues,
  gives:
    'sum of `value`, each halved for every `halfLife` that the event is older than the end of the window',
  settings: { halfLife: 'needed' },
  aliases: ['decayed_sum', 'decay', 'expsum'],
  merged: 'log',
  example: { lines: ['value: amountCents', 'halfLife: 10m'], gives: 40.625 },
  phrase,
  read: ({ where, value, divideBy, delayMs, settings: { halfLifeMs } }, reads) => {
    const slot = reads.log(where, value)
    return ({ windows }, { time }) => {
      const window = windows[slot]!
      if (window.start === window.log.length) return NaN
      return decay(window, time - delayMs, halfLifeMs!).sum / divideBy
    }
  },
}

export const decayedCount: Aggregate = {
  gives:
    'number of events, each counted as 1, halved for every `halfLife` that it is older than the end of the window',
  ofNothing: '0',
  value: 'none',
  where: 'optional',
  divided: false,
  settings: { halfLife: 'needed' },
  empty: () => 0,
  aliases: ['decayed_count', 'expcount', 'heat'],
  merged: 'log',
  example: { lines: ['halfLife: 10m'], gives: 1.84375 },
  phrase,
  read: ({ where, delayMs, settings: { halfLifeMs } }, reads) => {
    const slot = reads.log(where, null)
    return ({ windows }, { time }) => {
      const window = windows[slot]!
      if (window.start === window.log.length) return NaN
      return decay(window, time - delayMs, halfLifeMs!).weights
    }
  },
}

function decay(
  { log: { times, values, length }, start }: LogWindow,
  endMs: number,
  halfLifeMs: number,
): { readonly sum: number; readonly weights: number } {
  let [sum, weights] = [0, 0]
  for (let i = start; i < length; i++) {
    const weight = 2 ** ((times[i]! - endMs) / halfLifeMs)
    sum += weight * values[i]!
    weights += weight
  }
  return { sum, weights }
}
