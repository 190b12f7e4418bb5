import type { LogWindow } from '../window-log.ts'
import { missing, ofValues } from './aggregate.ts'
import type { Aggregate } from './aggregate.ts'

export const mode: Aggregate = {
  ...ofValues,
  gives: 'most frequent `value`; of equally frequent ones the one seen last',
  aliases: ['mostfrequent', 'top', 'top1'],
  merged: 'log',
  example: { lines: ['value: amountCents'], gives: 10 },
  read: ({ where, value, divideBy }, reads) => {
    const slot = reads.log(where, value)
    return ({ windows }) => modeOf(windows[slot]!).value / divideBy
  },
}

export const modeShare: Aggregate = {
  gives: 'share of the events that have the most frequent value',
  ofNothing: 'missing',
  value: 'any',
  where: 'optional',
  divided: false,
  settings: {},
  empty: missing,
  aliases: ['mode_share', 'topshare', 'concentration'],
  merged: 'log',
  example: { lines: ['value: amountCents'], gives: 0.4 },
  read: ({ where, value }, reads) => {
    const slot = reads.log(where, value)
    return ({ windows }) => {
      const window = windows[slot]!
      return modeOf(window).times / (window.log.length - window.start)
    }
  },
}

/** Of no values: NaN, 0 times. */
function modeOf({ log: { values, length }, start }: LogWindow): { value: number; times: number } {
  const counts = new Map<number, number>()
  let times = 0
  for (let i = start; i < length; i++) {
    const count = (counts.get(values[i]!) ?? 0) + 1
    counts.set(values[i]!, count)
    if (count > times) times = count
  }
  for (let i = length - 1; i >= start; i--) {
    if (counts.get(values[i]!) === times) return { value: values[i]!, times }
  }
  return { value: NaN, times }
}
