import { expect, onTestFinished, test, vi } from 'vitest'
import { refuseCompacted } from '../../src/kafka/admin.ts'
import { Kafka } from '../../src/kafka/kafkajs.ts'
import { kafkaConfig } from '../../src/kafka/client.ts'
import { waitForBroker } from '../../src/kafka/wait-for-broker.ts'
import { freePorts } from '../../src/stack/ports.ts'
import { systemClock } from '../../src/time/system-clock.ts'
import { numbered, produce, silentLog, testClient, testPlan, testTopic } from '../support/kafka-client.ts'
import { uniqueName } from '../support/servers.ts'

test('missing topics are created with their settings; existing ones are left as they are', async () => {
  const { admin } = testClient(testPlan())
  const [old, added] = [uniqueName('old'), uniqueName('added')]
  const first = { topic: old, partitions: 2, settings: { 'retention.ms': '3600000' } }
  expect(await admin.ensureTopics([first])).toEqual([old])
  expect(
    await admin.ensureTopics([
      { ...first, partitions: 9 },
      { topic: added, partitions: 1 },
    ]),
  ).toEqual([added])
  expect(await admin.describeTopics([old])).toEqual([
    {
      topic: old,
      partitions: 2,
      cleanupPolicy: 'delete',
      retentionMs: 3_600_000,
      retentionBytes: -1,
      maxMessageBytes: 1_048_588,
      segmentBytes: 1_073_741_824,
      minInSyncReplicas: 1,
    },
  ])
})

test.each(['compact', 'compact,delete'])(
  'a topic with cleanup.policy=%s is refused as a source',
  async (policy) => {
    const client = testClient(testPlan())
    const topics = [await testTopic(client), await testTopic(client, 1, { 'cleanup.policy': policy })]
    const described = await client.admin.describeTopics(topics)
    expect(() => refuseCompacted(described)).toThrow(`topic ${topics[1]} has cleanup.policy=`)
    expect(() => refuseCompacted(described.slice(0, 1))).not.toThrow()
  },
)

test('all missing topics are named together', async () => {
  const client = testClient(testPlan())
  const [there, ...missing] = [await testTopic(client), uniqueName('no'), uniqueName('neither')]
  await expect(client.admin.describeTopics([there, ...missing])).rejects.toMatchObject({
    code: 'KAFKA_TOPIC_MISSING',
    message: expect.stringContaining(missing.join(', ')),
  })
})

test('the log range is what the leader has, and a deleted topic does not spoil the next question', async () => {
  const client = testClient(testPlan())
  const [kept, gone] = [await testTopic(client), await testTopic(client)]
  await produce(client.plan, kept, numbered(3))
  expect(await client.admin.logRange(kept, 0)).toEqual({ start: 0, end: 3 })
  expect(await client.admin.logRange(gone, 0)).toEqual({ start: 0, end: 0 })
  // Deleted by somebody else, so that this client still believes in it.
  await testClient(testPlan()).admin.deleteTopics([gone, uniqueName('never-was')])
  await expect(client.admin.groupOffset('g', uniqueName('absent'), 0)).rejects.toMatchObject({
    code: 'KAFKA_TOPIC_MISSING',
  })
  expect(await client.admin.logRange(kept, 0)).toEqual({ start: 0, end: 3 })
  await expect(client.admin.logRange(kept, 5)).rejects.toMatchObject({ code: 'KAFKA_TOPIC_MISSING' })
})

test('the ends of logs count what an open transaction has written: it stands there, and may be committed', async () => {
  const client = testClient(testPlan())
  const [decided, open] = [await testTopic(client, 2), await testTopic(client)]
  await produce(client.plan, decided, numbered(3))
  const producer = new Kafka(kafkaConfig(client.plan, silentLog)).producer({
    transactionalId: uniqueName('open'),
  })
  await producer.connect()
  onTestFinished(() => producer.disconnect())
  const transaction = await producer.transaction()
  await transaction.send({ topic: open, messages: [{ value: 'undecided' }, { value: 'too' }] })
  const inputs = [0, 1].map((partition) => ({ topic: decided, partition }))
  const ends = await client.admin.logEnds([...inputs, { topic: open, partition: 0 }])
  expect([ends.get(`${decided}:0`), ends.get(`${decided}:1`), ends.get(`${open}:0`)]).toEqual([3, 0, 2])
  await transaction.abort()
})

test('the cluster has one name, whoever asks', async () => {
  const [one, two] = [testClient(testPlan()), testClient(testPlan())]
  expect(await one.admin.clusterId()).toBe(await two.admin.clusterId())
  expect(await one.admin.clusterId()).toMatch(/^\S{22}$/)
})

test('a running broker is waited for no longer than it takes', async () => {
  const onWaiting = vi.fn()
  await waitForBroker({
    plan: testPlan(),
    clock: systemClock,
    log: silentLog,
    startWaitMs: 10_000,
    onWaiting,
  })
  expect(onWaiting).not.toHaveBeenCalled()
})

test('a broker that is not there is waited for, told about, and given up by name', async () => {
  const [port = 0] = await freePorts(1)
  const plan = testPlan({ brokers: [`127.0.0.1:${port}`] })
  const onWaiting = vi.fn()
  const waiting = waitForBroker({ plan, clock: systemClock, log: silentLog, startWaitMs: 300, onWaiting })
  await expect(waiting).rejects.toMatchObject({
    code: 'KAFKA_UNREACHABLE',
    message: expect.stringContaining(`127.0.0.1:${port}`),
  })
  expect(onWaiting).toHaveBeenCalledWith(
    expect.any(Number),
    expect.stringMatching(/ECONNREFUSED|Connection error/),
  )
})

test('waiting ends with its signal', async () => {
  const [port = 0] = await freePorts(1)
  const plan = testPlan({ brokers: [`127.0.0.1:${port}`] })
  const stop = new AbortController()
  const onWaiting = () => stop.abort(new Error('stopped'))
  const wait = {
    plan,
    clock: systemClock,
    log: silentLog,
    startWaitMs: 60_000,
    signal: stop.signal,
    onWaiting,
  }
  await expect(waitForBroker(wait)).rejects.toThrow('stopped')
})

test('idle connections cost no timers', async () => {
  const admin = new Kafka(kafkaConfig(testPlan(), silentLog)).admin()
  await admin.connect()
  await admin.describeCluster()
  const timers = vi.spyOn(globalThis, 'setTimeout')
  const idle = 50
  // Timed by setImmediate turns, not by the clock: as published, each millisecond of them arms another timer.
  const until = performance.now() + idle
  while (performance.now() < until) await new Promise((resolve) => setImmediate(resolve))
  const armed = timers.mock.calls.length
  timers.mockRestore()
  await admin.disconnect()
  expect(armed).toBe(0)
})
