import type { Admin, Producer } from 'kafkajs'
import { afterAll, afterEach, beforeAll, expect, onTestFinished, test } from 'vitest'
import { Kafka, logLevel } from '../../../src/kafka/kafkajs.ts'
import { systemClock } from '../../../src/time/system-clock.ts'
import { openKafkaCluster, type KafkaCluster } from '../../faults/servers/kafka-cluster.ts'
import { isCommit, transactionalIdOf } from '../../faults/wire/kafka-requests.ts'
import type { Wire } from '../../faults/wire/proxy.ts'
import { readCommitted } from '../../support/referee.ts'
import { uniqueName } from '../../support/servers.ts'
import { until } from '../../support/until.ts'

/** One broker, two clients; every test talks as client 0 and looks at the log through the plain listener. */
let cluster: KafkaCluster
let admin: Admin
let wire: Wire

beforeAll(async () => {
  cluster = await openKafkaCluster({ nodes: 1, clients: 2 })
  wire = cluster.wire(0, 1)
  admin = new Kafka({ brokers: cluster.bootstrap(), logLevel: logLevel.NOTHING }).admin()
  await admin.connect()
})

afterAll(async () => {
  await admin.disconnect()
  await cluster.close()
})

afterEach(() => {
  if (wire.problems.length > 0) throw new AggregateError(wire.problems)
})

const requestTimeoutMs = 1_000

function kafka(client = 0): InstanceType<typeof Kafka> {
  return new Kafka({
    brokers: cluster.bootstrap(client),
    clientId: `client-${client}`,
    requestTimeout: requestTimeoutMs,
    logLevel: logLevel.NOTHING,
    retry: { retries: 0 },
  })
}

async function connected(
  config: Parameters<ReturnType<typeof kafka>['producer']>[0] = {},
): Promise<Producer> {
  const producer = kafka().producer(config)
  await producer.connect()
  onTestFinished(() => producer.disconnect())
  return producer
}

async function newTopic(): Promise<string> {
  const topic = uniqueName('wire')
  await admin.createTopics({ topics: [{ topic, numPartitions: 1 }], waitForLeaders: true })
  return topic
}

async function logEnd(topic: string): Promise<number> {
  const [partition] = await admin.fetchTopicOffsets(topic)
  return Number(partition?.high)
}

function untilLogEnd(topic: string, end: number): Promise<void> {
  return until(`the log ends at ${end}`, async () => (await logEnd(topic)) >= end)
}

const record = { messages: [{ value: 'v', partition: 0 }] }

test('all that a process says goes through its own wires', async () => {
  const topic = await newTopic()
  const producer = await connected()
  await producer.send({ topic, ...record })
  expect(wire.seen('Produce')).toBe(1)
  expect(wire.seen('ApiVersions')).toBeGreaterThan(0)
  expect(cluster.wire(1, 1).seen('Metadata')).toBe(0)
  const other = kafka(1).admin()
  await other.connect()
  onTestFinished(() => other.disconnect())
  const { brokers } = await other.describeCluster()
  expect(brokers.map(({ port }) => port)).toEqual([cluster.wire(1, 1).port])
})

test('a delayed EndTxn commits late', async () => {
  const topic = await newTopic()
  const producer = await connected({ transactionalId: topic, maxInFlightRequests: 1 })
  const rule = wire.rule({
    on: 'EndTxn',
    at: 'request',
    where: ({ bytes }) => transactionalIdOf(bytes) === topic && isCommit(bytes) === true,
    action: { kind: 'delay', ms: 400 },
  })
  const transaction = await producer.transaction()
  await transaction.send({ topic, ...record })
  const startedAt = systemClock.monotonic()
  await transaction.commit()
  expect(systemClock.monotonic() - startedAt).toBeGreaterThanOrEqual(399)
  expect(rule.hits).toBe(1)
  expect(await readCommitted(cluster.bootstrap(), topic)).toHaveLength(1)
})

test('a dropped reply times out at the client although the broker did what it was asked', async () => {
  const topic = await newTopic()
  const producer = await connected()
  wire.rule({ on: 'Produce', at: 'reply', action: { kind: 'drop' }, nth: 1 })
  await expect(producer.send({ topic, ...record })).rejects.toThrow(/timed out/)
  expect(await logEnd(topic)).toBe(1)
})

test('a connection reset before the request leaves no trace in the log; the next send is served', async () => {
  const topic = await newTopic()
  const producer = await connected()
  wire.rule({ on: 'Produce', at: 'request', action: { kind: 'reset' }, nth: 1 })
  await expect(producer.send({ topic, ...record })).rejects.toThrow(/ECONNRESET|[Cc]onnection/)
  expect(await logEnd(topic)).toBe(0)
  await producer.send({ topic, ...record })
  expect(await logEnd(topic)).toBe(1)
})

test('a black hole times clients out and lets their requests through when it heals', async () => {
  const topic = await newTopic()
  const producer = await connected()
  wire.cut('blackHole')
  await expect(producer.send({ topic, ...record })).rejects.toThrow(/timed out/)
  expect(await logEnd(topic)).toBe(0)
  wire.cut(null)
  await producer.send({ topic, ...record })
  expect(await logEnd(topic)).toBeGreaterThanOrEqual(1)
})

test('a half-open connection times out, and the client comes back once it is reset', async () => {
  const topic = await newTopic()
  const producer = await connected()
  wire.cut('halfOpen')
  await expect(producer.send({ topic, ...record })).rejects.toThrow(/timed out/)
  wire.cut(null)
  const again = await connected()
  await again.send({ topic, ...record })
  expect(await logEnd(topic)).toBe(1)
})

test('a Produce that was under way when its client went arrives all the same, on the old connection', async () => {
  const topic = await newTopic()
  const release = Promise.withResolvers<void>()
  const action = { kind: 'hold', until: release.promise } as const
  const rule = wire.rule({ on: 'Produce', at: 'request', action, nth: 1 })
  const producer = await connected()
  const sent = expect(producer.send({ topic, ...record })).rejects.toThrow(/timed out|[Cc]losed/)
  await rule.hit
  await sent
  await producer.disconnect()
  expect(await logEnd(topic)).toBe(0)
  release.resolve()
  await untilLogEnd(topic, 1)
})

test('a Produce that arrives after its transactional id was claimed again is refused', async () => {
  const topic = await newTopic()
  const config = { transactionalId: topic, maxInFlightRequests: 1 }
  const release = Promise.withResolvers<void>()
  const isOurs = ({ bytes }: { bytes: Buffer }): boolean => transactionalIdOf(bytes) === topic
  const produce = { on: 'Produce', where: isOurs, nth: 1 }
  const held = wire.rule({
    ...produce,
    at: 'request',
    action: { kind: 'hold', until: release.promise },
  })
  const answered = Promise.withResolvers<Buffer | null>()
  wire.rule({
    ...produce,
    at: 'reply',
    action: { kind: 'call', run: (_, reply) => answered.resolve(reply) },
  })
  const zombie = await connected(config)
  const transaction = await zombie.transaction()
  const sent = expect(transaction.send({ topic, ...record })).rejects.toThrow()
  await held.hit
  await sent
  const claimed = await connected(config)
  await (await claimed.transaction()).abort()
  release.resolve()
  const reply = await answered.promise
  // length, correlation id, number of topics, name, number of partitions, partition, error
  const errorAt = 4 + 4 + 4 + 2 + Buffer.byteLength(topic) + 4 + 4
  const invalidProducerEpoch = 47
  expect(reply?.readInt16BE(errorAt)).toBe(invalidProducerEpoch)
  expect(await logEnd(topic)).toBe(1) // the marker of the abort
})

test('a broker that froze goes on, one that was killed comes back on the same ports with its data', async () => {
  const topic = await newTopic()
  const producer = await connected()
  await producer.send({ topic, ...record })
  const node = cluster.node(1)
  node.pause()
  await expect(producer.send({ topic, ...record })).rejects.toThrow(/timed out/)
  node.resume()
  await untilLogEnd(topic, 2)
  await node.kill()
  await expect(producer.send({ topic, ...record })).rejects.toThrow()
  await node.start()
  const patient = { retry: { initialRetryTime: 50, maxRetryTime: 200, retries: 100 } } // it may not lead yet
  const again = await connected(patient)
  await again.send({ topic, ...record })
  expect(await logEnd(topic)).toBeGreaterThanOrEqual(3)
})
