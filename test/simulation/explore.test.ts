import { expect, test } from 'vitest'
import { explore, replaySchedule } from './explore.ts'
import { isWhole } from './seeds.ts'

/** Longer: `node scripts/explore.ts --faults 2`. */
test.each([
  { events: 'XZY', depth: 2, faults: 0, delays: 1 },
  ...(isWhole ? [{ events: 'XYX', depth: 1, faults: 1, delays: 0 }] : []),
])(
  'two processes, events $events: no schedule with $faults faults and $delays delays breaks an invariant',
  { timeout: 120_000 },
  async (bounds) => {
    const { violation, exhausted, runs } = await explore({ ...bounds, runsMax: 20_000 })
    if (violation !== null) expect.fail((await replaySchedule(bounds, violation.deviations)).trace)
    expect(exhausted).toBe(true)
    expect(runs).toBeGreaterThan(50)
  },
)

// Three: W is lost, and both the script that began the build and the first with data come again.
test.runIf(isWhole)(
  'watermarks that vanish and scripts that come twice: no schedule with three of them breaks an invariant',
  { timeout: 240_000 },
  async () => {
    const bounds = { events: 'XZY', depth: 1, faults: 3, delays: 0, runsMax: 20_000 }
    const { violation, exhausted } = await explore({ ...bounds, only: /W lost|copy late/ })
    expect(violation).toBeNull()
    expect(exhausted).toBe(true)
  },
)
