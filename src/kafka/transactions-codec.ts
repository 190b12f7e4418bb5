/** Bytes of the requests that ask who holds a transaction open; kafkajs knows none of them. Pure. */
import { Reader, Writer } from './wire-types.ts'

/** A producer with a transaction that is open in a partition, as its leader sees it. */
export interface ActiveProducer {
  readonly producerId: bigint
  readonly epoch: number
  /** Of its last record, epoch ms; −1: not known. */
  readonly lastTimestamp: number
  /** Offset of the first record of the open transaction; −1: none is open. */
  readonly startOffset: number
}

export interface ListedTransaction {
  readonly transactionalId: string
  readonly producerId: bigint
}

export interface DescribedTransaction {
  readonly errorCode: number
  readonly state: string
  readonly timeoutMs: number
  /** Epoch ms; −1: not begun. */
  readonly startedAtMs: number
}

/** Kafka 2.8 and newer; answered by the leader. */
export const producersRequest = { apiKey: 61, apiVersion: 0, apiName: 'DescribeProducers' } as const
/** Kafka 3.0 and newer; each broker tells those it coordinates. */
export const transactionListRequest = { apiKey: 66, apiVersion: 0, apiName: 'ListTransactions' } as const
/** Kafka 3.0 and newer; answered by the coordinator. */
export const transactionsRequest = { apiKey: 65, apiVersion: 0, apiName: 'DescribeTransactions' } as const

export function encodeProducers(topic: string, partition: number): Buffer {
  return new Writer().byte(0).varint(2).compactText(topic).varint(2).int32(partition).byte(0).byte(0).bytes
}

/** Of one partition; `errorCode` is its own. */
export function decodeProducers(payload: Buffer): {
  readonly errorCode: number
  readonly producers: readonly ActiveProducer[]
} {
  const read = new Reader(payload)
  read.tags()
  read.skip(4) // throttle time
  const [partitions = []] = read.compactArray(() => {
    read.compactText()
    const found = read.compactArray(() => {
      read.skip(4) // index
      const errorCode = read.int16()
      read.compactText() // message
      const producers = read.compactArray(() => decodeProducer(read))
      read.tags()
      return { errorCode, producers }
    })
    read.tags()
    return found
  })
  const [one] = partitions
  if (one === undefined) throw new RangeError('a broker describes no producers')
  return one
}

function decodeProducer(read: Reader): ActiveProducer {
  const producerId = read.int64()
  const epoch = read.int32()
  read.skip(4) // last sequence
  const lastTimestamp = Number(read.int64())
  read.skip(4) // epoch of the coordinator
  const startOffset = Number(read.int64())
  read.tags()
  return { producerId, epoch, lastTimestamp, startOffset }
}

/** Transactions of these producers, in any state. */
export function encodeTransactionList(producerIds: readonly bigint[]): Buffer {
  const write = new Writer()
    .byte(0)
    .varint(1)
    .varint(producerIds.length + 1)
  for (const id of producerIds) write.int64(id)
  return write.byte(0).bytes
}

export function decodeTransactionList(payload: Buffer): {
  readonly errorCode: number
  readonly transactions: readonly ListedTransaction[]
} {
  const read = new Reader(payload)
  read.tags()
  read.skip(4) // throttle time
  const errorCode = read.int16()
  read.compactArray(() => read.compactText()) // states that are not known
  const transactions = read.compactArray(() => {
    const transactionalId = read.compactText()
    const producerId = read.int64()
    read.compactText() // state
    read.tags()
    return { transactionalId, producerId }
  })
  return { errorCode, transactions }
}

export function encodeTransaction(transactionalId: string): Buffer {
  return new Writer().byte(0).varint(2).compactText(transactionalId).byte(0).bytes
}

export function decodeTransaction(payload: Buffer): DescribedTransaction {
  const read = new Reader(payload)
  read.tags()
  read.skip(4) // throttle time
  if (read.varint() < 2) throw new RangeError('a broker describes no transaction')
  const errorCode = read.int16()
  read.compactText() // id
  const state = read.compactText()
  const timeoutMs = read.int32()
  return { errorCode, state, timeoutMs, startedAtMs: Number(read.int64()) }
}
