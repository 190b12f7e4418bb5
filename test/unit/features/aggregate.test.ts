import { expect, test } from 'vitest'
import { compileFeatures } from '../../../src/features/compile.ts'
import type { AggregateSpec } from '../../../src/features/spec.ts'
import { OnePart } from '../../support/feature-row.ts'
import {
  aggregateFeature,
  amount,
  eventAt,
  featuresSpec,
  field,
  flag,
  rateFeature,
} from '../../support/feature-specs.ts'

const kinds: AggregateSpec['aggregate'][] = ['count', 'sum', 'mean', 'last', 'secondsSinceLast']

function every(rest: Partial<AggregateSpec>): OnePart {
  const features = kinds.map((aggregate) =>
    aggregateFeature({ name: aggregate, aggregate, value: amount, ...rest }),
  )
  return new OnePart(compileFeatures(featuresSpec(features)))
}

test('an empty window gives the default', () => {
  expect(every({ current: false, default: 7 }).take(eventAt(5, 0))).toEqual({
    count: 7,
    sum: 7,
    mean: 7,
    last: 7,
    secondsSinceLast: 7,
  })
})

test('an empty window without a default is missing', () => {
  const row = every({ current: false, default: null }).take(eventAt(5, 0))
  expect(Object.values(row)).toEqual(kinds.map(() => NaN))
})

test.each([null, NaN, Infinity, 'text'])('a value of %s does not count for sum, mean and last', (missing) => {
  const part = every({ windowMs: 10_000, divideBy: 100 })
  part.insert(eventAt(1_000, 0, { amount: 300 }), eventAt(2_000, 1, { amount: 500 }))
  expect(part.take(eventAt(3_500, 2, { amount: missing }))).toEqual({
    count: 3,
    sum: 8,
    mean: 4,
    last: 5,
    secondsSinceLast: 0,
  })
})

test('seconds since last looks past the event itself without current', () => {
  const part = every({ windowMs: 10_000, current: false })
  part.insert(eventAt(1_000, 0))
  expect(part.take(eventAt(3_500, 1))['secondsSinceLast']).toBe(2.5)
  expect(part.take(eventAt(3_500, 2))['secondsSinceLast']).toBe(0)
})

test('sums of integers are exact up to 2^53, whatever was in the window before', () => {
  const part = every({ windowMs: 10 })
  part.insert(eventAt(0, 0, { amount: 2 ** 53 - 1 }))
  expect(part.take(eventAt(5, 1, { amount: 1 }))['sum']).toBe(2 ** 53)
  expect(part.take(eventAt(12, 2, { amount: 3 }))['sum']).toBe(4)
})

test('a sum of fractions has no memory of what left the window', () => {
  const part = new OnePart(
    compileFeatures(
      featuresSpec([
        aggregateFeature({ name: 'sum', aggregate: 'sum', value: field('fraction'), windowMs: 10 }),
      ]),
    ),
  )
  part.insert(eventAt(0, 0, { fraction: 1e17 }))
  expect(part.take(eventAt(5, 1, { fraction: 0.1 }))['sum']).toBe(1e17)
  expect(part.take(eventAt(12, 2, { fraction: 0.2 }))['sum']).toBe(0.2 + 0.1)
})

test('windows of one definition may be listed in any order', () => {
  const sums = [40, 5, 100, 20].map((windowMs) =>
    aggregateFeature({ name: `sum${windowMs}`, aggregate: 'sum', value: amount, windowMs }),
  )
  const part = new OnePart(compileFeatures(featuresSpec(sums)))
  part.insert(eventAt(10, 0, { amount: 1 }), eventAt(70, 1, { amount: 10 }), eventAt(85, 2, { amount: 100 }))
  expect(part.take(eventAt(100, 3, { amount: 1_000 }))).toEqual({
    sum40: 1_110,
    sum5: 1_000,
    sum100: 1_111,
    sum20: 1_100,
  })
})

test('where keeps the events that satisfy it', () => {
  const part = every({ windowMs: 10_000, where: flag('night') })
  part.insert(eventAt(1_000, 0, { night: true, amount: 4 }), eventAt(2_000, 1, { night: false, amount: 8 }))
  expect(part.take(eventAt(3_000, 2, { night: false }))).toEqual({
    count: 1,
    sum: 4,
    mean: 4,
    last: 4,
    secondsSinceLast: 2,
  })
})

test('a rate is smoothed towards its prior, and an empty window gives the default', () => {
  const rate = rateFeature({
    name: 'rate',
    settings: { smoothing: { weight: 2, prior: 0.25 } },
    default: 0.1,
    current: false,
  })
  const part = new OnePart(compileFeatures(featuresSpec([rate])))
  expect(part.take(eventAt(1, 0, { night: true }))['rate']).toBe(0.1)
  expect(part.take(eventAt(2, 1, { night: false }))['rate']).toBe(1.5 / 3)
  expect(part.take(eventAt(3, 2))['rate']).toBe(1.5 / 4)
})

test('a ratio reads other columns in any order, and is its default when the divisor is 0 or missing', () => {
  const part = new OnePart(
    compileFeatures(
      featuresSpec(
        [
          { kind: 'ratio', name: 'twice', of: 'share', to: 'amount', default: -1 },
          { kind: 'ratio', name: 'share', of: 'nights', to: 'all', default: null },
          aggregateFeature({ name: 'nights', where: flag('night') }),
          aggregateFeature({ name: 'all' }),
        ],
        { values: [{ name: 'amount', expression: amount }] },
      ),
    ),
  )
  part.insert(eventAt(1, 0, { night: true }))
  expect(part.take(eventAt(2, 1, { amount: 4 }))).toEqual({
    amount: 4,
    twice: 0.125,
    share: 0.5,
    nights: 1,
    all: 2,
  })
  expect(part.take(eventAt(3, 2, { amount: 0 }))['twice']).toBe(-1)
  expect(part.take(eventAt(4, 3, { amount: null }))['twice']).toBe(-1)
})

test('a merged entity adds up own and foreign parts, and the newest event of all is the last', () => {
  const merged = { over: 'terminal', windowMs: 100 }
  const features = compileFeatures(
    featuresSpec([
      aggregateFeature({ name: 'count', ...merged }),
      aggregateFeature({ name: 'mean', aggregate: 'mean', value: amount, ...merged }),
      aggregateFeature({ name: 'last', aggregate: 'last', value: amount, current: false, ...merged }),
    ]),
  )
  const own = new OnePart(features)
  const others = [new OnePart(features), new OnePart(features)]
  others[0]!.insert(eventAt(20, 2, { amount: 5 }), eventAt(40, 3, { amount: 9 }))
  others[1]!.insert(eventAt(15, 0, { amount: 6 }))
  own.insert(eventAt(10, 0, { amount: 1 }))
  const event = eventAt(30, 2, { amount: 8 })
  own.insert(event)
  expect(own.row(event, { foreign: () => others.map((other) => other.part) })).toEqual({
    count: 4,
    mean: 5,
    last: 5,
  })
})

test('of two partitions with events in the same millisecond, the own one has the last, then the first in order', () => {
  const features = compileFeatures(
    featuresSpec([
      aggregateFeature({ name: 'last', over: 'terminal', aggregate: 'last', value: amount, current: false }),
    ]),
  )
  const parts = [1, 2, 3].map((worth) => {
    const part = new OnePart(features)
    part.insert(eventAt(20, 0, { amount: worth }))
    return part
  })
  const foreign = (): readonly OnePart['part'][] => parts.slice(1).map(({ part }) => part)
  const event = eventAt(21, 1)
  expect(parts[0]!.row(event, { foreign })).toEqual({ last: 1 })
  expect(parts[0]!.row(event, { own: () => null, foreign })).toEqual({ last: 2 })
})

test('events of several partitions in one millisecond stand in one order: the own one is the newest, then the first', () => {
  const of = { over: 'terminal', value: amount, windowMs: 10, current: false } as const
  const features = compileFeatures(
    featuresSpec([
      aggregateFeature({ name: 'first', aggregate: 'first', ...of }),
      ...[1, 2, 3, 4, 5, 6].map((n) =>
        aggregateFeature({ name: `${n}`, aggregate: 'nthLast', settings: { n }, ...of }),
      ),
      aggregateFeature({ name: 'mode', aggregate: 'mode', ...of }),
    ]),
  )
  // 11 and 12 in the own partition, 21 and 22 in the first of the others, 31 and 32 in the second, all at once.
  const parts = [10, 20, 30].map((worth) => {
    const part = new OnePart(features)
    part.insert(eventAt(20, 0, { amount: worth + 1 }), eventAt(20, 1, { amount: worth + 2 }))
    return part
  })
  const foreign = (): readonly OnePart['part'][] => parts.slice(1).map(({ part }) => part)
  expect(parts[0]!.row(eventAt(21, 2), { foreign })).toEqual({
    first: 31,
    1: 12,
    2: 11,
    3: 22,
    4: 21,
    5: 32,
    6: 31,
    mode: 12,
  })
})

test('an event is not mistaken for one with its offset in another partition', () => {
  const features = compileFeatures(
    featuresSpec([aggregateFeature({ name: 'n', over: 'terminal', current: false })]),
  )
  const own = new OnePart(features)
  const other = new OnePart(features)
  other.insert(eventAt(30, 5, {}, { partition: 1 }))
  const event = eventAt(30, 5)
  own.insert(event)
  expect(own.row(event, { foreign: () => [other.part] })['n']).toBe(1)
})

test('an event without its entity key reads empty windows', () => {
  const part = every({ default: 0 })
  part.insert(eventAt(1, 0))
  const { numbers } = part.features.row(eventAt(2, 1, { customer: null }), {
    own: () => null,
    foreign: () => [],
  })
  expect([...numbers]).toEqual([0, 0, 0, 0, 0])
})

test('equal fractions have no deviation at all, and a z-score of them is missing instead of huge', () => {
  const of = { value: field('fraction'), windowMs: 100, default: null } as const
  const part = new OnePart(
    compileFeatures(
      featuresSpec([
        aggregateFeature({ name: 'std', aggregate: 'std', ...of }),
        aggregateFeature({ name: 'zscore', aggregate: 'zscore', current: false, ...of }),
      ]),
    ),
  )
  part.insert(...[1, 2, 3].map((time) => eventAt(time, time, { fraction: 0.1 })))
  expect(part.take(eventAt(4, 4, { fraction: 0.1 }))).toEqual({ std: 0, zscore: NaN })
})

test('a deviation of large values that lie close together loses nothing', () => {
  const std = aggregateFeature({ name: 'std', aggregate: 'std', value: amount, windowMs: 100 })
  const part = new OnePart(compileFeatures(featuresSpec([std])))
  const large = 2 ** 52
  part.insert(eventAt(1, 1, { amount: large }), eventAt(2, 2, { amount: large + 4 }))
  expect(part.take(eventAt(3, 3, { amount: large + 8 }))['std']).toBe(4)
})
