import { expect, test } from 'vitest'
import type { Evictions, StateTrust } from '../../../src/features/distrust.ts'
import type { RedisMaster } from '../../../src/redis/client.ts'
import { StateWatch } from '../../../src/service/state-watch.ts'
import { createMetrics } from '../../../src/telemetry/metrics.ts'
import type { Log } from '../../../src/telemetry/log.ts'
import { manualClock } from '../../../src/time/manual-clock.ts'

const never = new AbortController().signal
const lookMs = 10_000

/** A watch over one master whose state has four watermarks; the test changes what they say. */
function watched(change: Partial<RedisMaster> = {}, noted: Evictions | null = null) {
  const master = {
    address: '10.0.0.1:6379',
    version: '7.0.15',
    mode: 'standalone' as const,
    evictionPolicy: 'noeviction',
    runId: 'run-1',
    evictedKeys: 0,
    ...change,
  }
  const world = {
    master,
    missing: null as string | null,
    steps: [] as string[],
    noted,
    watermarks: 4,
    logged: [] as string[],
  }
  const trust: StateTrust = {
    evictions: async () => world.noted,
    note: async (evictions) => {
      world.steps.push('noted')
      world.noted = evictions
    },
    distrust: async (why) => {
      world.steps.push(why)
      return world.watermarks
    },
  }
  const { metrics, registry } = createMetrics()
  const clock = manualClock()
  const log: Log = {
    debug: () => undefined,
    info: () => undefined,
    warn: () => undefined,
    error: (fields) => void world.logged.push(JSON.stringify(fields)),
  }
  const watch = new StateWatch({
    redis: { masters: async () => [{ ...world.master }] },
    trust,
    tasks: () => [{ missingEntity: async () => world.missing }],
    metrics,
    clock,
    log,
  })
  const stop = new AbortController()
  const ended: unknown[] = []
  const run = (): void =>
    void watch.run(stop.signal).then(
      () => ended.push('stopped'),
      (error: unknown) => ended.push(error),
    )
  const metric = async (name: string): Promise<string | undefined> =>
    (await registry.metrics()).split('\n').find((line) => line.startsWith(`millrace_${name}`))
  return { world, watch, run, clock, ended, stop, metric }
}

test('a Redis that keeps everything: ready, nothing is given up, and the count of evictions is noted', async () => {
  const { world, watch, run, clock, ended, stop } = watched()
  await watch.begin(never)
  run()
  await clock.advance(3 * lookMs)
  expect([watch.refusal, world.steps]).toEqual([null, ['noted', 'noted', 'noted', 'noted']])
  stop.abort()
  await clock.advance(lookMs)
  expect(ended).toEqual(['stopped'])
})

test('a policy that is changed while the service runs: not ready, with the fix, until it is changed back', async () => {
  const { world, watch, run, clock, metric, ended } = watched()
  await watch.begin(never)
  run()
  world.master.evictionPolicy = 'allkeys-lru'
  await clock.advance(2 * lookMs)
  expect(watch.refusal).toBe('Redis at 10.0.0.1:6379 has maxmemory-policy allkeys-lru')
  expect(await metric('redis_may_evict')).toBe('millrace_redis_may_evict 1')
  expect(world.logged).toEqual([expect.stringContaining('CONFIG SET maxmemory-policy noeviction')]) // once
  world.master.evictionPolicy = 'noeviction'
  await clock.advance(lookMs)
  expect([watch.refusal, world.steps.includes('evicted'), ended]).toEqual([null, false, []])
})

test('keys were evicted, and more may be: what is stored is given up, and the service stops', async () => {
  const { world, watch, run, clock, ended, metric } = watched()
  await watch.begin(never)
  run()
  Object.assign(world.master, { evictionPolicy: 'volatile-ttl', evictedKeys: 3 })
  await clock.advance(lookMs)
  expect(world.steps).toEqual(['noted', 'evicted', 'noted'])
  expect(ended).toEqual([expect.objectContaining({ code: 'REDIS_EVICTION' })])
  expect(String(ended[0])).toContain('has evicted 3 keys')
  expect(await metric('redis_evicted_keys_total')).toBe('millrace_redis_evicted_keys_total 3')
  expect(await metric('state_distrusted_total')).toBe('millrace_state_distrusted_total{reason="evicted"} 1')
})

test('keys that were evicted while nothing ran are noticed before anything is trusted', async () => {
  const { world, watch } = watched({ evictedKeys: 5 }, new Map([['run-1', 4]]))
  await watch.begin(never)
  expect(world.steps).toEqual(['evicted', 'noted'])
  const known = watched({ evictedKeys: 5 }, new Map([['run-1', 5]]))
  await known.watch.begin(never)
  expect(known.world.steps).toEqual(['noted'])
})

test('the note may be what was evicted; then any eviction counts', async () => {
  const { world, watch } = watched({ evictedKeys: 1 }, null)
  await watch.begin(never)
  expect(world.steps).toEqual(['evicted', 'noted'])
})

test('a server that was started again counts anew', async () => {
  const { world, watch, run, clock } = watched({ evictedKeys: 7 }, new Map([['run-1', 7]]))
  await watch.begin(never)
  run()
  Object.assign(world.master, { runId: 'run-2', evictedKeys: 0 })
  await clock.advance(lookMs)
  expect(world.steps).toEqual(['noted', 'noted'])
})

test('a part that its owner wrote and does not find: all is rebuilt, and the service goes on', async () => {
  const { world, watch, run, clock, ended, metric } = watched()
  await watch.begin(never)
  run()
  world.missing = 'customer-17'
  await clock.advance(lookMs)
  expect(world.steps).toEqual(['noted', 'noted', 'deleted'])
  expect(world.logged.join()).not.toContain('customer-17')
  expect(await metric('state_distrusted_total')).toBe('millrace_state_distrusted_total{reason="deleted"} 1')
  expect([watch.refusal, ended]).toEqual([null, []])
})
