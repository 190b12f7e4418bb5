import { now, pause, restartOther, killAt, alive } from '../acts.ts'
import type { FaultWorld } from '../fault-world.ts'
import type { Injected, Scenario } from '../scenario.ts'
import type { Random } from '../../../src/simulator/random.ts'
import { transactionalIdOf } from '../wire/kafka-requests.ts'
import { oneBroker, smallSlices } from './settings.ts'

const base = { group: 'rebalance', stack: oneBroker, processes: 3, topology: smallSlices } as const

/** SIGTERM and a new process, `times` in a row. */
async function restarts(world: FaultWorld, random: Random, times: number): Promise<Injected> {
  await pause(random.below(300))
  const at = now()
  for (let i = 0; i < times; i++) {
    await restartOther(world, await world.victim(random), random)
    await pause(random.below(400))
  }
  return { what: `${times} processes replaced by SIGTERM`, at }
}

/** A partition that is idle but for the records of one customer, written by the scenario. */
const idlePartition = 3

export const rebalanceScenarios: readonly Scenario[] = [
  {
    ...base,
    name: 'hand-over',
    summary: 'SIGTERM of one process under load, and a new one: rebalances in the middle of slices',
    covers: ['rebalance-slice'],
    mixes: true,
    inject: (world, random) => restarts(world, random, 1),
  },
  {
    ...base,
    name: 'hand-over-twice',
    summary: 'two processes replaced, one right after the other',
    covers: ['rebalance-twice'],
    mixes: true,
    inject: (world, random) => restarts(world, random, 2),
  },
  {
    ...base,
    name: 'rebalance-storm',
    summary: 'five processes replaced as fast as they start',
    covers: ['rebalance-storm'],
    processes: 4,
    inject: (world, random) => restarts(world, random, 5),
  },
  {
    ...base,
    name: 'rebalance-in-replay',
    summary: 'Redis is emptied, partitions change hands, and once more while state is re-applied',
    covers: ['rebalance-replay'],
    inject: async (world, random) => {
      const seat = await world.victim(random)
      await world.redis.flushAll()
      const at = now()
      const before = world.seats.map((one) => one.process.lines.length)
      await restartOther(world, seat, random)
      await world.until('state is re-applied', () =>
        world.seats.some(
          (one, i) =>
            one.isRunning && one.process.lines.slice(before[i]).some(({ status }) => status === 'replaying'),
        ),
      )
      await restartOther(world, seat, random)
      return { what: 'Redis emptied, two processes replaced', at }
    },
  },
  {
    ...base,
    name: 'idle-open-transaction',
    summary:
      'the owner of an idle partition dies with a transaction open on it; readers may not wait for the next event',
    covers: ['rebalance-idle'],
    idle: [idlePartition],
    traffic: { partitions: idlePartition }, // the others
    inject: async (world, random) => {
      const owner = world.running.find((seat) => seat.partitions(world.topic, alive).includes(idlePartition))
      if (owner === undefined) throw new Error('nobody owns the idle partition')
      const key = 'the-idle-one'
      const record = { ...world.traffic.one({ customer: key }), partition: idlePartition, key }
      const point = {
        server: 'kafka',
        on: 'TxnOffsetCommit',
        at: 'reply',
        nthMax: 1,
        where: ({ bytes }: { bytes: Buffer }) =>
          transactionalIdOf(bytes)?.endsWith(`${idlePartition}`) === true,
      } as const
      const trigger = (): Promise<void> => world.traffic.write([record])
      return { ...(await killAt(world, owner, point, random, { trigger })), affected: [idlePartition] }
    },
  },
]
