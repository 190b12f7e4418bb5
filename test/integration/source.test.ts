import { expect, test } from 'vitest'
import { openTransactionPort } from '../../src/commit/kafka-transaction.ts'
import type { KafkaClient } from '../../src/kafka/client.ts'
import { Kafka, Partitioners } from '../../src/kafka/kafkajs.ts'
import { kafkaConfig } from '../../src/kafka/client.ts'
import type { InputStream } from '../../src/source/source.ts'
import { systemClock } from '../../src/time/system-clock.ts'
import { numbered, produce, silentLog, testClient, testPlan, testTopic } from '../support/kafka-client.ts'
import { never, startSource, takeRecords, takeUntil, valuesOf } from '../support/source-probe.ts'
import { uniqueName } from '../support/servers.ts'

function only(streams: readonly InputStream[]): InputStream {
  const [stream] = streams
  if (!stream || streams.length !== 1) throw new Error(`expected one stream, got ${streams.length}`)
  return stream
}

/** A producer that writes inside transactions of its own. */
async function transactional({ plan }: KafkaClient) {
  const producer = new Kafka(kafkaConfig(plan, silentLog)).producer({
    transactionalId: uniqueName('writer'),
    maxInFlightRequests: 1,
    createPartitioner: Partitioners.DefaultPartitioner,
  })
  await producer.connect()
  return {
    write: async (topic: string, values: readonly string[]) => {
      const transaction = await producer.transaction()
      await transaction.send({ topic, messages: values.map((value) => ({ value, partition: 0 })) })
      return transaction
    },
    close: () => producer.disconnect(),
  }
}

test('records of several topics come in order, from where each stream was sought', async () => {
  const client = testClient(testPlan())
  const [a, b] = [await testTopic(client), await testTopic(client)]
  await produce(client.plan, a, numbered(100))
  await produce(client.plan, b, numbered(100))
  const probe = await startSource(client, [a, b])
  const streams = await probe.assignment()
  expect(streams.map(({ input }) => input.source).toSorted()).toEqual(
    [`source of ${a}`, `source of ${b}`].toSorted(),
  )
  for (const stream of streams) {
    const start = stream.input.topic === a ? 0 : 90
    stream.seek(start)
    const records = await takeRecords(stream, 100 - start)
    expect(records.map(({ offset }) => offset)).toEqual(
      numbered(100 - start).map((_, index) => start + index),
    )
    expect(valuesOf(records)[0]).toBe(`v${start}`)
    expect(stream).toMatchObject({ position: 100, highWatermark: 100 })
  }
})

test('nothing from before a seek is delivered, however often and wherever it is sought', async () => {
  const client = testClient(testPlan())
  const topic = await testTopic(client)
  await produce(client.plan, topic, numbered(2_000))
  const probe = await startSource(client, [topic], { queuedRowsMax: 50, fetchPartitionBytesMax: 2_000 })
  const stream = only(await probe.assignment())
  for (const offset of [0, 1_500, 10, 700, 700, 1_999, 3, 1_000]) {
    stream.seek(offset)
    expect((await stream.take(7, never)).records[0]?.offset).toBe(offset)
    stream.seek(offset + 1 === 2_000 ? 0 : offset + 1)
    stream.seek(offset)
    expect((await stream.take(7, never)).records[0]?.offset).toBe(offset)
  }
  stream.seek(0)
  expect((await takeRecords(stream, 2_000)).map(({ offset }) => offset)).toEqual(
    numbered(2_000).map((_, i) => i),
  )
})

test('a queue that is full stops the fetching, and starts it again when it is taken', async () => {
  const client = testClient(testPlan())
  const topic = await testTopic(client)
  const limits = { queuedRowsMax: 20, queuedBytesMax: 1e6, fetchPartitionBytesMax: 200 }
  const probe = await startSource(client, [topic], limits)
  const stream = only(await probe.assignment())
  // One record batch is one fetch at least, so they must be small for the bound to show.
  for (let from = 0; from < 200; from += 10) await produce(client.plan, topic, numbered(10, from))
  stream.seek(0)
  const first = await stream.take(1, never)
  expect(first.next).toBe(1)
  await stream.heartbeatAccepted(never)
  const { records } = await stream.take(10_000, never)
  expect(records.length).toBeLessThanOrEqual(40)
  expect(valuesOf(await takeRecords(stream, 199 - records.length)).at(-1)).toBe('v199')
})

test('aborted records are not seen, nor waited for: a fetch of nothing else moves the position', async () => {
  const client = testClient(testPlan())
  const topic = await testTopic(client)
  const [one, two] = [await transactional(client), await transactional(client)]
  const probe = await startSource(client, [topic])
  const stream = only(await probe.assignment())

  // Aborted in the opposite order of their beginning: the broker lists them by their ends.
  const first = await one.write(topic, ['a0', 'a1'])
  const second = await two.write(topic, ['b2'])
  await second.abort()
  await first.abort()
  stream.seek(0)
  expect(await takeUntil(stream, 5)).toEqual([])

  await (await one.write(topic, ['c5'])).commit()
  expect(valuesOf(await takeRecords(stream, 1))).toEqual(['c5'])
  stream.seek(1) // inside of both
  expect(valuesOf(await takeUntil(stream, 7))).toEqual(['c5'])
  await Promise.all([one.close(), two.close()])
})

test('a second member takes partitions over only after the first has finished its open work', async () => {
  const plan = testPlan()
  const [one, two] = [testClient(plan), testClient(plan)]
  const topic = await testTopic(one, 2)
  await produce(plan, topic, numbered(5))
  const first = await startSource(one, [topic])
  const before = await first.assignment()
  expect(before.map(({ input }) => input.partition)).toEqual([0, 1])

  const steps: string[] = []
  const release = Promise.withResolvers<void>()
  const called = Promise.withResolvers<void>()
  first.onRevoking = async () => {
    steps.push(`revoking, ${before.some(({ ended }) => ended.aborted) ? 'ended' : 'serving'}`)
    called.resolve()
    await release.promise
    steps.push('finished')
  }
  const joining = startSource(two, [topic]).then((probe) => {
    steps.push('second joined')
    return probe
  })
  await called.promise
  await expect(before[0]?.heartbeatAccepted(never)).rejects.toThrow(/rebalancing/)
  release.resolve()
  const second = await joining
  expect(steps).toEqual(['revoking, serving', 'finished', 'second joined'])
  expect(before.every(({ ended }) => ended.aborted)).toBe(true)

  const after = [only(await first.assignment()), only(await second.assignment())]
  expect(after.map(({ input }) => input.partition).toSorted((a, b) => a - b)).toEqual([0, 1])
  const zero = after.find(({ input }) => input.partition === 0)
  zero?.seek(0)
  expect(await zero?.take(10, never)).toMatchObject({ next: 5 })
  await second.source.stop()
  expect((await first.assignment()).length).toBe(2)
  expect(first.revocations).toBe(2)
})

test('work that does not finish within the revoke deadline does not hold up the group', async () => {
  const plan = testPlan()
  const [one, two] = [testClient(plan), testClient(plan)]
  const topic = await testTopic(one, 2)
  const first = await startSource(one, [topic], { revokeDeadlineMs: 50 })
  const before = await first.assignment()
  first.onRevoking = () => new Promise(() => {})
  const second = await startSource(two, [topic])
  expect((await second.assignment()).length).toBe(1)
  expect(before.every(({ ended }) => ended.aborted)).toBe(true)
})

test('a heartbeat of the generation is waited for; none comes after its end', async () => {
  const client = testClient(testPlan())
  const topic = await testTopic(client)
  const probe = await startSource(client, [topic], { heartbeatIntervalMs: 50 })
  const stream = only(await probe.assignment())
  await expect(stream.heartbeatAccepted(never)).resolves.toBeUndefined()
  const waiting = expect(stream.heartbeatAccepted(never)).rejects.toThrow()
  await probe.source.stop()
  await waiting
  await expect(stream.heartbeatAccepted(never)).rejects.toThrow()
})

test.each([
  ['below the log', 3, 'OFFSET_BELOW_LOG'],
  ['beyond the log', 1_000, 'OFFSET_FOREIGN'],
])(
  'an offset %s is an error of the stream, and the committed offset stays as it is',
  async (_name, offset, code) => {
    const client = testClient(testPlan())
    const { plan } = client
    const topic = await testTopic(client)
    await produce(plan, topic, numbered(10))
    const input = { source: 's', topic, partition: 0 }
    const port = openTransactionPort({ client, app: 'test', clock: systemClock, log: silentLog })
    const owner = await port.claim(input, never)
    await owner.run([], { offset: 8, metadata: 'mine' })
    await owner.close()
    const claim = await port.claim(input, never) // waits until the position has been written out
    const admin = new Kafka(kafkaConfig(plan, silentLog)).admin()
    await admin.connect()
    await admin.fetchTopicOffsets(topic) // loads the metadata that the next call needs
    await admin.deleteTopicRecords({ topic, partitions: [{ partition: 0, offset: '6' }] })
    await admin.disconnect()

    const probe = await startSource(client, [topic])
    const stream = only(await probe.assignment())
    expect(await stream.logRange()).toEqual({ start: 6, end: 10 })
    stream.seek(offset)
    await expect(stream.take(10, never)).rejects.toMatchObject({ code })
    await stream.heartbeatAccepted(never)
    expect(await claim.committed(never)).toEqual({ offset: 8, metadata: 'mine' })
    stream.seek(8)
    expect(valuesOf(await takeRecords(stream, 2))).toEqual(['v8', 'v9'])
    await claim.close()
  },
)

test('an offset is found by the time of its record', async () => {
  const client = testClient(testPlan())
  const topic = await testTopic(client)
  const timed = [1_000, 2_000, 3_000].map((ms) => ({ value: `${ms}`, timestampMs: 1.7e12 + ms }))
  await produce(client.plan, topic, timed)
  const probe = await startSource(client, [topic])
  const stream = only(await probe.assignment())
  expect(await stream.offsetAt(1.7e12 + 1_500)).toBe(1)
  expect(await stream.offsetAt(0)).toBe(0)
  expect(await stream.offsetAt(1.7e12 + 3_001)).toBe(3)
})

test('a partition added while serving is assigned', async () => {
  const client = testClient(testPlan())
  const topic = await testTopic(client)
  const probe = await startSource(client, [topic], { metadataAgeMaxMs: 100 })
  only(await probe.assignment())
  const admin = new Kafka(kafkaConfig(client.plan, silentLog)).admin()
  await admin.connect()
  await admin.createPartitions({ topicPartitions: [{ topic, count: 2 }] })
  await admin.disconnect()
  expect((await probe.assignment()).map(({ input }) => input.partition)).toEqual([0, 1])
})

test('stopping twice leaves once, and a stopped source is gone from its group at once', async () => {
  const plan = testPlan()
  const client = testClient(plan)
  const topic = await testTopic(client)
  const first = await startSource(client, [topic])
  await Promise.all([first.source.stop(), first.source.stop()])
  expect(first.revocations).toBe(1)
  const second = await startSource(client, [topic])
  expect((await second.assignment()).length).toBe(1)
})

test('a missing topic is named at the start', async () => {
  const client = testClient(testPlan())
  const topic = uniqueName('absent')
  await expect(startSource(client, [topic])).rejects.toMatchObject({
    code: 'KAFKA_TOPIC_MISSING',
    message: expect.stringContaining(topic),
  })
})
