import { expect, test } from 'vitest'
import { createApplier } from '../../../src/pipeline/apply.ts'
import { sourceOf } from '../../../src/pipeline/partition-context.ts'
import { PartitionMemory } from '../../../src/pipeline/partition-memory.ts'
import type { Event } from '../../../src/record/event.ts'
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
    const raw = { topic: 'tx', partition: 0, offset, timestamp: 0, key: null, value: null, headers: {} }
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
