import { expect, test } from 'vitest'
import type { AppliedRow } from '../../../src/pipeline/apply.ts'
import type { PartitionSetup } from '../../../src/pipeline/partition-context.ts'
import { publish } from '../../../src/pipeline/publish.ts'
import type { PreparedSlice } from '../../../src/pipeline/slice.ts'
import type { Owned } from '../../../src/pipeline/takeover.ts'
import type { Event } from '../../../src/record/event.ts'
import type { Prediction, ScoreType } from '../../../src/record/prediction.ts'
import { load, topology } from '../topology/written.ts'

interface Case {
  readonly when?: string
  readonly onError?: string
  readonly score?: number
  readonly scoreType?: ScoreType
  readonly flags?: AppliedRow['flags']
}

/** What is published of one scored event of customer c1, and what is told of expressions in error. */
async function published({
  when = 'score > 2',
  onError = 'missing',
  score = 0.5,
  scoreType = 'float32',
  flags = [],
}: Case) {
  const plan = load(
    `${topology(['when: features.small_10m >= 5 && amount > 50', `when: ${when}`])}expressions: {onError: ${onError}}\n`,
  )
  const raw = { topic: 'in', partition: 0, offset: 0, timestamp: 0, key: null, value: null, headers: [] }
  const event: Event = { id: '1', key: 'c1', time: 5, fields: { customer: 'c1', amountCents: 1 }, raw }
  const applied: AppliedRow = {
    event,
    row: { numbers: new Float64Array(plan.features.names.length), capped: false },
    flags,
  }
  const told: string[] = []
  const predictions: Prediction[] = []
  const record = {
    kind: 'prediction',
    topic: 'out',
    partition: 0,
    key: null,
    value: null,
    headers: undefined,
  } as const
  const shared = {
    plan,
    clock: { now: () => 7 },
    scorer: {
      identity: { name: 'm', version: '1', digest: 'd' },
      scoreType,
      baseline: null,
      missing: new Map(),
    },
    observer: { expressionFailed: (_: unknown, place: string) => told.push(place) },
    outlet: {
      prediction: (prediction: Prediction) => {
        predictions.push(prediction)
        return record
      },
      alert: () => ({ ...record, kind: 'alert' }),
      deadLetter: () => ({ ...record, kind: 'dead-letter' }),
    },
  }
  const out = await publish(
    { shared, input: { source: 'transactions', topic: 'in', partition: 0 } } as unknown as PartitionSetup,
    { metadata: { incarnation: 'a1b2' } } as Owned,
    { items: [{ kind: 'row', applied, row: 0 }] } as unknown as PreparedSlice,
    { scores: Float64Array.of(score), failures: null },
    new AbortController().signal,
  )
  return { ...out, told, prediction: predictions[0] }
}

test('a rule in error flags the prediction, raises no alert and is told of', async () => {
  const { prediction, alerts, told, flagged } = await published({ when: 'int(customer) > 3' })
  expect(prediction).toMatchObject({ flags: ['expression-error'], decision: 'approve' })
  expect(alerts).toEqual([])
  expect(told).toEqual(['decide.alerts.testing.when'])
  expect(flagged).toEqual(new Map([['expression-error', 1]]))
})

test('a flag that the features set is not set twice', async () => {
  const { prediction } = await published({ when: 'int(customer) > 3', flags: ['late', 'expression-error'] })
  expect(prediction?.flags).toEqual(['late', 'expression-error'])
})

test('with onError: dead-letter a rule in error makes a dead letter and no prediction', async () => {
  const { rejects, predictions } = await published({ when: 'int(customer) > 3', onError: 'dead-letter' })
  expect(predictions).toBe(0)
  expect(rejects).toMatchObject([
    {
      reason: 'EXPRESSION',
      stage: 'decide',
      message: 'expression decide.alerts.testing.when: int() cannot read this text',
    },
  ])
})

test('a rule over a field that is missing is no error, whatever the policy', async () => {
  const { prediction, told } = await published({ when: 'ts > 3', onError: 'dead-letter' })
  expect(prediction?.flags).toEqual([])
  expect(told).toEqual([])
})

test('a float32 score of 0.9 declines at score >= 0.9, and is published as it is', async () => {
  const score = Math.fround(0.9)
  expect((await published({ score })).prediction).toMatchObject({ decision: 'decline', score })
  expect((await published({ score, scoreType: 'float64' })).prediction).toMatchObject({
    decision: 'approve',
    score,
  })
})
