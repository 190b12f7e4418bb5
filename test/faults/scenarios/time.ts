import { kill, now, pause } from '../acts.ts'
import type { Scenario } from '../scenario.ts'
import { flushedTo } from './lost-state.ts'
import { oneBroker, smallCache, smallSlices } from './settings.ts'

const base = { group: 'time', stack: oneBroker, processes: 2, topology: smallSlices } as const
const stepMs = 3_000

export const timeScenarios: readonly Scenario[] = [
  {
    ...base,
    name: 'bulk-after-outage',
    summary: 'all processes are killed; when they start again some 4 000 records wait (times from the start)',
    covers: ['time-bulk'],
    inject: async (world, random) => {
      await Promise.all(world.running.map((seat) => seat.kill()))
      await pause(1_000 + random.below(2_000))
      await world.traffic.burst(3_000)
      const at = now()
      await world.refill()
      return { what: 'all killed, a bulk upload, all started', at }
    },
  },
  {
    ...base,
    name: 'late-around-rebuild',
    summary: 'FLUSHALL, with every tenth event up to two hours late',
    covers: ['time-late'],
    topology: smallCache,
    traffic: { lateShare: 0.1, stepMs },
    inject: async (world, random) => {
      await pause(random.below(500))
      await world.redis.flushAll()
      const at = now()
      return { what: 'FLUSHALL among late events', at, mended: () => flushedTo(world, at) }
    },
  },
  {
    ...base,
    name: 'outage-beyond-margin',
    summary:
      'nothing is written for longer than store.outageMax, then a process is killed (times from the kill)',
    covers: ['time-outage'],
    topology: { ...smallSlices, store: { outageMax: '1m' } }, // the least there is
    rounds: 1,
    inject: async (world, random) => {
      const { rate } = world.traffic
      world.traffic.rate = 0
      await pause(62_000)
      const injected = await kill(world, random, '62 s without events')
      world.traffic.rate = rate
      return injected
    },
  },
  {
    ...base,
    name: 'slow-labels',
    summary:
      'labels stand still while transactions go on, a process is killed meanwhile (times from the end)',
    covers: ['time-labels'],
    topology: smallCache,
    rate: 100,
    traffic: { labels: true, lateShare: 0, customers: 40, terminals: 60, stepMs: 2_700_000 },
    inject: async (world, random) => {
      world.traffic.holdLabels()
      await pause(1_000 + random.below(2_000))
      const { what } = await kill(world, random, 'labels held')
      await pause(random.below(2_000))
      const at = now()
      await world.traffic.releaseLabels()
      return { what, at }
    },
  },
]
