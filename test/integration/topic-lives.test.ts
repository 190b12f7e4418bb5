import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { expect, onTestFinished, test } from 'vitest'
import { Kafka, logLevel } from '../../src/kafka/kafkajs.ts'
import { findJava } from '../../src/stack/java.ts'
import { kafkaJars, kafkaToolArgs } from '../../src/stack/kafka-server.ts'
import { testClient, testPlan, testTopic } from '../support/kafka-client.ts'
import { brokers, uniqueName } from '../support/servers.ts'

test('topics are told with their number of partitions and the id that the tools of Kafka print; missing ones are left out', async () => {
  const client = testClient(testPlan())
  const [one, four, missing] = [await testTopic(client), await testTopic(client, 4), uniqueName('missing')]
  const lives = await client.admin.topicLives([one, four, missing])
  expect([...lives.keys()].toSorted()).toEqual([one, four].toSorted())
  expect(lives.get(one)).toMatchObject({ partitions: 1 })
  expect(lives.get(four)).toMatchObject({ partitions: 4 })
  expect(lives.get(four)?.id).toBe(await idByTool(four))
})

test('a topic that is deleted and created again has another id; added partitions are counted at once', async () => {
  const client = testClient(testPlan())
  const admin = new Kafka({ brokers: brokers(), logLevel: logLevel.NOTHING }).admin()
  await admin.connect()
  onTestFinished(() => admin.disconnect())
  const topic = await testTopic(client, 1)
  const first = (await client.admin.topicLives([topic])).get(topic)
  await admin.createPartitions({ topicPartitions: [{ topic, count: 3 }] })
  expect((await client.admin.topicLives([topic])).get(topic)).toEqual({ id: first?.id, partitions: 3 })
  await client.admin.deleteTopics([topic])
  expect((await client.admin.topicLives([topic])).size).toBe(0)
  await client.admin.ensureTopics([{ topic, partitions: 2 }])
  const second = (await client.admin.topicLives([topic])).get(topic)
  expect(second?.partitions).toBe(2)
  expect(second?.id).not.toBe(first?.id)
})

async function idByTool(topic: string): Promise<string | undefined> {
  const options = ['--bootstrap-server', brokers().join(','), '--describe', '--topic', topic]
  const jars = await kafkaJars(() => {})
  const { stdout } = await promisify(execFile)(
    await findJava(),
    kafkaToolArgs(jars, 'org.apache.kafka.tools.TopicCommand', options),
  )
  return /TopicId: (\S+)/.exec(stdout)?.[1]
}
