import { expect, test } from 'vitest'
import { differential } from './run.ts'
import { sabotages } from './sabotage.ts'

/** Runs a lie may take to be noticed; the rarest needs about a tenth of them. */
const seedsMax = 400

test.each(Object.entries(sabotages))(
  'the comparison notices when %s',
  { timeout: 60_000 },
  async (_, sabotage) => {
    for (let seed = 1; seed <= seedsMax; seed++) {
      const lied = await differential({ seed }, { sabotage })
      if (lied.problems.length === 0) continue
      const honest = await differential({ seed })
      if (honest.problems.length === 0) return
    }
    expect.fail(`${seedsMax} seeds were green`)
  },
)
