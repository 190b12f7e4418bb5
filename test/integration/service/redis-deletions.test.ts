import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test, vi } from 'vitest'
import { startRedis } from '../../../src/stack/redis-server.ts'
import { checkExactlyOnce } from '../../support/exactly-once.ts'
import { CardTraffic } from '../../support/service-records.ts'
import { openWorld } from '../../support/service-world.ts'

const waiting = { timeout: 60_000 }

test('a part that somebody deletes from Redis, key by key, is missed by its owner, and all windows are rebuilt', async () => {
  const world = await openWorld({ partitions: 1 })
  const traffic = new CardTraffic({ seed: 61, partitions: 1, customers: 20, terminals: 8 })
  const service = world.start()
  await world.write(traffic.next(500))
  await world.caughtUp()
  await world.flushed()
  const part = (await world.keys()).find((key) => key.includes(':p:')) ?? ''
  expect(await world.redis.del(part)).toBe(1)
  await service.line(({ msg }) => msg.startsWith('windows were deleted'), 'the deletion is noticed')
  await vi.waitFor(async () => expect(await world.keys()).toContain(part), waiting)
  await world.write(traffic.next(300))
  await world.caughtUp()
  await checkExactlyOnce(world)
})

test('Redis may evict: not ready; it has evicted: the service stops, and the next one rebuilds what was lost', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'millrace-evict-'))
  onTestFinished(() => rm(dir, { recursive: true, force: true }))
  const redis = await startRedis({ dir })
  onTestFinished(() => redis.stop())
  const world = await openWorld({ partitions: 2, redisUrl: redis.url })
  const traffic = new CardTraffic({ seed: 62, partitions: 2, customers: 400 })
  const service = world.start({ http: true })
  const readyz = await service.url('/readyz')
  await world.write(traffic.next(2_000))
  await world.caughtUp()
  await world.flushed()
  await world.redis.config('SET', 'maxmemory-policy', 'allkeys-random')
  await vi.waitFor(async () => {
    const answer = await fetch(readyz)
    expect([answer.status, await answer.text()]).toEqual([503, expect.stringContaining('allkeys-random')])
  }, waiting)

  const memory = await world.redis.info('memory')
  const usedBytes = Number(/^used_memory:(\d+)/m.exec(memory)?.[1])
  await world.redis.config('SET', 'maxmemory', String(usedBytes - 30_000))
  expect(await service.exited).toEqual({ code: 2, signal: null })
  expect(service.lines.map(({ msg }) => msg).join('\n')).toContain('windows were deleted from Redis')

  await world.redis.config('SET', 'maxmemory', '0')
  await world.redis.config('SET', 'maxmemory-policy', 'noeviction')
  world.start()
  await world.write(traffic.next(1_000))
  await world.caughtUp()
  await checkExactlyOnce(world)
})
