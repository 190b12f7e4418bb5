import { onTestFinished } from 'vitest'
import { openKafkaClient } from '../../src/kafka/client.ts'
import type { KafkaClient } from '../../src/kafka/client.ts'
import { Kafka, Partitioners } from '../../src/kafka/kafkajs.ts'
import { kafkaConfig } from '../../src/kafka/client.ts'
import type { KafkaPlan } from '../../src/kafka/plan.ts'
import type { Log } from '../../src/telemetry/log.ts'
import { systemClock } from '../../src/time/system-clock.ts'
import { brokers, uniqueName } from './servers.ts'

export const silentLog: Log = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} }

/** A plan for the test broker with a group of its own. */
export function testPlan(overrides: Partial<KafkaPlan> = {}): KafkaPlan {
  return {
    brokers: brokers(),
    clientId: 'test',
    instance: null,
    group: uniqueName('group'),
    sessionTimeoutMs: 10_000,
    transactionTimeoutMs: 20_000,
    ssl: false,
    sasl: null,
    ...overrides,
  }
}

/** Closed when the test ends. */
export function testClient(plan: KafkaPlan): KafkaClient {
  const client = openKafkaClient({ plan, clock: systemClock, log: silentLog })
  onTestFinished(() => client.close())
  return client
}

/** Creates a topic of its own for one test. */
export async function testTopic(client: KafkaClient, partitions = 1, settings = {}): Promise<string> {
  const topic = uniqueName('topic')
  await client.admin.ensureTopics([{ topic, partitions, settings }])
  return topic
}

export interface TestRecord {
  readonly value: string
  readonly key?: string
  readonly partition?: number
  readonly timestampMs?: number
}

/** Writes plain records, to partition 0 when none is given. */
export async function produce(
  plan: KafkaPlan,
  topic: string,
  records: readonly TestRecord[],
  compression = 0,
): Promise<void> {
  const producer = new Kafka(kafkaConfig(plan, silentLog)).producer({
    createPartitioner: Partitioners.DefaultPartitioner,
  })
  await producer.connect()
  await producer.send({
    topic,
    compression,
    messages: records.map(({ value, key, partition = 0, timestampMs }) => ({
      value,
      key: key ?? null,
      partition,
      ...(timestampMs === undefined ? {} : { timestamp: String(timestampMs) }),
    })),
  })
  await producer.disconnect()
}

export function numbered(count: number, from = 0): TestRecord[] {
  return Array.from({ length: count }, (_, index) => ({ value: `v${from + index}` }))
}
