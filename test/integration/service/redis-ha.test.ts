import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { eventually } from '../../support/eventually.ts'
import { checkExactlyOnce } from '../../support/exactly-once.ts'
import { ClusterServers } from '../../support/redis/cluster.ts'
import { SentinelServers } from '../../support/redis/sentinel.ts'
import { startStandalone } from '../../support/redis/standalone.ts'
import { openWatermarkReader } from '../../support/redis/watermarks.ts'
import type { ServiceProcess } from '../../support/service-process.ts'
import { CardTraffic } from '../../support/service-records.ts'
import { openWorld, type ServiceWorld } from '../../support/service-world.ts'

/** Small slices, and a cache of next to nothing: parts come from Redis again and again. */
const change = { store: { cacheMax: '1MB' }, limits: { rowsPerTransactionMax: 50 } }

/** Entities that several partitions write, in buckets of their own, without a delay: read as of the last flush. */
const merged = {
  ...change,
  entities: { shop: { key: 'terminal', merge: true }, tier: { key: 'tier', merge: true } },
  features: {
    shop_count: { over: 'shop', aggregate: 'count', window: '1h' },
    tier_sum: { over: 'tier', aggregate: 'sum', value: 'amountCents', window: '10m' },
  },
}

/** Several failovers, elections among them, on a busy machine. */
const failoversMaxMs = 240_000

/** Few events share an entity: the oracle is slow. */
const entities = { partitions: 4, customers: 120, terminals: 80, tiers: 80 }

async function folder(): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'millrace-redis-'))
  onTestFinished(() => rm(dir, { recursive: true, force: true }))
  return dir
}

/** Waits until every bucket of every partition satisfies; null: nothing to trust. */
async function watermarks(
  world: ServiceWorld,
  url: string,
  satisfied: (w: readonly (number | null)[], input: string) => boolean,
): Promise<void> {
  const reader = openWatermarkReader(url, world.namespace)
  try {
    await eventually(async () => {
      for (const { topic, partition } of await world.positions()) {
        const input = `${topic}:${partition}`
        const w = await reader.of(input)
        expect(satisfied(w, input), `${input} is at ${w.join()}`).toBe(true)
      }
    })
  } finally {
    reader.close()
  }
}

/** Waits until Redis holds all that is committed. */
async function flushed(world: ServiceWorld, url: string): Promise<Map<string, number>> {
  const committed = new Map(
    (await world.positions()).map(({ topic, partition, offset }) => [`${topic}:${partition}`, offset]),
  )
  await watermarks(world, url, (w, input) => w.every((offset) => offset === committed.get(input)))
  return committed
}

const lossNoticed = (service: ServiceProcess, from: number): Promise<unknown> =>
  service.line(({ msg }) => msg.startsWith('Redis is not as'), 'the loss was noticed', from)

test(
  'Sentinel: a failover that loses acknowledged writes is noticed, and what was lost is applied again',
  async () => {
    const servers = await SentinelServers.start({ dir: await folder() })
    onTestFinished(() => servers.stop())
    const world = await openWorld({ redisUrl: servers.url, change: merged })
    const traffic = new CardTraffic({ seed: 71, ...entities })
    const service = world.start()
    await world.write(traffic.next(1_000))
    await world.caughtUp()
    const before = await flushed(world, servers.url)

    await servers.holdReplication()
    await world.write(traffic.next(1_500))
    await watermarks(world, servers.url, ([w = null], input) => (w ?? 0) > (before.get(input) ?? 0))
    const from = service.lines.length
    const dead = await servers.crashMaster()
    await lossNoticed(service, from)
    await world.write(traffic.next(500))
    await world.caughtUp()
    await flushed(world, servers.url)

    await servers.rejoin(dead)
    await Promise.all([
      servers.switchMaster(),
      (async () => {
        for (let i = 0; i < 20; i++) await world.write(traffic.next(50))
      })(),
    ])
    await world.caughtUp()
    await flushed(world, servers.url)
    await checkExactlyOnce(world)
    expect(await service.stop()).toEqual({ code: 0, signal: null })
  },
  failoversMaxMs,
)

test(
  'Cluster: state in 64 buckets survives a crashed master, one that lost writes, and moving slots',
  async () => {
    const servers = await ClusterServers.start({ dir: await folder() })
    onTestFinished(() => servers.stop())
    const world = await openWorld({ redisUrl: servers.url, change: merged })
    const traffic = new CardTraffic({ seed: 72, ...entities })
    const service = world.start()
    await world.write(traffic.next(1_000))
    await world.caughtUp()
    const before = await flushed(world, servers.url)

    const slot = await servers.slotOf(`${world.namespace}:{0}:W`)
    const master = await servers.masterOf(slot)
    await servers.holdReplication(master)
    await world.write(traffic.next(1_500))
    await watermarks(world, servers.url, (w, input) =>
      w.every((one) => (one ?? 0) > (before.get(input) ?? 0)),
    )
    const from = service.lines.length
    await servers.crashMaster(master)
    await lossNoticed(service, from)
    await world.write(traffic.next(300))
    await world.caughtUp()
    await master.restart()
    await servers.healthy()

    // Bucket 0 stands half in one node and half in another while events go on.
    const source = await servers.masterOf(slot)
    const target = (await servers.masters()).find((node) => node !== source)!
    await servers.moveSlot(slot, target, async () => {
      const from = service.lines.length
      await world.write(traffic.next(500))
      await service.line(({ error = '' }) => error.includes('TRYAGAIN'), 'a command waits for the slot', from)
    })
    await world.write(traffic.next(300))
    await world.caughtUp()
    await flushed(world, servers.url)
    const { predictions } = await checkExactlyOnce(world)
    const apart = predictions.filter(({ value }) => value.entityWatermarks !== undefined)
    expect(apart.length).toBeGreaterThan(0)
    expect(await service.stop()).toEqual({ code: 0, signal: null })

    // Whoever comes next finds everything in place, in every bucket.
    const next = world.start()
    await next.serving(4)
    expect(next.lines.filter(({ status }) => status === 'replaying')).toEqual([])

    // A crash leaves the buckets at different offsets; the next owner applies to each what it lacks.
    await world.write(traffic.next(40))
    await watermarks(world, servers.url, (w) => new Set(w).size > 1)
    await next.kill()
    const last = world.start()
    await last.line(({ status }) => status === 'replaying', 'what the buckets lack is applied again')
    await world.write(traffic.next(200))
    await world.caughtUp()
    await checkExactlyOnce(world)
  },
  failoversMaxMs,
)

test('a Redis without memory is waited for, in order, and says so', async () => {
  const redis = await startStandalone({ dir: await folder() })
  onTestFinished(() => redis.kill())
  const world = await openWorld({
    redisUrl: redis.url,
    change: { ...change, store: { cacheMax: '1MB', unflushedMax: { rows: 300, age: '2s' } } },
  })
  const traffic = new CardTraffic({ seed: 73, partitions: 4, customers: 120 })
  const service = world.start()
  await world.write(traffic.next(1_000))
  await world.caughtUp()
  await flushed(world, redis.url)
  await redis.limitMemory(0)
  await world.write(traffic.next(3_000))
  await service.line(({ code }) => code === 'REDIS_FULL', 'Redis is full')
  await service.line(({ detail }) => detail === 'changes wait for Redis', 'a partition pauses')
  await redis.limitMemory(null)
  await world.caughtUp()
  await flushed(world, redis.url)
  expect(service.lines.filter(({ msg }) => msg.startsWith('Redis is not as'))).toEqual([])
  await checkExactlyOnce(world)
})

/** Exit code and last words of a service with this address of Redis. */
async function lastWords(redis: string): Promise<[number | null, string]> {
  const world = await openWorld({ partitions: 1 })
  await world.retopology({ store: { redis }, limits: { startWait: '2s' } })
  const service = world.start()
  const { code } = await service.exited
  return [code, service.tail(3)]
}

test('an address of another kind of Redis than it says is refused with code 2, and says what to write', async () => {
  const node = await startStandalone({ dir: await folder(), args: ['--cluster-enabled', 'yes'] })
  onTestFinished(() => node.kill())
  const plain = await startStandalone({ dir: await folder() })
  onTestFinished(() => plain.kill())
  const refusal = async (address: string, words: RegExp): Promise<void> => {
    expect(await lastWords(address)).toEqual([2, expect.stringMatching(words)])
  }
  await refusal(node.url, /REDIS_MODE: .*part of a Redis Cluster.*redis\+cluster:\/\//)
  await refusal(`redis+cluster://${plain.address}`, /REDIS_MODE: .*is no Redis Cluster/)
  await refusal(`redis+sentinel://${plain.address}/mymaster`, /REDIS_MODE: .*no sentinels/)
})

test('a master that the sentinels do not know is named, with code 4', async () => {
  const servers = await SentinelServers.start({ dir: await folder(), sentinels: 1 })
  onTestFinished(() => servers.stop())
  const [code, words] = await lastWords(servers.url.replace('mymaster', 'another'))
  expect(code).toBe(4)
  expect(words).toMatch(/REDIS_UNREACHABLE: Redis another \(sentinels .*No such master with that name/)
})
