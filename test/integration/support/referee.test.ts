import { Kafka, logLevel } from 'kafkajs'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { readCommitted } from '../../support/referee.ts'
import { brokers, uniqueName } from '../../support/servers.ts'

const kafka = new Kafka({ brokers: brokers(), logLevel: logLevel.NOTHING, retry: { initialRetryTime: 20 } })
const admin = kafka.admin()

beforeAll(() => admin.connect())
afterAll(() => admin.disconnect())

async function createTopic(numPartitions: number): Promise<string> {
  const topic = uniqueName('referee')
  await admin.createTopics({ topics: [{ topic, numPartitions }] })
  return topic
}

test('the referee sees committed records with all their parts, and nothing of an aborted transaction', async () => {
  const topic = await createTopic(3)
  const producer = kafka.producer({ transactionalId: uniqueName('tx') })
  await producer.connect()
  const committed = await producer.transaction()
  const message = {
    key: 'k',
    value: '{"a":1}',
    timestamp: '1700000000000',
    headers: { trace: 'a:b', model: 'm' },
  }
  await committed.send({ topic, messages: [{ ...message, partition: 0 }] })
  await committed.commit()
  const aborted = await producer.transaction()
  await aborted.send({ topic, messages: [0, 1].map((partition) => ({ partition, value: 'aborted' })) })
  await aborted.abort()
  const last = await producer.transaction()
  await last.send({ topic, messages: [{ partition: 0, key: null, value: null }] })
  await last.commit()
  await producer.disconnect()

  const records = await readCommitted(brokers(), topic)

  expect(records).toMatchObject([
    { topic, partition: 0, offset: 0, key: 'k', value: '{"a":1}', timestamp: 1_700_000_000_000 },
    { topic, partition: 0, offset: 4, key: null, value: null, headers: {} },
  ])
  expect(records[0]?.headers).toEqual({ trace: 'a:b', model: 'm' })
})

test('the referee ends before an open transaction instead of waiting for it', async () => {
  const topic = await createTopic(1)
  const plain = kafka.producer()
  await plain.connect()
  await plain.send({ topic, messages: [{ value: 'before' }] })
  const producer = kafka.producer({ transactionalId: uniqueName('tx') })
  await producer.connect()
  const open = await producer.transaction()
  await open.send({ topic, messages: [{ value: 'undecided' }] })
  await plain.send({ topic, messages: [{ value: 'behind it' }] })

  expect((await readCommitted(brokers(), topic)).map(({ value }) => value)).toEqual(['before'])

  await open.abort()
  await Promise.all([producer.disconnect(), plain.disconnect()])
})

test('the referee reads an empty topic as empty', async () => {
  expect(await readCommitted(brokers(), await createTopic(2))).toEqual([])
})
