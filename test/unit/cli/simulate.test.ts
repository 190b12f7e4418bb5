import { describe, expect, test } from 'vitest'
import { simulateCommand, targetOf, wholeNumber } from '../../../src/cli/simulate.ts'
import { simulationDefaults } from '../../../src/simulator/simulation.ts'
import type { Plan } from '../../../src/topology/plan.ts'

const options = { rate: 1, preloadDays: 1, perDay: 1, customers: 1, terminals: 1, seed: 1 }
const plan = {
  kafka: { brokers: ['k1:9092'], clientId: 'c', group: 'fraud' },
  sources: [
    { name: 'transactions', role: 'score', topic: 'tx', codec: { kind: 'json' } },
    { name: 'labels', role: 'state', topic: 'lb', codec: { kind: 'json' } },
  ],
  labelSources: [],
} as unknown as Plan

describe('where a simulation writes', () => {
  test('without anything: this machine, the names of the shipped topology', () => {
    const { kafka, topics } = targetOf(options, null)
    expect(kafka.brokers).toEqual(['127.0.0.1:9092'])
    expect(topics).toEqual({ transactions: 'card.transactions', labels: 'card.labels' })
  })

  test('with a topology: its brokers and the topics of its sources', () => {
    const { kafka, topics } = targetOf(options, plan)
    expect(kafka).toBe(plan.kafka)
    expect(topics).toEqual({ transactions: 'tx', labels: 'lb' })
  })

  test('labels that no feature reads are written all the same: training needs them', () => {
    const [scored, state] = plan.sources
    const { topics } = targetOf(options, { ...plan, sources: [scored!], labelSources: [state!] })
    expect(topics).toEqual({ transactions: 'tx', labels: 'lb' })
  })

  test('options win', () => {
    const { kafka, topics } = targetOf({ ...options, brokers: 'a:1, b:2', labelsTopic: 'other' }, plan)
    expect(kafka).toMatchObject({ brokers: ['a:1', 'b:2'], group: 'fraud' })
    expect(topics).toEqual({ transactions: 'tx', labels: 'other' })
  })

  test('an Avro source and one of framed JSON are refused, because plain JSON is all it writes', () => {
    const avro = {
      ...plan,
      sources: [{ name: 'tx', role: 'score', codec: { kind: 'avro' } }],
    } as unknown as Plan
    expect(() => targetOf(options, avro)).toThrow(/source tx is not plain JSON/)
    const framed = {
      ...avro,
      sources: [{ name: 'tx', role: 'score', codec: { kind: 'json', framed: {} } }],
    } as unknown as Plan
    expect(() => targetOf(options, framed)).toThrow(/source tx is not plain JSON/)
  })
})

test('the defaults of the command are those of the demo', () => {
  const command = simulateCommand(() => Promise.reject(new Error('not loaded')))
  expect(command.opts()).toEqual({
    rate: simulationDefaults.ratePerSecond,
    preloadDays: simulationDefaults.preloadDays,
    perDay: simulationDefaults.transactionsPerDay,
    customers: simulationDefaults.customers,
    terminals: simulationDefaults.terminals,
    seed: simulationDefaults.seed,
  })
})

test('a number option takes whole numbers within its bounds only', () => {
  const parse = wholeNumber(1, 10)
  expect([parse('1'), parse('10')]).toEqual([1, 10])
  for (const text of ['0', '11', '1.5', '-1', '', 'x', '1e1'])
    expect(() => parse(text)).toThrow(/from 1 to 10/)
})
