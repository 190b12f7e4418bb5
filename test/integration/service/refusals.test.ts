import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { freePorts } from '../../../src/stack/ports.ts'
import { startRedis } from '../../../src/stack/redis-server.ts'
import { openWorld } from '../../support/service-world.ts'
import type { Written } from '../../support/service-topology.ts'

/** Exit code and last words of a service with this topology. */
async function lastWords(
  change: Written,
  before?: (dir: string) => Promise<void>,
): Promise<[number | null, string]> {
  const world = await openWorld({ partitions: 1 })
  await world.retopology(change)
  await before?.(dirname(world.file))
  const service = world.start()
  const { code } = await service.exited
  return [code, service.tail(3)]
}

test('a model that is no ONNX file is refused before anything starts, with code 2 and its path', async () => {
  const [code, words] = await lastWords({}, (dir) => writeFile(join(dir, 'linear.onnx'), 'no model'))
  expect(code).toBe(2)
  expect(words).toMatch(/MODEL_INVALID: .*linear\.onnx/)
})

test('a missing topic is named, with code 2', async () => {
  const [code, words] = await lastWords({ sinks: { alerts: { topic: 'nobody-made-this' } } })
  expect(code).toBe(2)
  expect(words).toMatch(/KAFKA_TOPIC_MISSING: .*nobody-made-this/)
})

test('a Kafka that does not answer is waited for as long as told, then code 4', async () => {
  const [port = 0] = await freePorts(1)
  const [code, words] = await lastWords({
    kafka: { brokers: `127.0.0.1:${port}` },
    limits: { startWait: '1s' },
  })
  expect(code).toBe(4)
  expect(words).toMatch(new RegExp(`KAFKA_UNREACHABLE: .*127\\.0\\.0\\.1:${port}`))
})

test('a Redis that does not answer is waited for as long as told, then code 4', async () => {
  const [port = 0] = await freePorts(1)
  const [code, words] = await lastWords({
    store: { redis: `redis://127.0.0.1:${port}` },
    limits: { startWait: '1s' },
  })
  expect(code).toBe(4)
  expect(words).toMatch(new RegExp(`REDIS_UNREACHABLE: .*127\\.0\\.0\\.1:${port}`))
})

test('a Redis that may evict keys is refused with code 2', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'millrace-redis-'))
  onTestFinished(() => rm(dir, { recursive: true, force: true }))
  const redis = await startRedis({ dir, args: ['--maxmemory', '50mb', '--maxmemory-policy', 'allkeys-lru'] })
  onTestFinished(() => redis.stop())
  const [code, words] = await lastWords({ store: { redis: redis.url } })
  expect(code).toBe(2)
  expect(words).toMatch(/REDIS_EVICTION: .*allkeys-lru/)
})

test('a compacted source topic is refused with code 2', async () => {
  const world = await openWorld({ partitions: 1 })
  const topic = `${world.topics.transactions}.compacted`
  const configEntries = [{ name: 'cleanup.policy', value: 'compact' }]
  await world.admin.createTopics({ topics: [{ topic, configEntries }, { topic: `dlq.${topic}` }] })
  await world.retopology({ sources: { transactions: { topic } } })
  const service = world.start()
  expect(await service.exited).toEqual({ code: 2, signal: null })
  expect(service.tail(3)).toMatch(/KAFKA_TOPIC_COMPACTED/)
})
