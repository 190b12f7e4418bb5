import { expect, test } from 'vitest'
import { createApplier } from '../../../src/pipeline/apply.ts'
import { sourceOf } from '../../../src/pipeline/partition-context.ts'
import { PartitionMemory } from '../../../src/pipeline/partition-memory.ts'
import type { Event } from '../../../src/record/event.ts'
import { load, topology } from '../topology/written.ts'
import { settings } from '../../simulation/small-settings.ts'
import { allowedLatenessMs, outOfOrderMs, planOf } from '../../simulation/topology.ts'

const plan = planOf({ ...settings, merged: true })
const source = sourceOf(plan, plan.featuresSpec.scored)

/** Flags of events at these times, one after another, when others' parts are kept for events from `keptSince` on. */
function flagsOf(keptSince: number, ...times: readonly number[]): readonly (readonly string[])[] {
  const memory = new PartitionMemory(plan.features, 1, () => 0)
  const applier = createApplier({
    plan,
    source,
    memory,
    committedTime: () => null,
    slowestReaderTime: () => null,
    storedBelow: () => 0,
    gapUntil: null,
  })
  return times.map((time, offset) => {
    const raw = { topic: 'tx', partition: 0, offset, timestamp: 0, key: null, value: null, headers: [] }
    const fields = { customer: 'c', terminal: 't', amount: 1, fraud: false }
    const event: Event = { id: String(offset), key: 'c', time, fields, raw }
    for (const layout of applier.fed) {
      const key = plan.features.entityKey(layout, event)
      if (key !== null) memory.put(layout, key, null)
    }
    const applied = applier.apply(event, { of: () => [], gapUntil: () => null, keptSince })
    return applied !== null && 'flags' in applied ? applied.flags : []
  })
}

test('an event whose windows reach what may have expired at the others is flagged, the next one is not', () => {
  expect(flagsOf(50_000, 49_999, 50_000)).toEqual([['gap'], []])
})

test('a late event sees no further back than one that is just on time', () => {
  const oldest = 60_000 - outOfOrderMs - allowedLatenessMs
  expect(flagsOf(oldest, 60_000, oldest - 1_000)).toEqual([[], ['late']])
  expect(flagsOf(oldest + 1, 60_000, oldest - 1_000)).toEqual([[], ['late', 'gap']])
})

/** What becomes of one event of a source of a topology whose condition reads a text as a number, and what is told. */
function outcomeOf(onError: string, source: 'transactions' | 'labels', customer: string) {
  const odd = load(
    `${topology(
      ['where: amountCents < 500', 'where: int(customer) < 500'],
      ['where: fraud', 'where: fraud && int(id) > 0'],
    )}expressions: {onError: ${onError}}\n`,
  )
  const memory = new PartitionMemory(odd.features, 1, () => 0)
  const told: string[] = []
  const applier = createApplier({
    plan: odd,
    source: sourceOf(odd, source),
    memory,
    committedTime: () => null,
    slowestReaderTime: () => null,
    storedBelow: () => 0,
    gapUntil: null,
    failed: (place, message) => told.push(`${place}: ${message}`),
  })
  const raw = { topic: 'in', partition: 0, offset: 0, timestamp: 0, key: null, value: null, headers: [] }
  const fields = { id: customer, customer, terminal: 't', amountCents: 1, fraud: true, ts: 5 }
  const event: Event = { id: customer, key: customer, time: 5, fields, raw }
  for (const layout of applier.fed) memory.put(layout, odd.features.entityKey(layout, event) ?? '', null)
  const foreign = { of: () => [], gapUntil: () => null, keptSince: -Infinity }
  return { applied: applier.apply(event, foreign), told }
}

test('an expression in error flags the row and is told of; one that works does neither', () => {
  expect(outcomeOf('missing', 'transactions', 'abc')).toMatchObject({
    applied: { flags: ['expression-error'] },
    told: ['features.small_10m.where: int() cannot read this text'],
  })
  expect(outcomeOf('missing', 'transactions', '7')).toMatchObject({ applied: { flags: [] }, told: [] })
})

test('with onError: dead-letter it makes a dead letter that names the expression', () => {
  expect(outcomeOf('dead-letter', 'transactions', 'abc').applied).toMatchObject({
    rejected: true,
    reason: 'EXPRESSION',
    stage: 'feature',
    message: 'expression features.small_10m.where: int() cannot read this text',
  })
  expect(outcomeOf('dead-letter', 'transactions', '7').applied).toMatchObject({ flags: [] })
})

test('errors on events of a state source are told of too, and made dead letters by the same policy', () => {
  expect(outcomeOf('missing', 'labels', 'abc')).toEqual({
    applied: null,
    told: ['features.fraud_7d.where: int() cannot read this text'],
  })
  expect(outcomeOf('dead-letter', 'labels', 'abc').applied).toMatchObject({ reason: 'EXPRESSION' })
})
