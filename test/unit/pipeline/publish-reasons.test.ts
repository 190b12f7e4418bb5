import { expect, test } from 'vitest'
import type { DecideRule } from '../../../src/decide/plan.ts'
import { memoryScorer } from '../../../src/model/memory-scorer.ts'
import type { AppliedRow } from '../../../src/pipeline/apply.ts'
import type { PartitionSetup } from '../../../src/pipeline/partition-context.ts'
import { publish } from '../../../src/pipeline/publish.ts'
import type { PreparedSlice } from '../../../src/pipeline/slice.ts'
import type { Owned } from '../../../src/pipeline/takeover.ts'
import type { Alert } from '../../../src/record/prediction.ts'
import { manualClock } from '../../../src/time/manual-clock.ts'

const names = ['amount', 'age']

/** The alerts of rows that a model scores, with the reasons that the service finds for them. */
async function alertsOf(
  rows: readonly number[][],
  score: (row: Float32Array) => number,
  rule: Omit<DecideRule, 'id' | 'severity'>,
): Promise<readonly Alert[]> {
  const baseline = new Map(names.map((name) => [name, 10]))
  const scorer = memoryScorer({ width: names.length, score, baseline })
  const batching = {
    score: async (values: Float32Array, n: number) => ({
      scores: (await scorer.score(values, n)).scores,
      failures: null,
    }),
  }
  const setup = {
    input: { topic: 'in', partition: 0 },
    shared: {
      clock: manualClock(),
      scorer,
      batching,
      plan: {
        model: { inputs: [{ name: 'x', features: names }] },
        features: { names },
        featuresSpec: { values: names },
        sinks: { predictions: { include: {} } },
        decide: { outcomes: [], rules: [{ id: 'r', severity: 'high', ...rule }], reasons: 2 },
      },
      outlet: { prediction: () => ({}), alert: () => ({}) },
    },
  } as unknown as PartitionSetup
  const values = Float32Array.from(rows.flat())
  const items = rows.map((row, i) => ({
    kind: 'row' as const,
    row: i,
    applied: {
      event: { id: `e${i}`, key: 'k', time: 0, fields: {}, raw: { topic: 'in', partition: 0, offset: i } },
      row: { numbers: Float64Array.from(row) },
      flags: [],
    } as unknown as AppliedRow,
  }))
  const slice = { items, matrix: { values, rows: rows.length } } as unknown as PreparedSlice
  const owned = { metadata: { incarnation: 'a' } } as unknown as Owned
  const signal = new AbortController().signal
  const scores = await batching.score(values.slice(), rows.length)
  return (await publish(setup, owned, slice, scores, signal)).alerts
}

const shown = (alerts: readonly Alert[]): unknown =>
  alerts.map(({ reasons }) => reasons.map(({ feature, effect }) => [feature, effect]))

// As an isolation forest: the further from the usual 10, the lower.
const lowWhenOdd = ([amount = 0, age = 0]: Float32Array): number =>
  -(Math.abs(amount - 10) + Math.abs(age - 10)) / 128

test('every alert of a model that scores oddness low has what made it odd as its reasons', async () => {
  const rows = [
    [74, 10],
    [10, 42],
    [42, 74],
  ]
  const alerts = await alertsOf(rows, lowWhenOdd, { follows: 'down', test: ({ score }) => score < -0.125 })
  expect(shown(alerts)).toEqual([
    [['amount', 0.5]],
    [['age', 0.25]],
    [
      ['age', 0.5],
      ['amount', 0.25],
    ],
  ])
})

test('and of one that scores it high, with the same rule the other way round', async () => {
  const high = (row: Float32Array): number => -lowWhenOdd(row)
  const alerts = await alertsOf([[74, 42]], high, { follows: 'up', test: ({ score }) => score > 0.125 })
  expect(shown(alerts)).toEqual([
    [
      ['amount', 0.5],
      ['age', 0.25],
    ],
  ])
})

test('a rule of both tails gives the reasons of the tail that the row is in', async () => {
  const signed = ([amount = 0, age = 0]: Float32Array): number => (amount - 10 + (age - 10)) / 64
  const rule = { follows: 'mixed', test: ({ score }: { score: number }) => score < -1 || score > 1 } as const
  expect(shown(await alertsOf([[-118, 42]], signed, rule))).toEqual([[['amount', 2]]])
  expect(shown(await alertsOf([[138, -22]], signed, rule))).toEqual([[['amount', 2]]])
})
