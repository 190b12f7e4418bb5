import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { freePorts } from '../../../src/stack/ports.ts'
import { startRedis } from '../../../src/stack/redis-server.ts'
import { eventually } from '../../support/eventually.ts'
import { checkExactlyOnce } from '../../support/exactly-once.ts'
import type { ServiceProcess } from '../../support/service-process.ts'
import { CardTraffic } from '../../support/service-records.ts'
import { openWorld } from '../../support/service-world.ts'

test('a Redis that went back in time, lost its watermarks or everything is noticed, and features stay exact', async () => {
  // A cache of next to nothing: parts come from Redis again and again.
  const world = await openWorld({
    change: { store: { cacheMax: '1MB' }, limits: { rowsPerTransactionMax: 50 } },
  })
  const traffic = new CardTraffic({ seed: 7, partitions: 4, customers: 120 })
  const service = world.start()
  const fault = async (change: () => Promise<unknown>): Promise<void> => {
    const before = service.lines.length
    const watermarks = await world.watermarks()
    await world.write(traffic.next(1_500))
    await world.committed(world.input.length - 800)
    // Only what was written since can be lost again.
    await eventually(async () => {
      const now = await world.watermarks()
      for (const [input, offset] of watermarks) expect(now.get(input)).toBeGreaterThan(offset)
    })
    await change()
    await rewound(service, 1, before)
    await world.caughtUp()
    await world.flushed()
  }
  await world.write(traffic.next(1_000))
  await world.caughtUp()
  await world.flushed()
  const older = await world.snapshot()
  await fault(() => older.restore())
  await fault(() => world.redis.del(world.watermarkKey))
  await fault(() => world.forget())
  await world.write(traffic.next(500))
  await world.caughtUp()
  await checkExactlyOnce(world)
})

/** Waits until the losses since line `from` of the log were noticed by `times` partitions. */
async function rewound(service: ServiceProcess, times: number, from: number): Promise<void> {
  const noticed = (): number =>
    service.lines.slice(from).filter(({ msg }) => msg.startsWith('Redis is not as')).length
  await service.until(() => (noticed() >= times ? true : null), 'the loss was noticed')
}

test('an idle service notices that Redis was emptied, and the next event has its whole past', async () => {
  const world = await openWorld()
  const traffic = new CardTraffic({ seed: 8, partitions: 4 })
  const service = world.start()
  await world.write(traffic.next(1_000))
  await world.caughtUp()
  await world.flushed()
  await world.forget()
  await rewound(service, 4, 0)
  await service.serving(4)
  await world.write(traffic.next(200))
  await world.caughtUp()
  await checkExactlyOnce(world)
})

test('while Redis is stalled or down the service is not ready and waits; when it comes back empty, state is rebuilt', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'millrace-redis-'))
  onTestFinished(() => rm(dir, { recursive: true, force: true }))
  const [port = 0] = await freePorts(1)
  const first = await startRedis({ dir, port })
  onTestFinished(() => first.stop())
  // Pausing soon: what is not in Redis is bounded.
  const world = await openWorld({
    redisUrl: first.url,
    change: { store: { unflushedMax: { rows: 300, age: '2s' } }, limits: { rowsPerTransactionMax: 50 } },
  })
  const traffic = new CardTraffic({ seed: 9, partitions: 4, customers: 120 })
  const service = world.start({ http: true })
  const readyz = await service.url('/readyz')
  const ready = (status: number): Promise<void> =>
    eventually(async () => expect((await fetch(readyz)).status).toBe(status))
  await world.write(traffic.next(1_000))
  await ready(200)
  await world.committed(500)
  process.kill(first.pid, 'SIGSTOP')
  await world.write(traffic.next(2_000))
  await service.line(({ detail }) => detail === 'changes wait for Redis', 'a partition pauses')
  process.kill(first.pid, 'SIGCONT')
  await world.committed(2_000)
  await first.kill()
  await world.write(traffic.next(2_000))
  await ready(503)
  expect((await fetch(readyz.replace('readyz', 'livez'))).status).toBe(200)

  const second = await startRedis({ dir, port })
  onTestFinished(() => second.stop())
  await ready(200)
  await world.caughtUp()
  await checkExactlyOnce(world)
  expect(await service.stop()).toEqual({ code: 0, signal: null })
})

test('stopped while Redis is down the service says what it waited for, and the next one loses nothing', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'millrace-redis-'))
  onTestFinished(() => rm(dir, { recursive: true, force: true }))
  const [port = 0] = await freePorts(1)
  const redis = await startRedis({ dir, port })
  onTestFinished(() => redis.stop())
  const world = await openWorld({
    redisUrl: redis.url,
    change: { limits: { drain: '3s', rowsPerTransactionMax: 50 } },
  })
  const traffic = new CardTraffic({ seed: 19, partitions: 4, customers: 120 })
  const service = world.start()
  await world.write(traffic.next(1_000))
  await world.caughtUp() // every customer is in memory
  process.kill(redis.pid, 'SIGSTOP')
  await world.write(traffic.next(500))
  await world.committed(1_001) // which Redis cannot hold
  expect(await service.stop()).toEqual({ code: 1, signal: null })
  expect(service.tail(6)).toMatch(/DRAIN_EXCEEDED: draining took longer than 3 s; .*still open: \[/)
  expect(service.tail(6)).not.toContain('report it')
  process.kill(redis.pid, 'SIGCONT')
  world.start()
  await world.caughtUp()
  await checkExactlyOnce(world)
})
