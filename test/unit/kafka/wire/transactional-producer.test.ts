import { expect, test } from 'vitest'
import { protocolError } from '../../../../src/kafka/kafkajs.ts'
import { BufferPool } from '../../../../src/kafka/wire/buffer-pool.ts'
import type { TransactionCluster } from '../../../../src/kafka/wire/transaction-cluster.ts'
import {
  nextSequence,
  openTransactionalProducer,
  type Transaction,
} from '../../../../src/kafka/wire/transactional-producer.ts'
import type { OutputRecord } from '../../../../src/record/output.ts'
import { manualClock } from '../../../../src/time/manual-clock.ts'

const never = new AbortController().signal
const how = { batchBytesMax: 10_000, compression: 'none', timeoutMs: 500 } as const
const position = { group: 'g', topic: 'in', partition: 3, offset: 7, metadata: 'm' }
const concurrentTransactions = 51
const notLeader = 6
const invalidProducerEpoch = 47

function output(partition: number, value = 'v'): OutputRecord {
  return { kind: 'prediction', topic: 'out', partition, key: null, value, headers: undefined }
}
function timedOut(): Error {
  return Object.assign(new Error('timed out'), { name: 'KafkaJSRequestTimeoutError', retriable: true })
}

type Api = 'AddPartitionsToTxn' | 'AddOffsetsToTxn' | 'Produce' | 'TxnOffsetCommit' | 'EndTxn'

interface Asked {
  readonly api: Api
  /** Of Produce: broker, then sequence numbers by partition. Of EndTxn: whether it commits. */
  readonly detail: string
}

/** The cluster object of kafkajs with brokers that answer what the test says, and at once with success where it says nothing. */
class FakeCluster {
  readonly asked: Asked[] = []
  /** Requests without an answer. */
  underWay = 0
  readonly script: Partial<Record<Api, (() => Promise<unknown>)[]>> = {}
  /** Error codes of partitions in the answers to Produce, one answer after another; absent: 0, and all partitions. */
  readonly codes: (ReadonlyMap<number, number> | undefined)[] = []
  leaders = new Map([
    [0, 1],
    [1, 2],
  ])
  refreshed = 0
  readonly targetTopics = new Set<string>()

  async #answer(api: Api, detail: string): Promise<void> {
    this.asked.push({ api, detail })
    this.underWay++
    try {
      await this.script[api]?.shift()?.()
    } finally {
      this.underWay--
    }
  }

  apis(): Api[] {
    return this.asked.map(({ api }) => api)
  }
  of(api: Api): string[] {
    return this.asked.filter((one) => one.api === api).map(({ detail }) => detail)
  }

  connect = () => Promise.resolve()
  disconnect = () => Promise.resolve()
  isConnected = () => true
  removeBroker = () => {}
  refreshMetadata = () => {
    this.refreshed++
    return Promise.resolve()
  }
  refreshMetadataIfNecessary = () => Promise.resolve()
  addMultipleTargetTopics = (topics: readonly string[]) => {
    for (const topic of topics) this.targetTopics.add(topic)
    return Promise.resolve()
  }
  findTopicPartitionMetadata = () =>
    [...this.leaders].map(([partitionId, leader]) => ({ partitionId, leader }))
  findGroupCoordinator = () => this.findBroker({ nodeId: 0 })
  findBroker = ({ nodeId }: { readonly nodeId: number }) => {
    const told =
      (api: Api) =>
      (request: { readonly transactionResult?: boolean; readonly groupId?: string }): Promise<void> =>
        this.#answer(api, String(request.transactionResult ?? request.groupId ?? ''))
    return Promise.resolve({
      nodeId,
      versions: { 0: { maxVersion: 11 } },
      initProducerId: () => Promise.resolve({ producerId: '77', producerEpoch: 5 }),
      addPartitionsToTxn: told('AddPartitionsToTxn'),
      addOffsetsToTxn: told('AddOffsetsToTxn'),
      txnOffsetCommit: told('TxnOffsetCommit'),
      endTxn: told('EndTxn'),
      disconnect: () => Promise.resolve(),
      connectionPool: { getConnection: () => Promise.resolve(this.#connection(nodeId)) },
    })
  }

  #connection(nodeId: number) {
    let sent = Buffer.alloc(0)
    return {
      clientId: 'test',
      isAuthenticated: () => true,
      authenticate: () => Promise.resolve(),
      failIfNotConnected: () => {},
      nextCorrelationId: () => 9,
      socket: { write: (bytes: Buffer) => (sent = Buffer.from(bytes)) },
      requestQueue: {
        maybeThrottle: () => {},
        push: ({
          entry,
          sendRequest,
        }: {
          entry: { resolve(answer: { payload: Buffer }): void; reject(error: unknown): void }
          sendRequest(): void
        }) => {
          sendRequest()
          const parts = producedParts(sent)
          const detail = `${nodeId}: ${parts.map(({ partition, sequence }) => `${partition}#${sequence}`).join(' ')}`
          this.#answer('Produce', detail).then(
            () => entry.resolve({ payload: this.#produceAnswer(parts) }),
            (error: unknown) => entry.reject(error),
          )
        },
      },
    }
  }

  #produceAnswer(parts: readonly { readonly partition: number }[]): Buffer {
    const codes = this.codes.shift()
    const answered = parts.flatMap(({ partition }) => {
      const code = codes === undefined ? 0 : codes.get(partition)
      return code === undefined ? [] : [{ partition, code }]
    })
    const bytes = Buffer.alloc(4 + 2 + 3 + 4 + answered.length * 30 + 4)
    let at = bytes.writeInt32BE(1)
    at = bytes.writeInt16BE(3, at)
    at += bytes.write('out', at)
    at = bytes.writeInt32BE(answered.length, at)
    for (const { partition, code } of answered) {
      bytes.writeInt32BE(partition, at)
      bytes.writeInt16BE(code, at + 4)
      at += 30
    }
    return bytes
  }
}

/** Partitions and sequence numbers of a request with one topic. */
function producedParts(frame: Buffer): { partition: number; sequence: number }[] {
  expect(frame.readInt32BE(0)).toBe(frame.length - 4)
  let at = 4 + 2 + 2 + 4
  at += 2 + frame.readInt16BE(at) // client id
  at += 2 + frame.readInt16BE(at) // transactional id
  at += 2 + 4 + 4 // acks, timeout, topics
  at += 2 + frame.readInt16BE(at) // topic
  const count = frame.readInt32BE(at)
  at += 4
  return Array.from({ length: count }, () => {
    const partition = frame.readInt32BE(at)
    const sequence = frame.readInt32BE(at + 8 + 53)
    at += 8 + frame.readInt32BE(at + 4)
    return { partition, sequence }
  })
}

async function begun(cluster = new FakeCluster()) {
  const clock = manualClock()
  const producer = openTransactionalProducer({
    cluster: cluster as unknown as TransactionCluster,
    transactionalId: 'id',
    transactionTimeoutMs: 10_000,
    clientId: 'test',
    clock,
    buffers: new BufferPool(),
  })
  await producer.claim(never)
  return { cluster, clock, producer, transaction: producer.begin() }
}

async function turns(): Promise<void> {
  for (let turn = 0; turn < 100; turn++) await Promise.resolve()
}
function held(): { readonly answer: () => Promise<void>; readonly resolve: () => void } {
  const { promise, resolve } = Promise.withResolvers<void>()
  return { answer: () => promise, resolve }
}
async function send(transaction: Transaction, outputs = [output(0), output(1)]): Promise<void> {
  await transaction.send(outputs, position, how)
}

test('three waits: what takes part is announced, outputs and position are sent, the end is told', async () => {
  const { cluster, transaction } = await begun()
  await send(transaction)
  await transaction.commit()
  const apis = cluster.apis()
  expect(apis.slice(0, 2).toSorted()).toEqual(['AddOffsetsToTxn', 'AddPartitionsToTxn'])
  expect(apis.slice(2, 5).toSorted()).toEqual(['Produce', 'Produce', 'TxnOffsetCommit'])
  expect(apis.slice(5)).toEqual(['EndTxn'])
})

test.each<[Api, Api]>([
  ['AddPartitionsToTxn', 'AddOffsetsToTxn'],
  ['AddOffsetsToTxn', 'AddPartitionsToTxn'],
])('nothing is sent before both are announced: %s is late', async (late, other) => {
  const { cluster, transaction } = await begun()
  const { answer, resolve } = held()
  cluster.script[late] = [answer]
  const sent = send(transaction)
  await turns()
  expect(cluster.apis().toSorted()).toEqual([late, other].toSorted())
  resolve()
  await sent
  expect(cluster.apis()).toContain('Produce')
})

test.each<Api>(['Produce', 'TxnOffsetCommit'])('the end waits for the answer to %s', async (late) => {
  const { cluster, transaction } = await begun()
  const { answer, resolve } = held()
  cluster.script[late] = [answer]
  let isSent = false
  const sent = send(transaction).then(() => (isSent = true))
  await turns()
  expect(cluster.apis()).toEqual(expect.arrayContaining(['Produce', 'TxnOffsetCommit']))
  expect(isSent).toBe(false)
  resolve()
  await sent
})

test.each<[failing: Api, late: Api]>([
  ['AddPartitionsToTxn', 'AddOffsetsToTxn'],
  ['AddOffsetsToTxn', 'AddPartitionsToTxn'],
  ['Produce', 'TxnOffsetCommit'],
  ['TxnOffsetCommit', 'Produce'],
])('a failed %s is told when %s is answered: nothing is under way at the abort', async (failing, late) => {
  const { cluster, transaction } = await begun()
  const { answer, resolve } = held()
  const refused = protocolError(invalidProducerEpoch)
  cluster.script[failing] = [() => Promise.reject(refused)]
  cluster.script[late] = [answer]
  let isTold = false
  const sent = expect(send(transaction).finally(() => (isTold = true))).rejects.toBe(refused)
  await turns()
  expect(isTold).toBe(false)
  expect(cluster.underWay).toBe(1)
  resolve()
  await sent
  expect(cluster.underWay).toBe(0)
  await transaction.abort()
  expect(cluster.of('EndTxn')).toEqual(['false'])
  await expect(transaction.commit()).rejects.toBe(refused)
  expect(cluster.of('EndTxn')).toEqual(['false'])
})

test('the other half is not tried again when one has failed', async () => {
  const { cluster, clock, transaction } = await begun()
  const refused = protocolError(invalidProducerEpoch)
  cluster.script.AddPartitionsToTxn = [() => Promise.reject(protocolError(concurrentTransactions))]
  cluster.script.AddOffsetsToTxn = [() => Promise.reject(refused)]
  const sent = expect(send(transaction)).rejects.toBe(refused)
  await clock.advance(1_000)
  await sent
  expect(cluster.of('AddPartitionsToTxn')).toHaveLength(1)
})

test('right behind a commit both are announced again until it is written out, and only what was refused', async () => {
  const { cluster, clock, transaction } = await begun()
  const refuse = () => Promise.reject(protocolError(concurrentTransactions))
  cluster.script.AddPartitionsToTxn = [refuse, refuse]
  cluster.script.AddOffsetsToTxn = [refuse]
  const sent = send(transaction)
  await clock.advance(1_000)
  await sent
  expect(cluster.of('AddPartitionsToTxn')).toHaveLength(3)
  expect(cluster.of('AddOffsetsToTxn')).toHaveLength(2)
  expect(cluster.refreshed).toBe(0)
})

test('a partition that moved is written to its new leader, what was acknowledged is not sent again', async () => {
  const { cluster, clock, transaction } = await begun()
  cluster.codes.push(new Map([[0, notLeader]]), new Map([[1, 0]]))
  cluster.refreshMetadata = () => {
    cluster.leaders.set(0, 2)
    return Promise.resolve()
  }
  const sent = send(transaction)
  await clock.advance(1_000)
  await sent
  expect(cluster.of('Produce').toSorted()).toEqual(['1: 0#0', '2: 0#0', '2: 1#0'])
})

test('a send is tried again when all brokers have answered, with the same sequence numbers', async () => {
  const { cluster, clock, producer, transaction } = await begun()
  await send(transaction, [output(0), output(0), output(1)])
  await transaction.commit()
  const { answer, resolve } = held()
  cluster.asked.length = 0
  cluster.script.Produce = [() => Promise.reject(timedOut()), answer]
  const sent = send(producer.begin())
  await clock.advance(1_000)
  expect(cluster.of('Produce').toSorted()).toEqual(['1: 0#2', '2: 1#1'])
  resolve()
  await turns()
  await clock.advance(1_000)
  await sent
  expect(cluster.of('Produce').toSorted()).toEqual(['1: 0#2', '1: 0#2', '2: 1#1'])
})

test('an answer that leaves a partition out is no acknowledgement', async () => {
  const { cluster, transaction } = await begun()
  cluster.leaders.set(1, 1)
  cluster.codes.push(new Map([[0, 0]]))
  await expect(send(transaction)).rejects.toThrow('not acknowledged: out:1')
})

test('a partition that does not exist is named, and nothing is sent to the others', async () => {
  const { cluster, transaction } = await begun()
  await expect(send(transaction, [output(0), output(99)])).rejects.toThrow('out:99')
  expect(cluster.of('Produce')).toEqual([])
})

test('a position that is refused for now is sent again within the same transaction', async () => {
  const { cluster, clock, transaction } = await begun()
  cluster.script.TxnOffsetCommit = [concurrentTransactions, 14, 15, 16].map(
    (code) => () => Promise.reject(protocolError(code)),
  )
  const sent = send(transaction, [])
  await clock.advance(1_000)
  await sent
  expect(cluster.of('TxnOffsetCommit')).toHaveLength(5)
  expect(cluster.apis()).not.toContain('AddPartitionsToTxn')
})

test('a timeout of the position is not tried again: the request may still be on its way', async () => {
  const { cluster, clock, transaction } = await begun()
  cluster.script.TxnOffsetCommit = [() => Promise.reject(timedOut())]
  const sent = expect(send(transaction, [])).rejects.toThrow('timed out')
  await clock.advance(1_000)
  await sent
  expect(cluster.of('TxnOffsetCommit')).toHaveLength(1)
})

test('what was given up sends nothing more, and is not committed', async () => {
  const { cluster, clock, transaction } = await begun()
  cluster.script.AddPartitionsToTxn = [() => Promise.reject(timedOut())]
  const sent = expect(send(transaction)).rejects.toThrow('too late')
  await turns()
  transaction.giveUp(new Error('too late'))
  await clock.advance(1_000)
  await sent
  await expect(transaction.commit()).rejects.toThrow('too late')
  expect(cluster.apis().toSorted()).toEqual(['AddOffsetsToTxn', 'AddPartitionsToTxn'])
})

test('an abort of what was never announced, or has ended, sends nothing', async () => {
  const { cluster, producer, transaction } = await begun()
  await transaction.abort()
  expect(cluster.asked).toEqual([])
  const ended = producer.begin()
  await send(ended)
  await ended.commit()
  await ended.abort()
  expect(cluster.of('EndTxn')).toEqual(['true'])
})

test('outputs that do not fit into one batch go one request after another, in order', async () => {
  const { cluster, transaction } = await begun()
  const outputs = Array.from({ length: 5 }, () => output(0, 'v'.repeat(4_000)))
  await send(transaction, outputs)
  expect(cluster.of('Produce')).toEqual(['1: 0#0', '1: 0#2', '1: 0#4'])
  expect(cluster.of('AddPartitionsToTxn')).toHaveLength(1)
})

test('a producer that was closed does nothing more', async () => {
  const { producer } = await begun()
  await producer.close()
  expect(() => producer.begin()).toThrow('closed')
  await expect(producer.claim(never)).rejects.toThrow('closed')
})

test('sequence numbers begin again at 0 behind the largest', () => {
  expect(nextSequence(2 ** 31 - 2, 1)).toBe(2 ** 31 - 1)
  expect(nextSequence(2 ** 31 - 1, 1)).toBe(0)
  expect(nextSequence(2 ** 31 - 1, 5)).toBe(4)
})
