import { expect, test } from 'vitest'
import { Partitioners, type Producer } from '../../../src/kafka/kafkajs.ts'
import { checkExactlyOnce, deadLetterPosition } from '../../support/exactly-once.ts'
import { readCommitted } from '../../support/referee.ts'
import { brokers, uniqueName } from '../../support/servers.ts'
import { CardTraffic } from '../../support/service-records.ts'
import { message, openWorld, type ServiceWorld } from '../../support/service-world.ts'
import { until } from '../../support/until.ts'

async function transactional(world: ServiceWorld): Promise<Producer> {
  const producer = world.kafka.producer({
    transactionalId: uniqueName('input'),
    maxInFlightRequests: 1,
    createPartitioner: Partitioners.DefaultPartitioner,
  })
  await producer.connect()
  return producer
}

test('aborted records of a transactional producer are never seen, an open transaction is waited for', async () => {
  const world = await openWorld({ partitions: 1, change: { limits: { rowsPerTransactionMax: 50 } } })
  const traffic = new CardTraffic({ seed: 10, partitions: 1, customers: 30 })
  const { transactions: topic } = world.topics
  const [producer, other] = [await transactional(world), await transactional(world)]
  // Interleaved: the later one is aborted first, and both are read in one fetch.
  const outer = await producer.transaction()
  await outer.send({ topic, messages: traffic.next(20).map(message) })
  const inner = await other.transaction()
  await inner.send({ topic, messages: traffic.next(20).map(message) })
  await world.write(traffic.next(20))
  await outer.send({ topic, messages: traffic.next(20).map(message) })
  await inner.abort()
  await outer.send({ topic, messages: traffic.next(20).map(message) })
  await world.write(traffic.next(20))
  await outer.abort()
  await other.disconnect()
  const service = world.start()
  const end = async (): Promise<number> => {
    const [only] = await world.admin.fetchTopicOffsets(topic)
    return Number(only?.high)
  }
  for (let i = 0; i < 20; i++) {
    const records = traffic.next(60)
    const transaction = await producer.transaction()
    const [answer] = await transaction.send({ topic, messages: records.map(message) })
    if (i % 3 === 1) {
      await transaction.abort()
      continue
    }
    await transaction.commit()
    world.log(records, Number(answer?.baseOffset))
  }
  await world.caughtUp() // also over the marker of an abort at the very end

  const stable = await end()
  const open = await producer.transaction()
  await open.send({ topic, messages: traffic.next(60).map(message) })
  await world.write(traffic.next(30)) // behind the open transaction
  const [position] = await world.positions()
  expect(position?.offset).toBe(stable)
  await open.abort()
  await world.caughtUp()
  await producer.disconnect()

  const seen = await readCommitted(brokers(), topic)
  expect(seen.map(({ offset }) => offset)).toEqual(world.input.map(({ offset }) => offset))
  await checkExactlyOnce(world)
  expect(service.exit).toBeNull()
})

test('what cannot be scored becomes a dead letter as it was, with where and why, and still counts if it is an event', async () => {
  const world = await openWorld({
    model: 'lookup.onnx', // throws for a tier above 3
    change: { model: { inputs: { features: ['riskTier', 'customer_count_10m', 'customer_count_1h'] } } },
  })
  const traffic = new CardTraffic({ seed: 11, partitions: 4, badShare: 0.1, customers: 40 })
  for (let i = 0; i < 20; i++) {
    await world.write([
      ...traffic.next(50),
      { ...traffic.one({ tier: 9 }), headers: { traceparent: '00-1-2-01' } },
    ])
  }
  world.start()
  await world.caughtUp()
  const { deadLetters, predictions } = await checkExactlyOnce(world, {
    poison: ({ event }) => event?.fields['tier'] === 9,
  })
  const inputs = new Map(world.input.map((input) => [`${input.partition}:${input.offset}`, input]))
  for (const letter of deadLetters) {
    const { topic, partition, offset } = deadLetterPosition(letter)
    const input = inputs.get(`${partition}:${offset}`)
    expect(topic).toBe(world.topics.transactions)
    expect([letter.key, letter.value]).toEqual([input?.key, input?.value])
    expect(letter.headers).toMatchObject({
      ...input?.headers,
      '__dlq.errors.group': world.plan.kafka.group,
      '__dlq.errors.delivery.count': '1',
      'millrace.dlq.attempts': '1',
      'millrace.dlq.model': expect.stringMatching(/^lookup\/.*@sha256:[0-9a-f]{64}$/),
    })
    expect(letter.headers['__dlq.errors.message']).not.toBe('')
  }
  const reasons = new Set(deadLetters.map(({ headers }) => headers['millrace.dlq.reason']))
  expect(reasons).toEqual(new Set(['DECODE', 'INFERENCE', 'SCHEMA', 'TIMESTAMP', 'VALIDATION']))
  expect(deadLetters.filter(({ headers }) => headers['millrace.dlq.reason'] === 'INFERENCE').length).toBe(20)
  expect(new Set(predictions.map(({ record }) => record.headers['millrace.model.name']))).toEqual(
    new Set(['lookup']),
  )
})

test('a topic of nothing but dead letters is not drained: the service stops and says why', async () => {
  const world = await openWorld({
    partitions: 1,
    change: { limits: { deadLetterShareMax: { share: 0.2, of: 200 } } },
  })
  const traffic = new CardTraffic({ seed: 12, partitions: 1, badShare: 0.6 })
  await world.write(traffic.next(600))
  const service = world.start()
  expect(await service.exited).toEqual({ code: 1, signal: null })
  expect(service.tail(4)).toContain('DEAD_LETTER_SHARE')
  await checkExactlyOnce(world)
  const [position] = await world.positions()
  expect(position?.offset).toBeLessThan(400)
})

test('SIGTERM while events wait for labels that are not committed yet: nothing is scored early, and the exit is clean', async () => {
  const world = await openWorld({ partitions: 1, labels: true })
  const traffic = new CardTraffic({ seed: 13, partitions: 1, labels: true, lateShare: 0, stepMs: 2_700_000 })
  const records = traffic.next(900)
  const labels = records.filter(({ source }) => source === 'labels')
  const producer = await transactional(world)
  const open = await producer.transaction()
  await open.send({ topic: world.topics.labels, messages: labels.map(message) })
  await world.write(records.filter(({ source }) => source === 'transactions'))
  const service = world.start()
  // The first events wait: the end of the labels is known, and nobody can read up to it.
  await service.serving(2)
  await until('both have begun', async () => (await world.watermarks()).size === 2)
  expect(await service.stop()).toEqual({ code: 0, signal: null })
  const transactions = (await world.positions()).find(({ topic }) => topic === world.topics.transactions)
  expect(transactions?.offset ?? 0).toBe(0)
  await open.abort()
  await producer.disconnect()
})
