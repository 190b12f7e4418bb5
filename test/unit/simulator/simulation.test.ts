import { createHash } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { createFeed } from '../../../src/simulator/feed.ts'
import {
  createSimulation,
  labelDelayMs,
  type Label,
  type SimulatedRecord,
  type SimulationOptions,
  type Transaction,
} from '../../../src/simulator/simulation.ts'

const dayMs = 86_400_000
const startMs = Date.UTC(2026, 0, 31, 15, 7, 3, 21)
const small: SimulationOptions = {
  seed: 7,
  customers: 2_000,
  terminals: 300,
  preloadDays: 30,
  transactionsPerDay: 1_000,
  startMs,
  ratePerSecond: 200,
}

function run(change: Partial<SimulationOptions>, untilMs: number): SimulatedRecord[] {
  return createFeed(createSimulation({ ...small, ...change })).takeUntil(untilMs, Infinity)
}

const bytes = (records: readonly SimulatedRecord[]) =>
  createHash('sha256').update(JSON.stringify(records)).digest('hex')
const transactionsOf = (records: readonly SimulatedRecord[]) =>
  records.flatMap((record) => (record.kind === 'transaction' ? [record] : []))
const labelsOf = (records: readonly SimulatedRecord[]) =>
  records.flatMap((record) => (record.kind === 'label' ? [record] : []))

const month = run({}, startMs + 60_000)
const history = month.filter(({ timestampMs }) => timestampMs < startMs)
const live = month.filter(({ timestampMs }) => timestampMs >= startMs)

describe('a simulation', () => {
  test('with the same options gives the same bytes, with another seed others', () => {
    expect(bytes(run({}, startMs + 60_000))).toBe(bytes(month))
    expect(bytes(run({ seed: 8 }, startMs + 60_000))).not.toBe(bytes(month))
  })

  test('comes in order of record timestamps, one per topic and together', () => {
    expect(month.every((record, i) => i === 0 || record.timestampMs >= month[i - 1]!.timestampMs)).toBe(true)
  })

  test('has exactly the fields of the schemas', () => {
    for (const record of month) {
      const fields = record.kind === 'transaction' ? transactionFields : labelFields
      expect(Object.keys(record.value)).toEqual(fields)
    }
  })

  test('keys transactions by customer and labels by terminal, and stamps them with event and publication time', () => {
    const transactions = transactionsOf(month)
    expect(transactions.map(({ key, timestampMs }) => [key, timestampMs])).toEqual(
      transactions.map(({ value }) => [value.customer, value.ts]),
    )
    const labels = labelsOf(month)
    expect(labels.map(({ key }) => key)).toEqual(labels.map(({ value }) => value.terminal))
    expect(labels.every(({ timestampMs, value }) => timestampMs > value.ts)).toBe(true)
  })

  test('has unique ids, whole positive cents and whole milliseconds', () => {
    const values = transactionsOf(month).map(({ value }) => value)
    expect(new Set(values.map(({ id }) => id)).size).toBe(values.length)
    expect(values.every(({ amountCents }) => Number.isSafeInteger(amountCents) && amountCents > 0)).toBe(true)
    expect(values.every(({ ts }) => Number.isSafeInteger(ts))).toBe(true)
  })
})

describe('history', () => {
  const transactions = transactionsOf(history)

  test('covers the days asked for at the density asked for', () => {
    expect(transactions[0]!.timestampMs).toBeGreaterThanOrEqual(startMs - 30 * dayMs)
    expect(transactions.length / 30).toBeGreaterThan(930)
    expect(transactions.length / 30).toBeLessThan(1_070)
  })

  test('sleeps at night', () => {
    const nightly = transactions.filter(({ value }) => new Date(value.ts).getUTCHours() < 6)
    expect(nightly.length / transactions.length).toBeLessThan(0.1)
    expect(nightly.length).toBeGreaterThan(0)
  })

  test('has about one percent of fraud, of all three patterns', () => {
    const fraud = transactions.filter(({ pattern }) => pattern !== null)
    expect(fraud.length / transactions.length).toBeGreaterThan(0.005)
    expect(fraud.length / transactions.length).toBeLessThan(0.025)
    expect(new Set(fraud.map(({ pattern }) => pattern))).toEqual(new Set(['terminal', 'stolen', 'testing']))
  })

  test('a customer pays at few terminals and around a mean of one’s own', () => {
    const byCustomer = Map.groupBy(
      transactions.filter(({ pattern }) => pattern === null),
      ({ key }) => key,
    )
    const busiest = [...byCustomer.values()].sort((a, b) => b.length - a.length).slice(0, 50)
    for (const payments of busiest) {
      const amounts = payments.map(({ value }) => value.amountCents)
      const mean = amounts.reduce((sum, amount) => sum + amount, 0) / amounts.length
      expect(new Set(payments.map(({ value }) => value.terminal)).size).toBeLessThan(15)
      expect(Math.max(...amounts)).toBeLessThan(3.5 * mean)
    }
  })
})

describe('labels', () => {
  test('join every transaction old enough by id, with its terminal, time and truth', () => {
    const labels = new Map(labelsOf(month).map(({ value }) => [value.id, value]))
    const old = transactionsOf(month).filter(({ value }) => value.ts < startMs - labelDelayMs.max)
    expect(old.length).toBeGreaterThan(10_000)
    for (const { value, pattern } of old) {
      expect(labels.get(value.id)).toEqual({
        id: value.id,
        terminal: value.terminal,
        fraud: pattern !== null,
        ts: value.ts,
      })
    }
  })

  test('come out half a day to six days after the transaction, so all before the delay of seven', () => {
    for (const { value, timestampMs } of labelsOf(month)) {
      expect(timestampMs - value.ts).toBeGreaterThanOrEqual(dayMs / 2 - 1)
      expect(timestampMs - value.ts).toBeLessThan(6 * dayMs)
    }
  })

  test('of the last week of history come out during the live part', () => {
    const late = labelsOf(run({ transactionsPerDay: 2_000, ratePerSecond: 1 }, startMs + 600_000)).filter(
      ({ timestampMs }) => timestampMs >= startMs,
    )
    expect(late.length).toBeGreaterThan(0)
    expect(late.every(({ value }) => value.ts < startMs)).toBe(true)
  })
})

describe('live traffic', () => {
  test('has the rate asked for and goes on in the same world', () => {
    const transactions = transactionsOf(live)
    expect(transactions.length / 60).toBeGreaterThan(180)
    expect(transactions.length / 60).toBeLessThan(220)
    const known = new Set(transactionsOf(history).map(({ value }) => value.terminal))
    expect(transactions.filter(({ value }) => known.has(value.terminal)).length).toBe(transactions.length)
  })

  test('a terminal compromised at the end of history still is', () => {
    const lastDay = transactionsOf(history).filter(({ value }) => value.ts > startMs - dayMs)
    const compromised = new Set(
      lastDay.filter(({ pattern }) => pattern === 'terminal').map(({ value }) => value.terminal),
    )
    const there = transactionsOf(live).filter(({ value }) => compromised.has(value.terminal))
    expect(there.length).toBeGreaterThan(0)
    expect(there.filter(({ pattern }) => pattern !== null).length / there.length).toBeGreaterThan(0.7)
  })

  test('spreads over the customers: the busiest stays far below the density of all', () => {
    const counts = new Map<string, number>()
    for (const { key, pattern } of transactionsOf(live)) {
      if (pattern === null) counts.set(key, (counts.get(key) ?? 0) + 1)
    }
    expect(counts.size).toBeGreaterThan(1_900)
    expect(Math.max(...counts.values())).toBeLessThan(22)
  })

  test('a resumed run skips history and the pause, and repeats no id', () => {
    const resumeMs = startMs + 5 * dayMs
    const resumed = run({ resumeMs }, resumeMs + 60_000)
    expect(resumed[0]!.timestampMs).toBeGreaterThanOrEqual(resumeMs)
    const ids = new Set(transactionsOf(month).map(({ value }) => value.id))
    expect(transactionsOf(resumed).filter(({ value }) => ids.has(value.id))).toEqual([])
    expect(transactionsOf(resumed).length).toBeGreaterThan(60 * 180)
    const labelled = labelsOf(resumed).map(({ value }) => value.id)
    expect(labelled.every((id) => ids.has(id))).toBe(true)
  })
})

const transactionFields: (keyof Transaction)[] = ['id', 'customer', 'terminal', 'amountCents', 'ts']
const labelFields: (keyof Label)[] = ['id', 'terminal', 'fraud', 'ts']
