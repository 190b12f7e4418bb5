import { armed, killAt, now, pause, reached, restartOther, stopAt, type Point } from '../acts.ts'
import type { Injected, Scenario } from '../scenario.ts'
import { isCommit } from '../wire/kafka-requests.ts'
import { oneBroker, smallSlices } from './settings.ts'

const base = { group: 'zombie', stack: oneBroker, processes: 3, topology: smallSlices } as const

/** Stopped at a point of every slice until others have taken over, then woken up. */
function atPoint(name: string, summary: string, id: string, point: Point): Scenario {
  return {
    ...base,
    name,
    summary,
    covers: [id],
    mixes: true,
    inject: async (world, random) => {
      await pause(random.below(300))
      return stopAt(world, await world.victim(random), point, random)
    },
  }
}

export const zombieScenarios: readonly Scenario[] = [
  atPoint(
    'sleep-before-send',
    'SIGSTOP with a transaction begun and nothing sent; SIGCONT when others own',
    'zombie-send',
    {
      server: 'kafka',
      on: 'AddPartitionsToTxn',
      at: 'reply',
    },
  ),
  atPoint(
    'sleep-before-commit',
    'SIGSTOP with everything sent but the commit; SIGCONT when others own',
    'zombie-commit',
    {
      server: 'kafka',
      on: 'Produce', // under way at the same time as the offset, and takes longer
      at: 'reply',
    },
  ),
  atPoint(
    'sleep-before-flush',
    'SIGSTOP with a commit acknowledged and not flushed; SIGCONT when others own',
    'zombie-flush',
    {
      server: 'kafka',
      on: 'EndTxn',
      at: 'reply',
      where: ({ bytes }) => isCommit(bytes) === true,
    },
  ),
  {
    ...base,
    name: 'late-claim',
    summary: 'SIGSTOP just before a claim, which is made when others already serve',
    covers: ['zombie-late-claim'],
    inject: async (world, random) => {
      const seat = await world.victim(random)
      const point = { server: 'kafka', on: 'SyncGroup', at: 'reply', nthMax: 1 } as const
      return stopAt(world, seat, point, random, () => restartOther(world, seat, random))
    },
  },
  {
    ...base,
    name: 'late-flush',
    summary: "a dead owner's flush script arrives after its successor has flushed",
    covers: ['zombie-late-flush'],
    mixes: true,
    inject: async (world, random): Promise<Injected> => {
      await pause(random.below(300))
      const seat = await world.victim(random)
      const { name } = seat
      const affected = seat.partitions(world.topic)
      const { promise: released, resolve: release } = Promise.withResolvers<void>()
      const point = { server: 'redis', on: 'millraceFlush', at: 'request' } as const
      const held = armed(seat, point, { kind: 'hold', until: released }, random)
      await reached(world, held, 'a flush is held')
      await seat.kill()
      const at = now()
      return {
        what: `SIGKILL of ${name} with a flush on its way`,
        at,
        affected,
        heal: async () => {
          await pause(1_100) // the successor flushes every second
          release()
          await seat.start()
        },
      }
    },
  },
  {
    ...base,
    name: 'late-load-kill',
    summary: 'SIGKILL of the successor as well, while it takes over from a killed owner',
    covers: ['crash-claim', 'rebalance-twice'],
    inject: async (world, random) => {
      const first = await world.victim(random)
      await first.kill()
      const seat = await world.victim(random)
      const point = { server: 'kafka', on: 'InitProducerId', at: 'reply', nthMax: 1 } as const
      return killAt(world, seat, point, random, { trigger: async () => void first.start() })
    },
  },
]
