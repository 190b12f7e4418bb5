import { expect, test } from 'vitest'
import { invariants, invariantsOf } from './invariants.ts'
import { sabotages } from './sabotage.ts'
import { simulate } from './world.ts'

/** Runs a lie may take to be noticed; the rarest needs about a tenth of them. */
const seedsMax = 1_000
const noticed = new Set<string>()

test.each(Object.entries(sabotages))(
  'the checker notices when %s',
  { timeout: 240_000 },
  async (_, sabotage) => {
    for (let seed = 1; seed <= seedsMax; seed++) {
      const { violations } = await simulate({ seed, depth: 2, sabotage, keep: 0 })
      if (violations.length === 0) continue
      for (const violation of violations) for (const what of invariantsOf(violation)) noticed.add(what)
      return
    }
    expect.fail(`${seedsMax} seeds were green`)
  },
)

test('the lies together break every invariant', () => {
  expect(invariants.filter((invariant) => !noticed.has(invariant))).toEqual([])
})
