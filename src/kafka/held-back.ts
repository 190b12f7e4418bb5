import type { DescribedTopic } from './inspect-codec.ts'
import { exchange, type RawBroker, type RawCluster } from './raw-cluster.ts'
import {
  decodeProducers,
  decodeTransaction,
  decodeTransactionList,
  encodeProducers,
  encodeTransaction,
  encodeTransactionList,
  producersRequest,
  transactionListRequest,
  transactionsRequest,
  type ActiveProducer,
} from './transactions-codec.ts'

/** A partition whose readers of committed records end before its high watermark. */
export interface HeldPartition {
  readonly topic: string
  readonly partition: number
  /** Last stable offset: where the first open transaction begins. */
  readonly stable: number
  /** High watermark. */
  readonly end: number
  /** Whose transactions are open there, the one that holds it first; null: not told (before Kafka 2.8, or no right to Read). */
  readonly producers: readonly OpenProducer[] | null
}

/** A transaction that a healthy producer has open ends sooner. */
const lookAgainMs = 2_000

/** Without knowing whose it is, a transaction of a moment cannot be told from one that stays: it is looked at twice. */
export async function heldBackForLong(
  look: () => Promise<readonly HeldPartition[]>,
  pause: (ms: number) => Promise<void>,
): Promise<readonly HeldPartition[]> {
  const first = await look()
  const isNamed = ({ producers }: HeldPartition): boolean => producers !== null && producers.length > 0
  if (first.every(isNamed)) return first
  await pause(lookAgainMs)
  const still = (one: HeldPartition): boolean =>
    first.some(
      ({ topic, partition, stable: before }) =>
        topic === one.topic && partition === one.partition && before === one.stable,
    )
  return (await look()).filter((one) => isNamed(one) || still(one))
}

export interface OpenProducer {
  readonly producerId: string
  readonly epoch: number
  /** Offset of the first record of its transaction in this partition. */
  readonly startOffset: number
  /** Record timestamp of its last record there, epoch ms; null: not told. */
  readonly lastWrittenAtMs: number | null
  /** Null: no coordinator knows it, or this principal may not describe it. */
  readonly transaction: CoordinatedTransaction | null
}

export interface CoordinatedTransaction {
  readonly transactionalId: string
  /** `Ongoing` and the like; empty: not told. */
  readonly state: string
  readonly startedAtMs: number | null
  /** After that the coordinator aborts it by itself. */
  readonly timeoutMs: number
}

const written = 0
const stable = 1
const latestTimestamp = -1
/** Producers told of one partition; the first one is the one that matters. */
const producersMax = 8

/** Which partitions of these topics are held back by open transactions, and by whom. Partitions without a leader are left out. */
export async function requestHeldBack(
  cluster: RawCluster,
  topics: readonly DescribedTopic[],
): Promise<readonly HeldPartition[]> {
  const held: HeldPartition[] = []
  for (const { leader, topic, partitions } of byLeader(topics)) {
    const broker = await cluster.findBroker({ nodeId: String(leader) })
    // This order: a transaction that ends in between then looks like one that is over.
    const ends = await endsOf(broker, topic, partitions, written)
    const stables = await endsOf(broker, topic, partitions, stable)
    for (const partition of partitions) {
      const [end = 0, until = end] = [ends.get(partition), stables.get(partition)]
      if (until >= end) continue
      const producers = await openProducers(cluster, broker, topic, partition)
      held.push({ topic, partition, stable: until, end, producers })
    }
  }
  return held
}

interface Led {
  readonly leader: number
  readonly topic: string
  readonly partitions: readonly number[]
}

function byLeader(topics: readonly DescribedTopic[]): readonly Led[] {
  return topics.flatMap(({ topic, partitions }) =>
    [...Map.groupBy(partitions, ({ leader }) => leader)]
      .filter(([leader]) => leader >= 0)
      .map(([leader, led]) => ({ leader, topic, partitions: led.map(({ partition }) => partition) })),
  )
}

/** Where readers of this isolation level end. */
export async function endsOf(
  broker: RawBroker,
  topic: string,
  partitions: readonly number[],
  isolationLevel: number,
  timestamp = latestTimestamp,
): Promise<ReadonlyMap<number, number>> {
  const asked = partitions.map((partition) => ({ partition, timestamp }))
  const { responses } = await broker.listOffsets({
    replicaId: -1,
    isolationLevel,
    topics: [{ topic, partitions: asked }],
  })
  const found = responses.flatMap((one) => one.partitions)
  return new Map(found.map(({ partition, offset }) => [partition, Number(offset)]))
}

async function openProducers(
  cluster: RawCluster,
  leader: RawBroker,
  topic: string,
  partition: number,
): Promise<readonly OpenProducer[] | null> {
  if (!knows(cluster, producersRequest.apiKey)) return null
  const bytes = encodeProducers(topic, partition)
  const { errorCode, producers } = await exchange(leader, producersRequest, bytes, decodeProducers)
  if (errorCode !== 0) return null
  const open = producers
    .filter(({ startOffset }) => startOffset >= 0)
    .toSorted((a, b) => a.startOffset - b.startOffset)
    .slice(0, producersMax)
  const transactions = await coordinated(cluster, open)
  return open.map(({ producerId, epoch, startOffset, lastTimestamp }) => ({
    producerId: String(producerId),
    epoch,
    startOffset,
    lastWrittenAtMs: lastTimestamp >= 0 ? lastTimestamp : null,
    transaction: transactions.get(producerId) ?? null,
  }))
}

/** What coordinators say of these producers, by producer id: each broker tells of those it coordinates. */
async function coordinated(
  cluster: RawCluster,
  producers: readonly ActiveProducer[],
): Promise<ReadonlyMap<bigint, CoordinatedTransaction>> {
  const found = new Map<bigint, CoordinatedTransaction>()
  if (producers.length === 0 || !knows(cluster, transactionListRequest.apiKey)) return found
  const bytes = encodeTransactionList(producers.map(({ producerId }) => producerId))
  await cluster.refreshMetadata()
  for (const nodeId of cluster.getNodeIds()) {
    const broker = await cluster.findBroker({ nodeId })
    const { transactions } = await exchange(broker, transactionListRequest, bytes, decodeTransactionList)
    for (const { transactionalId, producerId } of transactions) {
      const asked = encodeTransaction(transactionalId)
      const { errorCode, state, timeoutMs, startedAtMs } = await exchange(
        broker,
        transactionsRequest,
        asked,
        decodeTransaction,
      )
      if (errorCode !== 0) continue
      found.set(producerId, {
        transactionalId,
        state,
        timeoutMs,
        startedAtMs: startedAtMs >= 0 ? startedAtMs : null,
      })
    }
  }
  return found
}

function knows({ brokerPool }: RawCluster, apiKey: number): boolean {
  return brokerPool.versions?.[apiKey] !== undefined
}
