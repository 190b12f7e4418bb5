import { onTestFinished, expect, test } from 'vitest'
import { openTransactionPort, transactionalIdOf } from '../../src/commit/kafka-transaction.ts'
import type { TransactionPort } from '../../src/commit/transaction.ts'
import { kafkaConfig, type KafkaClient } from '../../src/kafka/client.ts'
import { Kafka } from '../../src/kafka/kafkajs.ts'
import { BufferPool } from '../../src/kafka/wire/buffer-pool.ts'
import { transactionCluster } from '../../src/kafka/wire/transaction-cluster.ts'
import { openTransactionalProducer } from '../../src/kafka/wire/transactional-producer.ts'
import type { OutputRecord } from '../../src/record/output.ts'
import { systemClock } from '../../src/time/system-clock.ts'
import { produce, silentLog, testClient, testPlan, testTopic } from '../support/kafka-client.ts'
import { never, startSource, takeUntil, valuesOf } from '../support/source-probe.ts'

interface Setup {
  readonly client: KafkaClient
  readonly port: TransactionPort
  readonly input: { readonly source: string; readonly topic: string; readonly partition: number }
  readonly out: string
}

async function setUp(): Promise<Setup> {
  const client = testClient(testPlan())
  const topic = await testTopic(client, 2)
  const out = await testTopic(client, 2)
  return { client, port: portOf(client), input: { source: 's', topic, partition: 1 }, out }
}

function portOf(client: KafkaClient): TransactionPort {
  return openTransactionPort({ client, app: 'app', clock: systemClock, log: silentLog })
}

async function claim({ port, input }: Setup) {
  const claimed = await port.claim(input, never)
  onTestFinished(() => claimed.close())
  return claimed
}

function output(topic: string, value: string, partition = 0): OutputRecord {
  return { kind: 'prediction', topic, partition, key: Buffer.from('k'), value, headers: [['h', 'x']] }
}

/** What a read_committed consumer sees in partition 0, waiting until the position has reached the end of the log. */
async function visible({ client, out }: Setup): Promise<(string | undefined)[]> {
  const reader = testClient(testPlan())
  const probe = await startSource(reader, [out])
  const stream = (await probe.assignment()).find(({ input }) => input.partition === 0)
  if (!stream) throw new Error('partition 0 was not assigned')
  stream.seek(0)
  const { end } = await client.admin.logRange(out, 0)
  const values = valuesOf(await takeUntil(stream, end))
  await probe.source.stop()
  return values
}

test('outputs and position appear together, with the metadata as it was', async () => {
  const setup = await setUp()
  const first = await claim(setup)
  expect(await first.committed(never)).toBeNull()
  // The broker's limit is 4096 bytes; commit metadata stays below 3 KB.
  const position = { offset: 42, metadata: JSON.stringify({ text: 'ü'.repeat(1_400) }) }
  await first.run([output(setup.out, 'a'), output(setup.out, 'b', 1), output(setup.out, 'c')], position)
  // Only a claim waits until what was acknowledged has also been written out.
  const second = await claim(setup)
  expect(await second.committed(never)).toEqual(position)
  expect(await visible(setup)).toEqual(['a', 'c'])
  await second.run([], { offset: 43, metadata: '' })
  await second.run([output(setup.out, 'd')], { offset: 44, metadata: 'x' })
  const third = await claim(setup)
  expect(await third.committed(never)).toEqual({ offset: 44, metadata: 'x' })
  expect(await visible(setup)).toEqual(['a', 'c', 'd'])
})

test('a new owner fences the old one: nothing the zombie does afterwards counts', async () => {
  const setup = await setUp()
  const zombie = await claim(setup)
  await zombie.run([output(setup.out, 'first')], { offset: 1, metadata: 'zombie' })
  const owner = await claim(setup)
  await expect(
    zombie.run([output(setup.out, 'late')], { offset: 2, metadata: 'zombie' }),
  ).rejects.toMatchObject({
    code: 'TRANSACTION_FENCED',
  })
  await expect(zombie.run([], { offset: 3, metadata: 'zombie' })).rejects.toThrow(/claim again/)
  expect(await owner.committed(never)).toEqual({ offset: 1, metadata: 'zombie' })
  await owner.run([output(setup.out, 'second')], { offset: 2, metadata: 'owner' })
  expect(await visible(setup)).toEqual(['first', 'second'])
})

test('a zombie without outputs is fenced as well', async () => {
  const setup = await setUp()
  const zombie = await claim(setup)
  await claim(setup)
  await expect(zombie.run([], { offset: 2, metadata: '' })).rejects.toMatchObject({
    code: 'TRANSACTION_FENCED',
  })
})

test('a claim aborts the open transaction of a dead owner, so readers of the outputs go on', async () => {
  const setup = await setUp()
  const { client, input, out } = setup
  const { group } = client.plan
  const dead = client.transactionalProducer(transactionalIdOf('app', group, input))
  await dead.claim(never)
  const open = dead.begin()
  const position = { group, topic: input.topic, partition: 1, offset: 9, metadata: '' }
  const how = { batchBytesMax: 10_000, compression: 'none', timeoutMs: 5_000 } as const
  await open.send([output(out, 'dangling')], position, how)
  const claimed = await claim(setup)
  expect(await claimed.committed(never)).toBeNull()
  await expect(open.commit()).rejects.toMatchObject({ type: 'INVALID_PRODUCER_EPOCH' })
  await produce(client.plan, out, [{ value: 'behind' }])
  expect(await visible(setup)).toEqual(['behind'])
  await dead.close()
})

test('a commit under way is finished by the claim, and its position is what the claim reads', async () => {
  const setup = await setUp()
  let committedOnes = 0
  // The race between EndTxn and InitProducerId may go either way; what was acknowledged must be there.
  for (let round = 1; round <= 10; round++) {
    const earlier = await claim(setup)
    const before = (await earlier.committed(never))?.offset ?? 0
    const running = earlier.run([output(setup.out, `${round}`)], { offset: round * 10, metadata: '' }).then(
      () => true,
      () => false,
    )
    if (round % 2 === 0) await new Promise((resolve) => setImmediate(resolve))
    const later = await claim(setup)
    const position = (await later.committed(never))?.offset ?? 0
    const acknowledged = await running
    if (acknowledged) expect(position).toBe(round * 10)
    else expect([before, round * 10]).toContain(position)
    expect((await later.committed(never))?.offset ?? 0).toBe(position)
    if (position === round * 10) committedOnes++
  }
  expect(await visible(setup)).toHaveLength(committedOnes)
})

test('a failed transaction leaves nothing, and the next claim starts from what was committed', async () => {
  const setup = await setUp()
  const first = await claim(setup)
  await first.run([output(setup.out, 'a')], { offset: 1, metadata: 'm' })
  // The second output names a partition that does not exist, so it can never be acknowledged.
  await expect(
    first.run([output(setup.out, 'b'), output(setup.out, 'x', 99)], { offset: 2, metadata: 'm' }),
  ).rejects.toMatchObject({ code: 'TRANSACTION_NOT_COMMITTED', message: expect.stringContaining(':99') })
  const second = await claim(setup)
  expect(await second.committed(never)).toEqual({ offset: 1, metadata: 'm' })
  await second.run([output(setup.out, 'b')], { offset: 2, metadata: 'm' })
  expect(await visible(setup)).toEqual(['a', 'b'])
})

test('a transaction takes five requests in three waits: the coordinators are asked for once', async () => {
  const setup = await setUp()
  const { plan } = setup.client
  const requests: string[] = []
  const observed: KafkaClient = {
    ...setup.client,
    transactionalProducer: (transactionalId) => {
      const instrumentationEmitter = {
        emit: (name: string, { apiName }: { readonly apiName: string }) => {
          if (name === 'network.request') requests.push(apiName)
        },
      }
      return openTransactionalProducer({
        cluster: transactionCluster(new Kafka(kafkaConfig(plan, silentLog)), { instrumentationEmitter }),
        transactionalId,
        transactionTimeoutMs: plan.transactionTimeoutMs,
        clientId: plan.clientId,
        clock: systemClock,
        buffers: new BufferPool(),
      })
    },
  }
  const claimed = await claim({ ...setup, port: portOf(observed) })
  await claimed.run([output(setup.out, 'warm')], { offset: 1, metadata: '' })
  // Not right behind a commit, so that no request has to be repeated for CONCURRENT_TRANSACTIONS.
  expect(await visible(setup)).toEqual(['warm'])
  requests.length = 0
  await claimed.run([output(setup.out, 'a')], { offset: 2, metadata: '' })
  // In each wait they may be answered in any order.
  const waits = [requests.slice(0, 2).toSorted(), requests.slice(2, 4).toSorted(), requests.slice(4)]
  expect(waits).toEqual([
    ['AddOffsetsToTxn', 'AddPartitionsToTxn'],
    ['Produce', 'TxnOffsetCommit'],
    ['EndTxn'],
  ])
})

test('a transaction timeout the broker does not allow is named at the claim', async () => {
  const client = testClient(testPlan({ transactionTimeoutMs: 3_600_000 }))
  const topic = await testTopic(client)
  await expect(portOf(client).claim({ source: 's', topic, partition: 0 }, never)).rejects.toMatchObject({
    code: 'TOPOLOGY_INVALID',
    message: expect.stringContaining('transaction.max.timeout.ms'),
  })
})
