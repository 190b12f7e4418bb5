import { describe, expect, test } from 'vitest'
import { MillraceError } from '../../../src/errors.ts'
import { compileFeatures } from '../../../src/features/compile.ts'
import type { FeatureSpec, FeaturesSpec } from '../../../src/features/spec.ts'
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

const topology = featuresSpec(
  [
    aggregateFeature({ name: 'count', windowMs: 30, delayMs: 5 }),
    aggregateFeature({ name: 'mean', aggregate: 'mean', value: amount, windowMs: 10 }),
    aggregateFeature({ name: 'sum', aggregate: 'sum', value: amount, windowMs: 20, edges: '[)' }),
    aggregateFeature({ name: 'terminal_count', over: 'terminal', windowMs: 7, where: flag('night') }),
    aggregateFeature({ name: 'terminal_fraud', over: 'terminal', from: 'labels', where: flag('fraud') }),
    aggregateFeature({ name: 'customer_fraud', from: 'labels', edges: '[]' }),
    { kind: 'ratio', name: 'risk', of: 'terminal_fraud', to: 'terminal_count', default: 0 },
  ],
  { values: [{ name: 'amount', expression: amount }] },
)

test('there is one layout per entity and source, with each column once', () => {
  const { layouts } = compileFeatures(topology)
  expect(layouts.map(({ entity, source, columns }) => [entity, source, ...columns])).toEqual([
    ['customer', 'transactions', 'time', 'amount'],
    ['terminal', 'transactions', 'time', 'where: night'],
    ['terminal', 'labels', 'time', 'where: fraud'],
    ['customer', 'labels', 'time'],
  ])
  expect(layouts.map(({ index }) => index)).toEqual([0, 1, 2, 3])
})

test('a horizon is the furthest reach of a window, one more when its left edge is closed', () => {
  const features = compileFeatures(topology)
  expect(features.layouts.map(({ horizonMs }) => horizonMs)).toEqual([35, 7, 10, 11])
  expect(features.horizonMs).toBe(35)
  expect(compileFeatures(featuresSpec([])).horizonMs).toBe(0)
})

test('columns of a row are the values, then the features, in topology order', () => {
  expect(compileFeatures(topology).names).toEqual([
    'amount',
    'count',
    'mean',
    'sum',
    'terminal_count',
    'terminal_fraud',
    'customer_fraud',
    'risk',
  ])
})

test('other partitions are read for merged entities and for every other source', () => {
  const { mergedReads } = compileFeatures(topology)
  expect(mergedReads.map(({ entity, source }) => `${entity} from ${source}`)).toEqual([
    'terminal from transactions',
    'terminal from labels',
    'customer from labels',
  ])
})

test('each source feeds its own layouts', () => {
  const features = compileFeatures(topology)
  expect(features.layoutsFedBy('transactions').map(({ index }) => index)).toEqual([0, 1])
  expect(features.layoutsFedBy('labels').map(({ index }) => index)).toEqual([2, 3])
  expect(features.layoutsFedBy('other')).toEqual([])
})

test('31 conditions over one entity are told apart', () => {
  const features = Array.from({ length: 31 }, (_, i) =>
    aggregateFeature({ name: `n${i}`, where: flag(`f${i}`) }),
  )
  const part = new OnePart(compileFeatures(featuresSpec(features)))
  const row = part.take(eventAt(1, 0, { f0: true, f17: true, f30: true }))
  part.reload()
  expect(Object.keys(row).filter((name) => row[name] === 1)).toEqual(['n0', 'n17', 'n30'])
  expect(part.row(eventAt(1, 1))).toEqual(row)
})

test('an expression that throws leaves the log as it was', () => {
  const throwing = {
    ...field('fraction'),
    evaluate: () => {
      throw new Error('no')
    },
  }
  const part = new OnePart(
    compileFeatures(featuresSpec([aggregateFeature({ name: 's', aggregate: 'sum', value: throwing })])),
  )
  expect(() => part.insert(eventAt(1, 0))).toThrow('no')
  expect(part.part.length).toBe(0)
})

describe('a definition is refused', () => {
  const ratioOf = (name: string, of: string, to: string): FeatureSpec => ({
    kind: 'ratio',
    name,
    of,
    to,
    default: 0,
  })
  const refused: [string, Partial<FeaturesSpec> & { features: FeatureSpec[] }, RegExp][] = [
    [
      'whose entity is unknown',
      { features: [aggregateFeature({ name: 'n', over: 'nobody' })] },
      /entity nobody/,
    ],
    [
      'whose name is taken',
      { features: [aggregateFeature({ name: 'n' }), rateFeature({ name: 'n' })] },
      /n is defined twice/,
    ],
    [
      'that sums nothing',
      { features: [aggregateFeature({ name: 'n', aggregate: 'sum' })] },
      /sum needs a value/,
    ],
    ['that divides by 0', { features: [aggregateFeature({ name: 'n', divideBy: 0 })] }, /divideBy/],
    ['with an empty window', { features: [aggregateFeature({ name: 'n', windowMs: 0 })] }, /at least 1 ms/],
    [
      'with a negative delay',
      { features: [aggregateFeature({ name: 'n', delayMs: -1 })] },
      /delay not negative/,
    ],
    [
      'of a ratio to an unknown column',
      { features: [ratioOf('r', 'x', 'y')] },
      /no value or feature called x/,
    ],
    ['of ratios in a circle', { features: [ratioOf('r', 's', 's'), ratioOf('s', 'r', 'r')] }, /from itself/],
    ['with a cap of 0', { features: [], eventsPerEntityMax: 0 }, /eventsPerEntityMax/],
    [
      'with more than 31 conditions over one entity',
      {
        features: Array.from({ length: 32 }, (_, i) =>
          aggregateFeature({ name: `n${i}`, where: flag(`f${i}`) }),
        ),
      },
      /32 different conditions, at most 31/,
    ],
  ]
  test.each(refused)('%s', (_, { features, ...rest }, message) => {
    const compile = (): unknown => compileFeatures(featuresSpec(features, rest))
    expect(compile).toThrow(message)
    expect(compile).toThrow(expect.objectContaining({ name: MillraceError.name, code: 'TOPOLOGY_INVALID' }))
  })
})
