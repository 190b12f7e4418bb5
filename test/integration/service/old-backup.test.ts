import { copyFile, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { freePorts } from '../../../src/stack/ports.ts'
import { startRedis, type RedisServer } from '../../../src/stack/redis-server.ts'
import { checkExactlyOnce } from '../../support/exactly-once.ts'
import type { ServiceProcess } from '../../support/service-process.ts'
import { CardTraffic } from '../../support/service-records.ts'
import { openWorld, type ServiceWorld } from '../../support/service-world.ts'

/** A Redis of the test's own, whose RDB file can be taken away and put back. */
async function backedUpRedis(): Promise<{
  readonly url: string
  backUp(world: ServiceWorld): Promise<void>
  /** Kills the server and starts it again from the backup. */
  goBack(): Promise<void>
}> {
  const dir = await mkdtemp(join(tmpdir(), 'millrace-redis-'))
  onTestFinished(() => rm(dir, { recursive: true, force: true }))
  const [port = 0] = await freePorts(1)
  const servers: RedisServer[] = []
  const start = async (): Promise<void> => {
    const server = await startRedis({ dir, port })
    onTestFinished(() => server.stop())
    servers.push(server)
  }
  await start()
  const [dump, backup] = [join(dir, 'dump.rdb'), join(dir, 'backup.rdb')]
  return {
    url: servers[0]!.url,
    backUp: async (world) => {
      await world.redis.call('SAVE')
      await copyFile(dump, backup)
    },
    goBack: async () => {
      await servers.at(-1)?.kill()
      await copyFile(backup, dump)
      await start()
    },
  }
}

/** A served world on such a Redis: 1000 records, a backup, 1500 more, everything flushed. */
async function movedOn(seed: number) {
  const redis = await backedUpRedis()
  const world = await openWorld({ partitions: 2, redisUrl: redis.url })
  const traffic = new CardTraffic({ seed, partitions: 2, customers: 60 })
  const service = world.start()
  await world.write(traffic.next(1_000))
  await world.caughtUp()
  await world.flushed()
  await redis.backUp(world)
  const stored = await world.watermarks()
  await world.write(traffic.next(1_500))
  await world.caughtUp()
  await world.flushed()
  return { redis, world, traffic, service, stored }
}

/** Where the takeovers since line `from` began to read, by partition. */
async function replayedFrom(service: ServiceProcess, from: number): Promise<Map<string, string>> {
  const replays = (): Map<string, string> =>
    new Map(
      service.lines
        .slice(from)
        .filter(({ status }) => status === 'replaying')
        .map(({ topic, partition, detail = '' }) => [`${topic}:${partition}`, detail]),
    )
  return service.until(() => (replays().size === 2 ? replays() : null), 'both partitions were read again')
}

test('an old backup put back under a live service is noticed by its watermarks, and what it lacks is applied again from the log', async () => {
  const { redis, world, traffic, service, stored } = await movedOn(41)
  const from = service.lines.length
  await redis.goBack()
  for (const [input, detail] of await replayedFrom(service, from)) {
    expect(detail).toMatch(new RegExp(`^re-applying offsets ${stored.get(input)} to `))
  }
  await service.serving(2)
  await world.write(traffic.next(500))
  await world.caughtUp()
  await checkExactlyOnce(world)
})

test('an old backup put back while nobody serves is brought up to the committed offset by the next start', async () => {
  const { redis, world, traffic, service, stored } = await movedOn(42)
  expect(await service.stop()).toEqual({ code: 0, signal: null })
  await redis.goBack()
  const next = world.start()
  for (const [input, detail] of await replayedFrom(next, 0)) {
    expect(detail).toMatch(new RegExp(`^re-applying offsets ${stored.get(input)} to `))
  }
  await world.write(traffic.next(500))
  await world.caughtUp()
  await checkExactlyOnce(world)
})

test('a backup older than the log that is left is refused with what is missing, never served with a hole', async () => {
  const { redis, world, service, stored } = await movedOn(43)
  expect(await service.stop()).toEqual({ code: 0, signal: null })
  await redis.goBack()
  const topic = world.topics.transactions
  const gone = (stored.get(`${topic}:0`) ?? 0) + 50
  await world.admin.deleteTopicRecords({ topic, partitions: [{ partition: 0, offset: String(gone) }] })
  const refused = world.start()
  expect(await refused.exited).toEqual({ code: 1, signal: null })
  expect(refused.tail(4)).toMatch(new RegExp(`OFFSET_BELOW_LOG: .*\\.tx:0: .*${gone}`))
})
