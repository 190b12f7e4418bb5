import { Kafka, logLevel } from 'kafkajs'
import { Redis } from 'ioredis'
import { expect, test } from 'vitest'
import { brokers, redisUrl, registryUrl, uniqueName } from '../../support/servers.ts'

test('the shared Kafka creates topics, and takes and gives records', async () => {
  const kafka = new Kafka({ brokers: brokers(), logLevel: logLevel.NOTHING })
  const topic = uniqueName('stack')
  const admin = kafka.admin()
  await admin.connect()
  await admin.createTopics({ topics: [{ topic, numPartitions: 2 }] })
  const producer = kafka.producer()
  await producer.connect()
  await producer.send({ topic, messages: [{ partition: 1, key: 'k', value: 'v', timestamp: '1000' }] })
  const offsets = await admin.fetchTopicOffsets(topic)
  expect(offsets.find(({ partition }) => partition === 1)?.high).toBe('1')
  await producer.disconnect()
  await admin.disconnect()
})

test('the shared Redis never evicts', async () => {
  const redis = new Redis(redisUrl())
  expect(await redis.info('memory')).toContain('maxmemory_policy:noeviction')
  redis.disconnect()
})

test('the registry starts once, on demand, and registers schemas', async () => {
  const [url, again] = await Promise.all([registryUrl(), registryUrl()])
  expect(again).toBe(url)
  const response = await fetch(`${url}/subjects/${uniqueName('subject')}/versions`, {
    method: 'POST',
    headers: { 'content-type': 'application/vnd.schemaregistry.v1+json' },
    body: JSON.stringify({ schema: '"string"' }),
  })
  expect(await response.json()).toHaveProperty('id')
})
