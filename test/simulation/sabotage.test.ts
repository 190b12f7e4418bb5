import { expect, test } from 'vitest'
import { invariants, invariantsOf } from './invariants.ts'
import { sabotages, type Sabotage } from './sabotage.ts'
import { simulate } from './world.ts'

/** Runs a lie may take to be noticed; the rarest needs about a tenth of them. */
const seedsMax = 1_000
const noticed = new Set<string>()

async function isNoticed(sabotage: Sabotage, seed: number): Promise<boolean> {
  const { violations } = await simulate({ seed, depth: 2, sabotage, keep: 0 })
  for (const violation of violations) for (const what of invariantsOf(violation)) noticed.add(what)
  return violations.length > 0
}

test.each(Object.entries(sabotages))(
  'the checker notices when %s',
  { timeout: 240_000 },
  async (_, sabotage) => {
    for (let seed = 1; seed <= seedsMax; seed++) if (await isNoticed(sabotage, seed)) return
    expect.fail(`${seedsMax} seeds were green`)
  },
)

test('the lies together break every invariant', { timeout: 240_000 }, async () => {
  const unbroken = (): readonly string[] => invariants.filter((invariant) => !noticed.has(invariant))
  // The first red run of a lie shows what it breaks first; other runs show other things.
  for (let seed = 1; seed <= 50 && unbroken().length > 0; seed++) {
    for (const sabotage of Object.values(sabotages)) await isNoticed(sabotage, seed)
  }
  expect(unbroken()).toEqual([])
})
