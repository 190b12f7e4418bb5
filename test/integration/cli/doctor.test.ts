import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { ConfigResourceTypes } from '../../../src/kafka/kafkajs.ts'
import type { CheckId, CheckStatus, Report } from '../../../src/service/doctor/table.ts'
import { checks } from '../../../src/service/doctor/table.ts'
import { freePorts } from '../../../src/stack/ports.ts'
import { startRedis } from '../../../src/stack/redis-server.ts'
import { millrace } from '../../support/command-line.ts'
import { ClusterServers } from '../../support/redis/cluster.ts'
import { SentinelServers } from '../../support/redis/sentinel.ts'
import { CardTraffic } from '../../support/service-records.ts'
import { openWorld, type ServiceWorld } from '../../support/service-world.ts'

interface Examined {
  readonly code: number | null
  readonly of: (id: CheckId) => Report
  readonly with: (status: CheckStatus) => CheckId[]
}

async function doctor(file: string): Promise<Examined> {
  const { code, stdout, stderr } = await millrace('doctor', file, '-o', 'json')
  if (stdout === '') throw new Error(stderr)
  const { checks: reports } = JSON.parse(stdout) as { checks: readonly Report[] }
  return {
    code,
    of: (id) => reports.find((one) => one.id === id)!,
    with: (status) => reports.filter((one) => one.status === status).map(({ id }) => id),
  }
}

/** What one broker that takes records of any time, and a Redis that forgets, cannot have. */
const smallStack: readonly CheckId[] = [
  'kafka.internal-topics',
  'topics.durability',
  'topics.future-times',
  'redis.persistence',
]

async function alter(world: ServiceWorld, topic: string, settings: Record<string, string>): Promise<void> {
  const configEntries = Object.entries(settings).map(([name, value]) => ({ name, value }))
  const resources = [{ type: ConfigResourceTypes.TOPIC, name: topic, configEntries }]
  await world.admin.alterConfigs({ validateOnly: false, resources })
}

test('a healthy stack has no failure, before the first start and while the service runs; nothing is changed', async () => {
  const world = await openWorld({ partitions: 2 })
  const before = await doctor(world.file)
  expect([before.code, before.with('fail')]).toEqual([0, []])
  // The internal topics of a new broker do not exist, and looking does not make them.
  const others = checks.map(({ id }) => id).filter((id) => !smallStack.includes(id))
  expect(before.with('ok')).toEqual(others)
  expect(before.of('kafka.version').found).toBe('the brokers are 4.2')
  expect(before.of('group.state').found).toContain('does not exist yet')
  expect(await world.positions()).toEqual([])
  expect(await world.keys()).toEqual([])

  await world.write(new CardTraffic({ seed: 41, partitions: 2, badShare: 0, lateShare: 0 }).next(200))
  world.start()
  await world.caughtUp()
  await world.flushed()
  const during = await doctor(world.file)
  expect([during.code, during.with('fail'), during.with('warn')]).toEqual([0, [], smallStack])
  expect(during.of('group.state').found).toBe('Stable, 1 member')
  expect(during.of('group.positions').found).toBe('2 partitions would go on where they were')
})

test('a compacted source, short retention, small dead letters and a forgetful replay topic: each with its fix', async () => {
  const world = await openWorld({ partitions: 1 })
  const { transactions, deadLetters } = world.topics
  await alter(world, transactions, {
    'cleanup.policy': 'compact,delete',
    'retention.ms': '60000',
    'max.message.bytes': '2000000',
    'unclean.leader.election.enable': 'true',
  })
  await alter(world, `dlq.${world.plan.name}.replays`, { 'retention.ms': '1000000' })
  const found = await doctor(world.file)
  expect(found.code).toBe(3)
  expect(found.with('fail')).toEqual(['topics.unclean-election', 'topics.compaction', 'topics.retention'])
  expect(found.of('topics.compaction').fix).toContain(
    `--topic ${transactions} --add-config cleanup.policy=delete`,
  )
  expect(found.of('topics.retention').fix).toMatch(/--add-config retention\.ms=\d{9}/)
  expect(found.of('topics.unclean-election').fix).toContain('unclean.leader.election.enable=false')
  expect(found.with('warn')).toEqual(
    expect.arrayContaining(['topics.dead-letter-size', 'topics.replays'] satisfies CheckId[]),
  )
  expect(found.of('topics.dead-letter-size').fix).toContain(
    `--topic ${deadLetters} --add-config max.message.bytes=2004096`,
  )
  expect(found.of('topics.replays').fix).toContain('retention.ms=-1')
})

test('sampled records: a wrong key, a schema that does not fit, times in seconds; nothing of it leaves a trace', async () => {
  const world = await openWorld({ partitions: 2 })
  const { transactions: topic } = world.topics
  const nowS = Math.floor(Date.now() / 1000)
  const one = (index: number, key: string, change: object = {}) => ({
    partition: index % 2,
    key,
    value: JSON.stringify({
      id: `e${index}`,
      customer: `c${index}`,
      terminal: 't1',
      amountCents: 100,
      tier: 1,
      ts: nowS,
      ...change,
    }),
  })
  const seconds = Array.from({ length: 90 }, (_, index) => one(index, `c${index}`))
  const mixed = [one(90, 't1'), one(91, 't1'), one(92, 'c92', { amountCents: 'much' })]
  await world.producer.send({ topic, messages: [...seconds, ...mixed] })
  const found = await doctor(world.file)
  expect(found.code).toBe(3)
  expect(found.of('records.time')).toMatchObject({
    status: 'fail',
    fix: 'In the topology, for source transactions: time: {field: "ts", unit: s}',
  })
  const { found: text, fix } = found.of('records.decode')
  expect(text).toContain(' of 93 sampled records')
  expect(text).toContain('2 × VALIDATION')
  expect(text).toContain('/amountCents')
  expect(fix).toContain('write `key: terminal` for source transactions')
  expect(found.of('group.state').found).toContain('does not exist yet')
})

test('retention that covers the windows and not an outage is a warning', async () => {
  const world = await openWorld({ partitions: 1 })
  const hourMs = 3_600_000
  await alter(world, world.topics.transactions, { 'retention.ms': String(24 * hourMs) })
  const found = await doctor(world.file)
  expect([found.code, found.of('topics.retention').status]).toEqual([0, 'warn'])
  expect(found.of('topics.retention').found).toContain('keeps 1 days')
})

test('topics that are missing, and session and transaction timeouts that the brokers refuse', async () => {
  const world = await openWorld({
    partitions: 1,
    change: { kafka: { sessionTimeout: '1s', transactionTimeout: '15m' } },
  })
  await world.admin.deleteTopics({ topics: [world.topics.alerts] })
  const found = await doctor(world.file)
  expect(found.code).toBe(3)
  expect(found.with('fail')).toEqual(['kafka.session-timeout', 'topics.exist'])
  expect(found.of('topics.exist').fix).toContain(`--create --topic ${world.topics.alerts}`)
  expect(found.of('kafka.session-timeout').fix).toContain('Set kafka.sessionTimeout between 2000ms')
})

test('an offset that another tool moved, and one whose records are gone: what a start would do', async () => {
  const world = await openWorld({ partitions: 2 })
  await world.write(new CardTraffic({ seed: 42, partitions: 2 }).next(200))
  const service = world.start()
  await world.caughtUp()
  await service.stop()
  const { transactions: topic } = world.topics
  const groupId = world.plan.kafka.group
  await world.admin.setOffsets({ groupId, topic, partitions: [{ partition: 0, offset: '5' }] })
  const moved = await doctor(world.file)
  expect([moved.code, moved.of('group.positions').status]).toEqual([0, 'warn'])
  expect(moved.of('group.positions').found).toContain(`${topic}:0: a new incarnation from offset 5 on`)
  expect(moved.of('group.positions').fix).toContain('store.onForeignOffset: refuse')

  await world.retopology({ store: { onForeignOffset: 'refuse' } })
  const refused = await doctor(world.file)
  expect([refused.code, refused.with('fail')]).toEqual([3, ['group.positions']])
  expect(refused.of('group.positions').found).toContain('OFFSET_FOREIGN')

  await world.write(new CardTraffic({ seed: 43, partitions: 2 }).next(100))
  const ends = await world.admin.fetchTopicOffsets(topic)
  const end = ends.find(({ partition }) => partition === 1)?.high ?? ''
  await world.admin.deleteTopicRecords({ topic, partitions: [{ partition: 1, offset: end }] })
  const gone = await doctor(world.file)
  expect(gone.of('group.positions').found).toContain('OFFSET_BELOW_LOG')
  expect(gone.of('group.positions').fix).toContain('store.onLogGone: accept-gap')
})

test('a Redis that may evict, that is nearly full, or that is not there', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'millrace-doctor-'))
  const redis = await startRedis({
    dir,
    temporary: true,
    args: ['--maxmemory-policy', 'allkeys-lru', '--maxmemory', '1200000', '--appendonly', 'yes'],
  })
  onTestFinished(() => redis.stop())
  const world = await openWorld({ partitions: 1, redisUrl: redis.url })
  const found = await doctor(world.file)
  expect(found.code).toBe(3)
  expect(found.with('fail')).toContain('redis.eviction')
  expect(found.of('redis.eviction').fix).toContain('CONFIG SET maxmemory-policy noeviction')
  expect(['warn', 'fail']).toContain(found.of('redis.memory').status)
  expect(found.of('redis.persistence')).toMatchObject({ status: 'ok', found: 'append-only file' })

  const [port] = await freePorts(1)
  await world.retopology({ store: { redis: `redis://127.0.0.1:${port}` } })
  const absent = await doctor(world.file)
  expect(absent.code).toBe(4)
  expect(absent.with('fail')).toEqual(['redis.reachable'])
  expect(absent.of('redis.reachable').found).toContain('REDIS_UNREACHABLE')
  expect(absent.of('redis.eviction')).toMatchObject({
    status: 'unknown',
    found: 'not answered: REDIS_UNREACHABLE',
  })
  expect(absent.of('topics.exist').status).toBe('ok')
})

test('Redis Cluster and Sentinel: every master is looked at; an address that says otherwise fails with the right one', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'millrace-doctor-'))
  onTestFinished(() => rm(dir, { recursive: true, force: true }))
  const cluster = await ClusterServers.start({ dir: join(dir, 'cluster') })
  onTestFinished(() => cluster.stop())
  const world = await openWorld({ partitions: 1, redisUrl: cluster.nodes[0]?.url ?? '' })
  const wrong = await doctor(world.file)
  expect([wrong.code, wrong.with('fail')]).toEqual([3, ['redis.mode']])
  expect(wrong.of('redis.mode').fix).toContain(`redis+cluster://${cluster.nodes[0]?.address}`)

  await world.retopology({ store: { redis: cluster.url } })
  const clustered = await doctor(world.file)
  expect([clustered.code, clustered.with('fail')]).toEqual([0, []])
  expect(clustered.of('redis.reachable').found).toMatch(/^3 masters: /)
  expect(clustered.of('redis.mode').found).toBe('as store.redis says: cluster')

  const sentinels = await SentinelServers.start({ dir: join(dir, 'sentinel'), sentinels: 1 })
  onTestFinished(() => sentinels.stop())
  await world.retopology({ store: { redis: sentinels.url } })
  const guarded = await doctor(world.file)
  expect([guarded.code, guarded.with('fail')]).toEqual([0, []])
  expect(guarded.of('redis.reachable').found).toBe(`one master: ${sentinels.nodes[0]?.address}`)
  const [replica] = sentinels.nodes.slice(1)
  await world.retopology({ store: { redis: replica?.url } })
  expect((await doctor(world.file)).of('redis.mode').found).toBe(`${replica?.address} is a slave`)
})

test('no broker, and a model that is missing: said, and all else is looked at', async () => {
  const [port] = await freePorts(1)
  const world = await openWorld({ partitions: 1 })
  await world.retopology({ kafka: { brokers: `127.0.0.1:${port}` } })
  await rm(join(world.file, '..', 'linear.onnx'))
  const found = await doctor(world.file)
  expect(found.code).toBe(4)
  expect(found.with('fail')).toEqual(['kafka.reachable', 'model.files'])
  expect(found.of('model.files').found).toContain('MODEL_INVALID')
  expect(found.of('redis.eviction').status).toBe('ok')
})

test('for people: one line a check, and below what is not ok why it matters and the fix', async () => {
  const world = await openWorld({ partitions: 1 })
  await alter(world, world.topics.transactions, { 'cleanup.policy': 'compact' })
  const { stdout, code } = await millrace('doctor', world.file)
  expect(code).toBe(3)
  expect(stdout).toMatch(/^ok {4}kafka\.reachable +1 broker: 127\.0\.0\.1:\d+$/m)
  expect(stdout).toMatch(
    /^FAIL {2}topics\.compaction .*\n {6}why: A compacted log.*\n {6}fix: kafka-configs\.sh /m,
  )
  expect(stdout).toMatch(/^\d+ ok, \d+ warn, 1 fail, 0 unknown$/m)
})
