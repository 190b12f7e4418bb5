import { expect, test } from 'vitest'
import { replayCommand } from './cases.ts'
import { sabotages } from './sabotage.ts'
import { shrink } from './shrink.ts'
import { simulate } from './world.ts'

const seed = 7

test('a seed gives the same run every time', async () => {
  const runs = [await simulate({ seed, depth: 2 }), await simulate({ seed, depth: 2 })]
  expect(runs[0]?.trace.last(400)).toBe(runs[1]?.trace.last(400))
})

test('the faults and records of a run, given one by one, give the same run', async () => {
  const drawn = await simulate({ seed, depth: 2 })
  expect(drawn.faults.length).toBeGreaterThan(5)
  const { faults, events } = drawn
  const given = await simulate({ seed, depth: 2, faults, events })
  expect(given.trace.last(400)).toBe(drawn.trace.last(400))
})

test('a red run is made smaller, and what is left is still red', { timeout: 60_000 }, async () => {
  const sabotage = sabotages['a claim fences nobody']!
  const which = { seed: await firstRed(sabotage), depth: 2 }
  const before = await simulate({ ...which, sabotage, keep: 0 })
  const smaller = await shrink(which, { sabotage })
  const after = await simulate({ ...smaller, sabotage, keep: 0 })
  expect(after.violations[0]?.split(':')[0]).toBe(before.violations[0]?.split(':')[0])
  expect(after.faults.length).toBeLessThan(before.faults.length)
  expect(after.events.length).toBeLessThan(before.events.length)
  expect(replayCommand(smaller)).toContain('--case')
})

async function firstRed(sabotage: (typeof sabotages)[string]): Promise<number> {
  for (let seed = 1; ; seed++) {
    const { violations, faults } = await simulate({ seed, depth: 2, sabotage, keep: 0 })
    if (violations.length > 0 && faults.length > 5) return seed
  }
}
