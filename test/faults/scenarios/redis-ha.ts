import type { Random } from '../../../src/simulator/random.ts'
import { now, pause } from '../acts.ts'
import type { FaultWorld } from '../fault-world.ts'
import type { Injected, Scenario } from '../scenario.ts'
import type { ClusterServers } from '../../support/redis/cluster.ts'
import type { SentinelServers } from '../../support/redis/sentinel.ts'
import { flushedTo, offsetsApart } from './lost-state.ts'
import { smallCache, withCluster, withSentinel } from './settings.ts'

const base = { group: 'redis', processes: 2, topology: smallCache } as const

function sentinelOf({ store }: FaultWorld): SentinelServers {
  if (store.sentinel === null) throw new Error('this stack has no Sentinel')
  return store.sentinel
}
function clusterOf({ store }: FaultWorld): ClusterServers {
  if (store.cluster === null) throw new Error('this stack has no Redis Cluster')
  return store.cluster
}

/** The slot of a bucket, drawn. */
function bucketSlot(world: FaultWorld, random: Random): Promise<number> {
  return clusterOf(world).slotOf(`${world.card.namespace}:{${random.below(64)}}:W`)
}

export const redisHaScenarios: readonly Scenario[] = [
  {
    ...base,
    name: 'sentinel-failover',
    summary:
      'the master dies, and its replica, which lacks the last second of acknowledged writes, takes over',
    covers: ['redis-failover'],
    stack: withSentinel,
    inject: async (world, random): Promise<Injected> => {
      const servers = sentinelOf(world)
      await servers.holdReplication()
      await pause(500 + random.below(1_000))
      const at = now()
      const dead = await servers.crashMaster()
      return {
        what: 'the master died, acknowledged writes are lost',
        at,
        mended: () => flushedTo(world, at),
        heal: () => servers.rejoin(dead),
      }
    },
  },
  {
    ...base,
    name: 'sentinel-switch',
    summary: 'the sentinels change the master although it lives',
    covers: ['redis-failover'],
    stack: withSentinel,
    inject: async (world): Promise<Injected> => {
      const at = now()
      await sentinelOf(world).switchMaster()
      return { what: 'the sentinels changed the master', at, mended: () => flushedTo(world, at) }
    },
  },
  {
    ...base,
    name: 'cluster-failover',
    summary: 'a master of the Cluster dies, and its replica, which lacks the last second, takes over',
    covers: ['redis-cluster-failover'],
    stack: withCluster,
    inject: async (world, random): Promise<Injected> => {
      const servers = clusterOf(world)
      const master = await servers.masterOf(await bucketSlot(world, random))
      await servers.holdReplication(master)
      await pause(500 + random.below(1_000))
      const at = now()
      await servers.crashMaster(master)
      return {
        what: `the master ${master.address} died, acknowledged writes are lost`,
        at,
        mended: () => flushedTo(world, at),
        heal: async () => {
          await master.restart()
          await servers.healthy()
        },
      }
    },
  },
  {
    ...base,
    name: 'cluster-slot-moves',
    summary: 'the slot of a bucket moves to another master, and stands half here and half there for a second',
    covers: ['redis-slots'],
    stack: withCluster,
    inject: async (world, random): Promise<Injected> => {
      const servers = clusterOf(world)
      const slot = await bucketSlot(world, random)
      const source = await servers.masterOf(slot)
      const others = (await servers.masters()).filter((node) => node !== source)
      const target = others[random.below(others.length)]
      if (target === undefined) throw new Error('the Cluster has one master')
      const at = now()
      await servers.moveSlot(slot, target, () => pause(1_000))
      return { what: `slot ${slot} moved`, at, mended: () => flushedTo(world, at) }
    },
  },
  {
    ...base,
    name: 'kill-between-buckets',
    summary: 'SIGKILL with some buckets flushed and others not',
    group: 'crash',
    covers: ['crash-between-buckets'],
    stack: withCluster,
    processes: 3,
    inject: async (world, random): Promise<Injected> => {
      const seat = await world.victim(random)
      const affected = seat.partitions(world.topic)
      const input = `${world.topic}:${affected[0]}`
      let apart = 0
      // Looked at first and killed after, so not every try leaves the buckets apart; the next flush is a second away.
      await world.until('the buckets of a partition are apart', async () => {
        apart = await offsetsApart(world, input)
        return apart > 1
      })
      await seat.kill()
      const at = now()
      const left = await offsetsApart(world, input)
      void seat.start()
      return { what: `SIGKILL of ${seat.name}, buckets at ${left} offsets`, at, affected }
    },
  },
]
