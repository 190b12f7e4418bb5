import type { Producer } from 'kafkajs'
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest'
import { Kafka, logLevel } from '../../../src/kafka/kafkajs.ts'
import { openKafkaCluster, type KafkaCluster, type KafkaNode } from '../../faults/servers/kafka-cluster.ts'
import { uniqueName } from '../../support/servers.ts'

let cluster: KafkaCluster

beforeAll(async () => {
  cluster = await openKafkaCluster({ nodes: 3, clients: 1 })
})

afterAll(() => cluster.close())

/** Long enough for a cluster that has to notice a loss first. */
const retry = { initialRetryTime: 100, maxRetryTime: 500, retries: 100 }

function client(): InstanceType<typeof Kafka> {
  return new Kafka({ brokers: cluster.bootstrap(0), logLevel: logLevel.NOTHING, retry })
}

async function connectedProducer(): Promise<Producer> {
  const producer = client().producer({ retry })
  await producer.connect()
  onTestFinished(() => producer.disconnect())
  return producer
}

async function newTopic(): Promise<string> {
  const admin = client().admin()
  await admin.connect()
  const topic = uniqueName('cluster')
  await admin.createTopics({ topics: [{ topic, numPartitions: 1 }], waitForLeaders: true })
  await admin.disconnect()
  return topic
}

async function logEnd(topic: string): Promise<string | undefined> {
  const admin = client().admin()
  await admin.connect()
  const [partition] = await admin.fetchTopicOffsets(topic)
  await admin.disconnect()
  return partition?.high
}

/** A group whose coordinator is this node. */
async function groupOf(node: KafkaNode): Promise<string> {
  for (;;) {
    const group = uniqueName('group')
    if ((await cluster.coordinatorOf(group)) === node) return group
  }
}

test('three nodes survive the kill of a leader and coordinator, and take it back', async () => {
  const topic = await newTopic()
  const producer = await connectedProducer()
  const send = (value: string): Promise<unknown> =>
    producer.send({ topic, messages: [{ value, partition: 0 }], acks: -1 })
  await send('before')
  const leader = await cluster.leaderOf(topic, 0)
  const group = await groupOf(leader)
  await leader.kill()
  await send('after')
  expect(await cluster.coordinatorOf(group)).not.toBe(leader)
  const next = await cluster.leaderOf(topic, 0)
  expect(next.id).not.toBe(leader.id)
  expect(Number(await logEnd(topic))).toBeGreaterThanOrEqual(2) // a resent record may be there twice
  await leader.start()
  await cluster.untilHealthy()
  expect(new Set((await cluster.state()).nodes)).toEqual(new Set([1, 2, 3]))
})

test('leadership of a partition moves to the node asked for, and clients follow', async () => {
  const topic = await newTopic()
  const from = await cluster.leaderOf(topic, 0)
  const to = cluster.nodes.find(({ id }) => id !== from.id)?.id ?? 0
  await cluster.moveLeader(topic, 0, to)
  expect((await cluster.leaderOf(topic, 0)).id).toBe(to)
  const before = cluster.wire(0, to).seen('Produce')
  const producer = await connectedProducer()
  await producer.send({ topic, messages: [{ value: 'v', partition: 0 }] })
  expect(cluster.wire(0, to).seen('Produce')).toBe(before + 1)
})
