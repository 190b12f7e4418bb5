import type { Random } from '../../../src/simulator/random.ts'
import { kill, killAt, pause, restartOther, sinceClaim, type Point } from '../acts.ts'
import type { FaultWorld } from '../fault-world.ts'
import type { Injected, Scenario } from '../scenario.ts'
import type { Seat } from '../seat.ts'
import { isCommit } from '../wire/kafka-requests.ts'
import { labelled, oneBroker, smallCache, smallSlices } from './settings.ts'

const base = { group: 'crash', stack: oneBroker, processes: 3, topology: smallSlices } as const

/** SIGKILL while serving, at a point that every slice passes. */
function atPoint(name: string, summary: string, id: string, point: Point, drop = false): Scenario {
  return {
    ...base,
    name,
    summary,
    covers: [id],
    mixes: true,
    inject: async (world, random) => {
      await pause(random.below(300))
      return killAt(world, await world.victim(random), point, random, { drop })
    },
  }
}

/** SIGKILL while taking partitions over, which another process has just left. */
function inTakeover(name: string, summary: string, id: string, point: Point, empty = false): Scenario {
  return {
    ...base,
    name,
    summary,
    covers: [id],
    inject: async (world, random) => {
      const seat = await world.victim(random)
      const where = sinceClaim(seat)
      const trigger = async (): Promise<void> => {
        if (empty) await world.redis.flushAll()
        await restartOther(world, seat, random)
      }
      return killAt(world, seat, { nthMax: 2, where, ...point }, random, { trigger })
    },
  }
}

async function killAnywhere(world: FaultWorld, random: Random): Promise<Injected> {
  await pause(random.below(500))
  return kill(world, random)
}

export const crashScenarios: readonly Scenario[] = [
  {
    ...base,
    name: 'kill-anywhere',
    summary: 'SIGKILL at a random moment; the process starts again at once',
    covers: ['crash-anywhere'],
    mixes: true,
    inject: killAnywhere,
  },
  {
    ...base,
    name: 'kill-many-entities',
    summary: 'SIGKILL at a random moment, with more windows than fit the cache',
    covers: ['crash-anywhere'],
    topology: smallCache,
    traffic: { customers: 4_000, stepMs: 300 },
    inject: killAnywhere,
  },
  {
    ...base,
    name: 'kill-merged',
    summary:
      'SIGKILL at a random moment, with labels and features merged over all partitions, which must be complete',
    covers: ['crash-anywhere'],
    topology: smallCache,
    ...labelled,
    // A dead owner of labels counts as caught up for 5 s: these may not be longer than the delay of the features (7 days)
    // less the age of labels (3 days).
    traffic: { ...labelled.traffic, stepMs: 600_000 },
    check: { complete: true },
    inject: killAnywhere,
  },
  {
    ...base,
    name: 'kill-defaults',
    summary: "SIGKILL at a random moment, with the product's default session timeout",
    covers: ['crash-anywhere'],
    topology: { ...smallSlices, kafka: { sessionTimeout: null } },
    inject: killAnywhere,
  },
  {
    ...base,
    name: 'kill-named',
    summary: 'SIGKILL of a process with an instance name, whose successor sends it away',
    covers: ['crash-anywhere'],
    named: true,
    topology: { ...smallSlices, kafka: { sessionTimeout: null } },
    inject: killAnywhere,
  },
  inTakeover('kill-after-claim', 'SIGKILL after the claim', 'crash-claim', {
    server: 'kafka',
    on: 'InitProducerId',
    at: 'reply',
  }),
  inTakeover('kill-after-position', 'SIGKILL after reading c', 'crash-position', {
    server: 'kafka',
    on: 'OffsetFetch',
    at: 'reply',
  }),
  inTakeover(
    'kill-in-replay',
    'SIGKILL while state is re-applied (Redis was emptied)',
    'crash-replay',
    { server: 'redis', on: 'millraceLoad', at: 'reply', nthMax: 1 },
    true,
  ),
  {
    ...atPoint('kill-after-load', 'SIGKILL after parts were loaded', 'crash-load', {
      server: 'redis',
      on: 'millraceLoad',
      at: 'reply',
    }),
    // Parts stay in memory: there has always to be a customer that is new.
    topology: smallCache,
    traffic: { customers: 20_000, stepMs: 300 },
  },
  atPoint('kill-after-send', 'SIGKILL when the outputs have reached the broker', 'crash-send', {
    server: 'kafka',
    on: 'Produce',
    at: 'forwarded',
  }),
  atPoint('kill-after-offsets', 'SIGKILL after the offsets were sent', 'crash-offsets', {
    server: 'kafka',
    on: 'TxnOffsetCommit',
    at: 'reply',
  }),
  atPoint(
    'kill-before-commit',
    'SIGKILL before the commit reaches the broker',
    'crash-before-commit',
    { server: 'kafka', on: 'EndTxn', at: 'request', where: ({ bytes }) => isCommit(bytes) === true },
    true,
  ),
  atPoint('kill-in-commit', 'SIGKILL when the broker has the commit, before its reply', 'crash-commit', {
    server: 'kafka',
    on: 'EndTxn',
    at: 'forwarded',
    where: ({ bytes }) => isCommit(bytes) === true,
  }),
  atPoint(
    'kill-before-flush',
    'SIGKILL after the commit was acknowledged, before the flush',
    'crash-before-flush',
    { server: 'redis', on: 'millraceFlush', at: 'request' },
    true,
  ),
  atPoint('kill-in-flush', 'SIGKILL while the flush script runs', 'crash-in-script', {
    server: 'redis',
    on: 'millraceFlush',
    at: 'forwarded',
  }),
  {
    ...base,
    name: 'kill-in-revoke',
    summary: 'SIGKILL between giving partitions up and joining again',
    covers: ['crash-revoke'],
    inject: async (world, random) => {
      const seat = await world.victim(random)
      const point = { server: 'kafka', on: 'JoinGroup', at: 'request', nthMax: 1 } as const
      const trigger = (): Promise<void> => restartOther(world, seat, random)
      return killAt(world, seat, point, random, { trigger, drop: true })
    },
  },
  {
    ...base,
    name: 'kill-while-revoking',
    summary:
      'SIGKILL while partitions are given up: the last slice is committed, its changes are not flushed',
    covers: ['crash-revoke'],
    inject: (world, random) => killedGivingUp(world, random, (seat) => restartOther(world, seat, random)),
  },
  {
    ...base,
    name: 'kill-while-draining',
    summary: 'SIGKILL while draining after SIGTERM: the last slice is committed, its changes are not flushed',
    covers: ['crash-revoke'],
    inject: (world, random) => killedGivingUp(world, random, terminate),
  },
  {
    ...base,
    name: 'kill-in-drain',
    summary: 'SIGKILL after draining, as it leaves the group',
    covers: ['crash-revoke'],
    inject: async (world, random) => {
      const seat = await world.victim(random)
      const point = { server: 'kafka', on: 'LeaveGroup', at: 'request', nthMax: 1 } as const
      return killAt(world, seat, point, random, { trigger: () => terminate(seat), drop: true })
    },
  },
]

/** SIGTERM; its end is not waited for. */
async function terminate(seat: Seat): Promise<void> {
  seat.isEnding = true
  seat.process.signal('SIGTERM')
}

/** SIGKILL at a flush of partitions that are given up, which `trigger` brings about. */
async function killedGivingUp(
  world: FaultWorld,
  random: Random,
  trigger: (seat: Seat) => Promise<void>,
): Promise<Injected> {
  await pause(random.below(300))
  const seat = await world.victim(random)
  const where = (): boolean => seat.partitions(world.topic, ['draining']).length > 0
  const point = { server: 'redis', on: 'millraceFlush', at: 'request', where, nthMax: 1 } as const
  return killAt(world, seat, point, random, { trigger: () => trigger(seat), drop: true })
}
