import { expect, test } from 'vitest'
import { explore } from './explore.ts'
import { isWhole } from './seeds.ts'

// Three: W is lost, and both the script that began the build and the first with data come again.
test.runIf(isWhole)(
  'watermarks that vanish and scripts that come twice: no schedule with three of them breaks an invariant',
  { timeout: 600_000 },
  async () => {
    const bounds = { events: 'XZY', depth: 1, faults: 3, delays: 0, runsMax: 20_000 }
    const { violation, exhausted } = await explore({ ...bounds, only: /W lost|copy late/ })
    expect(violation).toBeNull()
    expect(exhausted).toBe(true)
  },
)
