import { describe, expect, test } from 'vitest'
import { formatReport } from '../../../../src/cli/verify-format.ts'
import type { Lack } from '../../../../src/pipeline/lacking.ts'
import type { Prediction, PredictionFlag } from '../../../../src/record/prediction.ts'
import { choosesKey } from '../../../../src/service/verify/choice.ts'
import {
  approximateColumns,
  compareRow,
  isSame,
  lackingUnflagged,
  scoreDifference,
  type RecomputedRow,
} from '../../../../src/service/verify/compare.ts'
import { VerifyTally } from '../../../../src/service/verify/tally.ts'
import { load, topology } from '../../topology/written.ts'

const columns = {
  names: ['amount', 'count', 'near'],
  values: new Set(['amount']),
  approximate: new Set(['near']),
}

const row: RecomputedRow = { id: 'a', key: 'c', time: 5, numbers: Float64Array.of(1.5, 3, NaN), flags: [] }

function prediction(change: Partial<Prediction> = {}): Prediction {
  return {
    id: 'a',
    key: 'c',
    occurredAt: 5,
    scoredAt: 6,
    score: 0.5,
    decision: 'approve',
    model: { name: 'm', version: '1', digest: 'd' },
    flags: [],
    position: { topic: 'in', partition: 0, offset: 7 },
    values: { amount: 1.5 },
    features: { count: 3, near: null },
    ...change,
  }
}

const said = (change: Partial<Prediction>, of: RecomputedRow = row): unknown => {
  const { wrong, excused, absent } = compareRow(of, prediction(change), columns)
  return [wrong.map(({ what }) => what), excused.map(({ what }) => what), absent]
}

test.each<[string, Partial<Prediction>, unknown]>([
  ['all is the same', {}, [[], [], []]],
  ['a value differs', { values: { amount: 1.6 } }, [['amount'], [], []]],
  ['a count differs by one', { features: { count: 4, near: null } }, [['count'], [], []]],
  ['a number is missing', { features: { count: null, near: null } }, [['count'], [], []]],
  ['a missing number is there', { features: { count: 3, near: 0 } }, [[], ['near'], []]],
  ['the id differs', { id: 'b' }, [['id'], [], []]],
  ['the key and the time differ', { key: 'd', occurredAt: 6 }, [['key', 'time'], [], []]],
  ['it says late', { flags: ['late'] }, [['flags'], [], []]],
  [
    'it says unaligned, and differs',
    { flags: ['unaligned'], features: { count: 9, near: null } },
    [[], ['count'], []],
  ],
  ['it says gap, and has another id', { flags: ['gap'], id: 'b' }, [['id'], [], []]],
  ['it carries a part of them', { features: { count: 3 } }, [[], [], ['near']]],
])('a prediction in which %s', (_, change, expected) => {
  expect(said(change)).toEqual(expected)
})

test('an expression in error is in the flags, and one of a rule may be besides', () => {
  const inError: RecomputedRow = { ...row, flags: ['expression-error'] }
  expect(said({ flags: ['expression-error'] }, inError)).toEqual([[], [], []])
  expect(said({}, inError)).toEqual([['flags'], [], []])
  expect(said({ flags: ['expression-error'] })).toEqual([[], [], []])
})

test('what is not included is not compared', () => {
  const { features: _, values: __, ...bare } = prediction()
  expect(compareRow(row, bare, columns).absent).toEqual(['amount', 'count', 'near'])
})

test('windows over deleted records may differ', () => {
  const { wrong, excused } = compareRow(
    row,
    prediction({ features: { count: 2, near: null } }),
    columns,
    true,
  )
  expect([wrong, excused.length]).toEqual([[], 1])
})

test.each<[number | null, number | null, boolean]>([
  [0.1 + 0.2, 0.3, true],
  [1e12, 1e12 + 1, false],
  [0, null, false],
  [null, null, true],
  [1.000001, 1, false],
  [0, -0, true],
])('%s and %s are the same: %s', (one, other, expected) => {
  expect(isSame(one, other)).toBe(expected)
})

test('scores may differ as float32 rounds, and no more', () => {
  expect(scoreDifference(0.5, 0.500001)).toBe(null)
  expect(scoreDifference(300, 300.001)).toBe(null)
  expect(scoreDifference(0.5, 0.501)).toMatchObject({ what: 'score', published: 0.5, recomputed: 0.501 })
})

const lack = { feature: 'risk', input: 'labels:0', held: 4, needed: 5 }

test.each<[PredictionFlag[], Lack[]]>([
  [[], [lack]],
  [['capped'], [lack]],
  [['unaligned'], []],
  [['gap'], []],
  [['late'], []],
])('a prediction with the flags %j that saw less than its windows need is told: %j', (flags, expected) => {
  expect(lackingUnflagged(prediction({ flags }), { lacks: () => [lack] })).toEqual(expected)
})

test('columns without a delay that see other partitions are not the same twice, nor ratios of them', () => {
  const { features, featuresSpec } = load(
    topology([
      'features:',
      `features:
  near: {over: terminal, from: labels, aggregate: count, window: 1d}
  busy: {over: terminal, aggregate: count, window: 1d}
  share: {ratio: {of: near, to: count_1d}}
  twice: {ratio: {of: fraud_7d, to: share}}`,
    ]),
  )
  const found = (partitions: number): string[] => [
    ...approximateColumns(featuresSpec, features.mergedReads, (source) =>
      source === 'labels' ? Infinity : partitions,
    ),
  ]
  expect(found(4)).toEqual(['near', 'busy', 'share', 'twice'])
  expect(found(1)).toEqual(['near', 'share', 'twice'])
})

test('a sample holds the same keys every time, about its share, and a larger one holds it', () => {
  const keys = Array.from({ length: 10_000 }, (_, i) => `key-${i}`)
  const chosen = (sample: number): string[] =>
    keys.filter((key) => choosesKey({ sample, keys: null, sinceMs: 0, untilMs: 0, limit: 1 }, key))
  expect(chosen(0.1).length).toBeGreaterThan(900)
  expect(chosen(0.1).length).toBeLessThan(1_100)
  expect(new Set(chosen(0.2))).toEqual(new Set([...chosen(0.1), ...chosen(0.2)]))
  expect(chosen(1)).toEqual(keys)
})

describe('the report', () => {
  const tallied = (change: Partial<Prediction>): VerifyTally => {
    const tally = new VerifyTally()
    const one = prediction(change)
    tally.compared('in:0@7', one, compareRow(row, one, columns))
    return tally
  }

  test('says that something differs only for what must be the same', () => {
    expect(tallied({}).report.differs).toBe(false)
    expect(tallied({ features: { count: 3, near: 8 } }).report).toMatchObject({
      differs: false,
      approximate: { near: { rows: 1 } },
    })
    expect(tallied({ flags: ['gap'], features: { count: 9, near: null } }).report).toMatchObject({
      differs: false,
      flagged: { rows: 1, differing: 1 },
    })
    expect(tallied({ features: { count: 9, near: null } }).report).toMatchObject({
      differs: true,
      wrong: 1,
      differences: {
        count: { rows: 1, largest: 6, example: { place: 'in:0@7', published: 9, recomputed: 3 } },
      },
    })
  })

  test.each(['missing', 'extra', 'twice', 'both'] as const)(
    'says that something differs when one is %s',
    (what) => {
      const tally = tallied({})
      tally[what].add('in:0@8')
      expect(tally.report).toMatchObject({ differs: true, [what]: { count: 1, examples: ['in:0@8'] } })
    },
  )

  test('names a prediction that saw too little: what it had read of which partition, what it needed, and for what', () => {
    const tally = tallied({})
    tally.seen({ place: 'in:0@7', id: 'a' }, [])
    expect(tally.report).toMatchObject({ differs: false, behind: { count: 0, examples: [] } })
    tally.seen({ place: 'in:0@8', id: 'b' }, [lack, { ...lack, input: 'labels:1' }])
    expect(tally.report).toMatchObject({ differs: true, behind: { count: 1 } })
    const text = formatReport(tally.report)
    expect(text).toMatch(/^DIFFERENCES: of 1 predictions compared, 1 saw too little without a flag\n/)
    expect(text).toContain('behind: 1 predictions saw less than their windows need, without a flag')
    expect(text).toContain('  b  at in:0@8  risk  had read labels:0 below 4  needed it below 5\n')
    expect(text).toContain('had read labels:1 below 4')
  })
})
