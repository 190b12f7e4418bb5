import { expect, test } from 'vitest'
import { explore, replaySchedule } from './explore.ts'
import { isWhole } from './seeds.ts'

/** Longer: `node scripts/explore.ts --faults 2`. */
test.each([
  { events: 'XZY', depth: 2, faults: 0, delays: 1 },
  ...(isWhole ? [{ events: 'XYX', depth: 1, faults: 1, delays: 0 }] : []),
])(
  'two processes, events $events: no schedule with $faults faults and $delays delays breaks an invariant',
  { timeout: 600_000 },
  async (bounds) => {
    const { violation, exhausted, runs } = await explore({ ...bounds, runsMax: 20_000 })
    if (violation !== null) expect.fail((await replaySchedule(bounds, violation.deviations)).trace)
    expect(exhausted).toBe(true)
    expect(runs).toBeGreaterThan(50)
  },
)
