import { kill, now, pause } from '../acts.ts'
import type { Scenario } from '../scenario.ts'
import { dropParts, flushedTo } from './lost-state.ts'
import { labelled, oneBroker, smallCache, smallSlices } from './settings.ts'

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
      'nothing is written for longer than store.outageMax, all parts are gone, then a process is killed (times from the kill)',
    covers: ['time-outage'],
    topology: { ...smallSlices, store: { outageMax: '1m' } }, // the least there is
    rounds: 1,
    inject: async (world, random) => {
      const { rate } = world.traffic
      world.traffic.rate = 0
      await pause(50_000)
      const lines = world.running.map(({ process }) => [process, process.lines.length] as const)
      // As their expiry would later; W says nothing of it. Who owns them still has them in memory.
      await dropParts(world)
      await pause(12_000)
      const injected = await kill(world, random, '62 s without events')
      world.traffic.rate = rate
      const rebuilt = (): boolean =>
        lines.some(([process, from]) =>
          process.lines.slice(from).some(({ detail = '' }) => detail.startsWith('rebuilding')),
        )
      return { ...injected, mended: async () => rebuilt() }
    },
  },
  {
    ...base,
    name: 'slow-labels',
    summary:
      'labels stand still while transactions go on, a process is killed meanwhile (times from the end)',
    covers: ['time-labels'],
    topology: smallCache,
    ...labelled,
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
