import type { Random } from '../../../src/simulator/random.ts'
import { armed, now, pause, reached, restartOther, sinceClaim } from '../acts.ts'
import { featureScripts } from '../../../src/features/redis-store.ts'
import type { FaultWorld } from '../fault-world.ts'
import type { Injected, Scenario } from '../scenario.ts'
import type { Seat } from '../seat.ts'
import { flushedTo } from './lost-state.ts'
import { oneBroker, smallCache } from './settings.ts'

const base = {
  group: 'redis',
  stack: oneBroker,
  processes: 2,
  topology: { ...smallCache, store: { ...smallCache.store, unflushedMax: { rows: 2_000, age: '3s' } } },
  mixes: true,
} as const

function simple(
  name: string,
  summary: string,
  id: string,
  change: (world: FaultWorld, random: Random) => Promise<string>,
  { lost = true }: { readonly lost?: boolean } = {},
): Scenario {
  return {
    ...base,
    name,
    summary,
    covers: [id],
    inject: async (world, random) => {
      await pause(random.below(300))
      const what = await change(world, random)
      const at = now()
      return { what, at, ...(lost ? { mended: () => flushedTo(world, at) } : {}) }
    },
  }
}

/** FLUSHALL in the moment somebody's request or reply passes. */
async function emptiedAt(
  world: FaultWorld,
  random: Random,
  on: 'millraceFlush' | 'OffsetFetch',
  trigger: (seat: Seat) => Promise<void>,
): Promise<Injected> {
  const seat = await world.victim(random)
  const server = on === 'OffsetFetch' ? 'kafka' : 'redis'
  const at = on === 'OffsetFetch' ? 'reply' : 'request'
  const empty = { kind: 'call', run: () => world.redis.flushAll() } as const
  const where = on === 'OffsetFetch' ? sinceClaim(seat) : (): boolean => true
  const handle = armed(seat, { server, on, at, where }, empty, random)
  await trigger(seat)
  await reached(world, handle, `${on} of ${seat.name} passes`)
  const since = now()
  const mended = (): Promise<boolean> => flushedTo(world, since)
  return { what: `FLUSHALL at ${on} of ${seat.name}`, at: since, mended }
}

/**
 * Runs the product's own flush script with changes of which the second fails: Redis keeps what came before. The owner
 * flushes too, so the watermark to expect may have changed meanwhile.
 */
async function tear({ redis, card }: FaultWorld, input: string): Promise<void> {
  const script = featureScripts.get('millraceFlush') ?? ''
  const { namespace, watermarkKey } = card
  for (let tries = 0; tries < tearTriesMax; tries++) {
    const parts = (await redis.command('KEYS', `${namespace}:{0}:p:*:${input}:*`)) as string[]
    const w = (await redis.command('HGET', watermarkKey, input)) as string | null
    if (w === null || parts[0] === undefined) continue
    const keys = [watermarkKey, parts[0], watermarkKey]
    const changes = ['s', '', 'a', 'APPEND to a hash fails']
    try {
      await redis.command('EVAL', script, keys.length, ...keys, input, w, w, 3_600_000, ...changes)
    } catch (error) {
      if (String(error).includes('WRONGTYPE')) return
      throw error
    }
  }
  throw new Error(`W of ${input} was another one each time`)
}
const tearTriesMax = 1_000

export const redisScenarios: readonly Scenario[] = [
  simple(
    'redis-kill',
    'SIGKILL of Redis, which comes back empty',
    'redis-kill',
    async ({ redis }, random) => {
      await redis.kill()
      const ms = random.below(1_500)
      await pause(ms)
      await redis.restart()
      return `Redis killed, back empty after ${ms} ms`
    },
  ),
  simple(
    'redis-stall',
    'Redis stands still (SIGSTOP) for 1 to 5 s',
    'redis-stall',
    async ({ redis }, random) => {
      const ms = 1_000 + random.below(4_000)
      redis.stall()
      await pause(ms)
      redis.resume()
      return `Redis stood still for ${ms} ms`
    },
    { lost: false },
  ),
  simple('redis-flushall', 'FLUSHALL', 'redis-flushall', async ({ redis }) => {
    await redis.flushAll()
    return 'FLUSHALL'
  }),
  simple(
    'redis-old-snapshot',
    'Redis comes back with a snapshot some seconds old',
    'redis-old',
    async ({ redis }, random) => {
      const copy = await redis.save()
      const ms = 500 + random.below(2_500)
      await pause(ms)
      await redis.restore(copy)
      return `Redis went back ${ms} ms`
    },
  ),
  {
    ...simple(
      'redis-watermarks-lost',
      'W is deleted, the parts stay',
      'redis-w-lost',
      async ({ redis, card }) => {
        await redis.command('DEL', card.watermarkKey)
        return 'W deleted'
      },
    ),
    // More windows than fit the cache: a rebuild drops parts and reads them again.
    traffic: { customers: 20_000, stepMs: 100 },
    prepare: async (world) => {
      await world.traffic.burst(12_000)
      await world.steady()
    },
  },
  simple(
    'redis-out-of-memory',
    'Redis refuses writes (OOM) for 1 to 3 s',
    'redis-oom',
    async ({ redis }, random) => {
      const ms = 1_000 + random.below(2_000)
      await redis.limitMemory(-100_000)
      await pause(ms)
      await redis.limitMemory(null)
      return `Redis out of memory for ${ms} ms`
    },
    { lost: false },
  ),
  simple(
    'redis-torn-script',
    'a flush script stops half-way: of two changes the first is made, which empties a part',
    'redis-torn',
    async (world, random) => {
      const input = `${world.topic}:${random.below(world.card.partitions)}`
      await tear(world, input)
      return `W of ${input} torn`
    },
  ),
  {
    ...base,
    name: 'redis-empty-before-flush',
    summary: 'FLUSHALL between the commit and its flush',
    covers: ['redis-between'],
    inject: (world, random) => emptiedAt(world, random, 'millraceFlush', async () => {}),
  },
  {
    ...base,
    name: 'redis-empty-in-takeover',
    summary: 'FLUSHALL while partitions are taken over',
    covers: ['redis-takeover'],
    processes: 3,
    mixes: false,
    inject: (world, random) =>
      emptiedAt(world, random, 'OffsetFetch', (seat) => restartOther(world, seat, random)),
  },
]
