import { afterAll, beforeAll, expect, test } from 'vitest'
import { feedTopics } from '../../../src/cli/feed-topics.ts'
import { openKafkaClient } from '../../../src/kafka/client.ts'
import { openPlainProducer } from '../../../src/kafka/plain-producer.ts'
import type { KafkaPlan } from '../../../src/kafka/plan.ts'
import { tailTopics } from '../../../src/kafka/tail-consumer.ts'
import type { RawRecord } from '../../../src/record/raw-record.ts'
import { createFeed } from '../../../src/simulator/feed.ts'
import { createSimulation } from '../../../src/simulator/simulation.ts'
import { quietLog } from '../../../src/telemetry/log.ts'
import { systemClock } from '../../../src/time/system-clock.ts'
import { brokers, uniqueName } from '../../support/servers.ts'

const topics = { transactions: uniqueName('tx'), labels: uniqueName('labels') }
const plan: KafkaPlan = {
  brokers: brokers(),
  clientId: 'test',
  instance: null,
  group: uniqueName('group'),
  sessionTimeoutMs: 10_000,
  transactionTimeoutMs: 60_000,
  ssl: false,
  sasl: null,
}
const options = {
  seed: 3,
  customers: 200,
  terminals: 40,
  preloadDays: 10,
  transactionsPerDay: 500,
  startMs: Date.UTC(2026, 0, 31),
  ratePerSecond: 1,
}
const client = openKafkaClient({ plan, clock: systemClock, log: quietLog })

beforeAll(async () => {
  await client.admin.ensureTopics(
    Object.values(topics).map((topic) => ({ topic, partitions: 3, settings: { 'retention.ms': '-1' } })),
  )
})

afterAll(async () => {
  await client.admin.deleteTopics(Object.values(topics))
  await client.close()
})

test('simulated history is in the topics as generated: order per key, keys, values and backdated timestamps', async () => {
  const producer = await openPlainProducer(plan, Object.values(topics), quietLog)
  const progress = await feedTopics(
    {
      feed: createFeed(createSimulation(options)),
      producer,
      clock: systemClock,
      topics,
      startMs: options.startMs,
      liveMax: 0,
    },
    new AbortController().signal,
  )
  await producer.close()

  const found: RawRecord[] = []
  await tailTopics(
    {
      plan,
      topics: Object.values(topics),
      fromBeginning: true,
      log: quietLog,
      onRecord: (record) => found.push(record) < progress.transactions + progress.labels,
    },
    new AbortController().signal,
  )

  const expected = createFeed(createSimulation(options)).takeUntil(options.startMs - 1, Infinity)
  const lines = (records: readonly { key: string; timestampMs: number; value: string }[]) =>
    [...Map.groupBy(records, ({ key }) => key)]
      .map(([key, group]) => [key, group.map(({ timestampMs, value }) => `${timestampMs} ${value}`)] as const)
      .sort(([a], [b]) => (a < b ? -1 : 1))
  expect(
    lines(found.map((r) => ({ key: String(r.key), timestampMs: r.timestamp, value: String(r.value) }))),
  ).toEqual(
    lines(expected.map((r) => ({ key: r.key, timestampMs: r.timestampMs, value: JSON.stringify(r.value) }))),
  )
  expect(new Set(found.map(({ topic, partition }) => `${topic}:${partition}`)).size).toBe(6)
})

test('tailing commits nothing and ends when told', async () => {
  const stop = new AbortController()
  let seen = 0
  await tailTopics(
    {
      plan,
      topics: [topics.transactions],
      fromBeginning: true,
      log: quietLog,
      onRecord: () => {
        seen += 1
        stop.abort()
        return true
      },
    },
    stop.signal,
  )
  expect(seen).toBe(1)
  expect((await client.admin.groupOffset(plan.group, topics.transactions, 0)).offset).toBe(-1)
})

test('a missing topic is named before anything is written', async () => {
  const opening = openPlainProducer(plan, [topics.labels, 'no-such-topic'], quietLog)
  await expect(opening).rejects.toMatchObject({
    code: 'KAFKA_TOPIC_MISSING',
    message: 'these topics do not exist: no-such-topic',
  })
})
