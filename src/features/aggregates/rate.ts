import type { AggregateSettings } from '../spec.ts'
import type { Aggregate } from './aggregate.ts'

type Smoothing = NonNullable<AggregateSettings['smoothing']>

const none: Smoothing = { weight: 0, prior: 0 }

export const rate: Aggregate = {
  gives: 'share of the events for which `where` holds, with optional `smoothing`',
  ofNothing: 'the prior, else 0',
  value: 'none',
  where: 'needed',
  divided: false,
  settings: { smoothing: 'optional' },
  empty: ({ smoothing = none }) => smoothing.prior,
  aliases: ['share', 'fraction', 'proportion'],
  merged: 'sum',
  example: { lines: ['where: amountCents >= 20'], gives: 0.6 },
  phrase: ({ smoothing = none }) =>
    smoothing.weight > 0 ? ` smoothed by ${smoothing.weight} at ${smoothing.prior}` : '',
  read: ({ where, settings: { smoothing = none } }, reads) => {
    const [hits, events] = [reads.tally(where, null), reads.tally(null, null)]
    const { weight, prior } = smoothing
    return ({ counts }) =>
      counts[events]! > 0 ? (counts[hits]! + weight * prior) / (counts[events]! + weight) : NaN
  },
}
