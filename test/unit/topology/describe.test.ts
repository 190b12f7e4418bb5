import { expect, test } from 'vitest'
import { bytesPerEvent, describePlan, formatDescription } from '../../../src/topology/describe.ts'
import { topicsOf } from '../../../src/service/topics.ts'
import { interval } from '../../../src/topology/windows.ts'
import { load, topology } from './written.ts'

const dayMs = 86_400_000

test.each([
  ['(t − 1d, t]', { windowMs: dayMs, delayMs: 0, edges: '(]', current: true }],
  ['(t − 7d − 1d, t − 7d]', { windowMs: dayMs, delayMs: 7 * dayMs, edges: '(]', current: true }],
  ['[t − 10m, t)', { windowMs: 600_000, delayMs: 0, edges: '[)', current: false }],
  ['(t − 1d, t] without the event', { windowMs: dayMs, delayMs: 0, edges: '(]', current: false }],
] as const)('a window is printed as %s', (expected, window) => {
  expect(interval(window)).toBe(expected)
})

test('bytes per event are those of the stored form', () => {
  const { features } = load(topology())
  for (const layout of features.layouts) {
    const raw = { topic: 'in', partition: 0, offset: 0, timestamp: 0, key: null, value: null, headers: [] }
    const fields = { customer: 'c', terminal: 't', amountCents: 1, ts: 0, fraud: true }
    const sizes = [1, 2].map((count) => {
      const part = features.newPart(layout)
      for (let i = 0; i < count; i++)
        features.insert(layout, part, { id: '', key: '', time: i, fields, raw: { ...raw, offset: i } })
      return features.encode(layout, part, count).length
    })
    expect(sizes[1]! - sizes[0]!).toBe(bytesPerEvent(layout.columns))
  }
})

test('the description names every source, feature, input, output and both hashes', () => {
  const plan = load(topology())
  const text = formatDescription(describePlan(plan))
  const names = [
    ...plan.sources.flatMap(({ name, topic }) => [name, topic]),
    ...plan.features.names,
    'out',
    'alerts',
    'dlq.in, dlq.labels',
    plan.model.vectorHash,
    plan.stateHash,
    'decline, approve',
    'testing (high)',
  ]
  for (const name of names) expect(text).toContain(name)
  expect(text).toContain(
    'fraud_7d   (t − 7d − 7d, t − 7d]  count where fraud over terminal from labels, else 0',
  )
})

const unread: readonly (readonly [string, string])[] = [
  ['from: labels\n    aggregate: count\n    where: fraud', 'aggregate: count'],
]

test('a state source that no feature reads is for training alone, and described as that', () => {
  const plan = load(topology(...unread))
  expect(plan.sources.map(({ name }) => name)).toEqual(['transactions'])
  expect(plan.labelSources.map(({ name }) => name)).toEqual(['labels'])
  expect(formatDescription(describePlan(plan))).toMatch(
    /labels +labels only +labels +read by `replay --labels`; not when serving/,
  )
  expect(topicsOf(plan, 1).map(({ topic }) => topic)).toContain('labels')
})

test('a source that only training reads changes no hash: no model is refused, no state rebuilt', () => {
  const source =
    '  labels:\n    role: state\n    topic: labels\n    codec: {json: ../schemas/label.schema.json}\n    id: id\n    key: terminal\n    time: ts\n'
  const plan = load(topology(...unread))
  const without = load(topology(...unread, [source, '']))
  expect(without.sources).toHaveLength(1)
  expect(without.model.vectorHash).toBe(plan.model.vectorHash)
  expect(without.stateHash).toBe(plan.stateHash)
})

test('programs find the vector hash and the order of the inputs where training looks for them', () => {
  const plan = load(topology())
  const described = JSON.parse(JSON.stringify(describePlan(plan))) as unknown
  expect(described).toMatchObject({
    vectorHash: plan.model.vectorHash,
    model: {
      definitions: plan.model.definitions,
      inputs: [{ name: 'x', features: ['amount', 'night', 'count_1d', 'fraud_7d'] }],
    },
  })
})
