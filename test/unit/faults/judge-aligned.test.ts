import { expect, test } from 'vitest'
import type { Prediction, PredictionFlag } from '../../../src/record/prediction.ts'
import type { Plan } from '../../../src/topology/plan.ts'
import type { LoggedInput } from '../../support/card-world.ts'
import type { Outputs } from '../../support/evidence.ts'
import { aggregateFeature, featuresSpec } from '../../support/feature-specs.ts'
import { alignmentProblems } from '../../support/judge-aligned.ts'
import { fold } from '../../support/judge-features.ts'
import { sourcePlan } from '../decode/fixtures.ts'

const hour = 3_600_000

function planOf(disorderMaxMs: number | null): Plan {
  const features = [
    aggregateFeature({
      name: 'risk',
      over: 'terminal',
      from: 'labels',
      windowMs: 10 * hour,
      delayMs: 2 * hour,
    }),
  ]
  return {
    featuresSpec: featuresSpec(features),
    sources: [
      sourcePlan({ name: 'transactions' }),
      sourcePlan({
        name: 'labels',
        role: 'state',
        disorderMaxMs,
        allowedLatenessMs: null,
        late: 'drop-state',
      }),
    ],
  } as unknown as Plan
}

function record(
  source: LoggedInput['source'],
  offset: number,
  time: number,
  more: Partial<LoggedInput> = {},
): LoggedInput {
  const fields = { id: `${source}-${offset}`, customer: 'c', terminal: 't', ts: time }
  const event = { id: fields.id, key: 'c', time, fields }
  const record = { source, topic: source, partition: 0, offset, timestampMs: 0, key: 'c', value: '' }
  return { ...record, becomes: source === 'labels' ? 'state' : 'prediction', event, ...more }
}

/** What the judge says of a payment at 20 h that saw labels below `seen`, of labels written before it. */
function problems(
  labels: readonly LoggedInput[],
  seen: number,
  flags: PredictionFlag[] = [],
  disorder: number | null = null,
): string[] {
  const plan = planOf(disorder)
  const payment = record('transactions', 0, 20 * hour, { writtenAfter: labels.length })
  const input = [...labels, payment]
  const value = {
    position: { topic: 'transactions', partition: 0, offset: 0 },
    watermarks: { 'labels:0': seen },
    flags,
  } as unknown as Prediction
  const outputs = { predictions: [{ value }], alerts: [], deadLetters: [] } as unknown as Outputs
  return alignmentProblems(
    plan,
    input,
    fold(input, plan, () => false),
    outputs,
    {},
  )
}

test('a label that stood in the log before the payment and lies in its window had to be read', () => {
  const labels = [record('labels', 0, 15 * hour), record('labels', 1, 18 * hour)]
  expect(problems(labels, 2)).toEqual([])
  expect(problems(labels, 1)).toEqual(['I10: transactions:0:0 risk had not read labels:0:1, unflagged'])
  expect(problems(labels, 1, ['unaligned'])).toEqual([])
})

test('what came later, lies outside the window or is of another terminal was not needed', () => {
  expect(problems([record('labels', 0, 18 * hour + 1)], 0)).toEqual([])
  expect(problems([record('labels', 0, 8 * hour)], 0)).toEqual([])
  const other = record('labels', 0, 15 * hour)
  const event = { ...other.event!, fields: { ...other.event!.fields, terminal: 'other' } }
  expect(problems([{ ...other, event }], 0)).toEqual([])
})

test('a label further out of order than its source promises may be missed; one of a source without order may not', () => {
  const labels = [record('labels', 0, 19 * hour), record('labels', 1, 15 * hour)]
  expect(problems(labels, 1, [], hour)).toEqual([])
  expect(problems(labels, 1, [], 5 * hour)).toHaveLength(1)
  expect(problems(labels, 1)).toHaveLength(1)
})
