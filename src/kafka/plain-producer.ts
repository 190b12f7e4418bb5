import type { Kafka as KafkaClientOfKafkajs, Message, TopicMessages } from 'kafkajs'
import { MillraceError } from '../errors.ts'
import type { Log } from '../telemetry/log.ts'
import { kafkaConfig } from './client.ts'
import { kafkaError } from './errors.ts'
import { CompressionTypes, Kafka, Partitioners } from './kafkajs.ts'
import type { KafkaPlan } from './plan.ts'

/** A record to write, with the timestamp it shall carry. */
export interface PlainRecord {
  readonly topic: string
  readonly key: string
  readonly value: string
  readonly timestampMs: number
}

/** Writes records without a transaction: what feeds a topology, not what it produces. */
export interface PlainProducer {
  /** Resolves when all in-sync replicas have them. One call at a time: the order of calls is the order in the log. */
  send(records: readonly PlainRecord[]): Promise<void>
  close(): Promise<void>
}

/** Keys whose partition is remembered: kafkajs computes murmur2 in BigInt, about 10 µs a key. */
const keysRemembered = 200_000
/** Sends of what an earlier one left out. */
const resendsMax = 5
/**
 * For ever, because an idempotent producer that gives up may have a gap in its sequence; the caller stops waiting
 * when its signal aborts.
 */
const retry = {
  initialRetryTime: 20,
  maxRetryTime: 1_000,
  multiplier: 2,
  factor: 0.2,
  retries: Number.MAX_SAFE_INTEGER,
}

/** Connects and reads the number of partitions of `topics`; throws KAFKA_TOPIC_MISSING with all missing names. */
export async function openPlainProducer(
  plan: KafkaPlan,
  topics: readonly string[],
  log: Log,
): Promise<PlainProducer> {
  const kafka = new Kafka(kafkaConfig(plan, log))
  try {
    const partitions = await countPartitions(kafka, topics)
    const producer = kafka.producer({
      idempotent: true,
      maxInFlightRequests: 1,
      allowAutoTopicCreation: false,
      createPartitioner: Partitioners.DefaultPartitioner,
      retry,
    })
    await producer.connect()
    const write = (topicMessages: TopicMessages[]) =>
      producer.sendBatch({ acks: -1, compression: CompressionTypes.LZ4, topicMessages })
    return {
      send: (records) => sendAll(groupByTopic(records, createPartitionOf(partitions)), write),
      close: () => producer.disconnect(),
    }
  } catch (error) {
    throw kafkaError(error, `opening a producer for ${topics.join(', ')}`)
  }
}

async function countPartitions(
  kafka: KafkaClientOfKafkajs,
  topics: readonly string[],
): Promise<ReadonlyMap<string, number>> {
  const admin = kafka.admin()
  await admin.connect()
  try {
    const existing = new Set(await admin.listTopics())
    const missing = topics.filter((topic) => !existing.has(topic))
    if (missing.length > 0) {
      throw new MillraceError('KAFKA_TOPIC_MISSING', `these topics do not exist: ${missing.join(', ')}`)
    }
    const metadata = await admin.fetchTopicMetadata({ topics: [...topics] })
    return new Map(metadata.topics.map(({ name, partitions }) => [name, partitions.length]))
  } finally {
    await admin.disconnect()
  }
}

/** Partition of a key as the Java client chooses it (murmur2), remembered. */
export function createPartitionOf(
  partitions: ReadonlyMap<string, number>,
): (topic: string, key: string) => number {
  const partitioner = Partitioners.DefaultPartitioner()
  const metadata = new Map(
    [...partitions].map(([topic, count]) => [
      topic,
      Array.from({ length: count }, (_, partitionId) => ({
        partitionErrorCode: 0,
        partitionId,
        leader: 0,
        replicas: [],
        isr: [],
      })),
    ]),
  )
  const remembered = new Map<string, Map<string, number>>(
    [...partitions.keys()].map((topic) => [topic, new Map()]),
  )
  return (topic, key) => {
    const known = remembered.get(topic)
    const partitionMetadata = metadata.get(topic)
    if (!known || !partitionMetadata) throw new MillraceError('INTERNAL', `topic ${topic} was not opened`)
    let partition = known.get(key)
    if (partition === undefined) {
      partition = partitioner({ topic, partitionMetadata, message: { key, value: null } })
      if (known.size >= keysRemembered) known.clear()
      known.set(key, partition)
    }
    return partition
  }
}

function groupByTopic(
  records: readonly PlainRecord[],
  partitionOf: (topic: string, key: string) => number,
): TopicMessages[] {
  const byTopic = new Map<string, Message[]>()
  for (const { topic, key, value, timestampMs } of records) {
    const messages = byTopic.get(topic) ?? []
    // The partition is set here, because kafkajs runs its partitioner again on every retry.
    messages.push({ key, value, timestamp: String(timestampMs), partition: partitionOf(topic, key) })
    byTopic.set(topic, messages)
  }
  return [...byTopic].map(([topic, messages]) => ({ topic, messages }))
}

interface Written {
  readonly topicName: string
  readonly partition: number
}

/**
 * Sends until every partition has answered. When a leader moves during a retry, kafkajs may never send that
 * partition and still resolve; what it left out was not written, so it is sent again.
 */
export async function sendAll(
  topicMessages: TopicMessages[],
  write: (topicMessages: TopicMessages[]) => Promise<readonly Written[]>,
): Promise<void> {
  let left = topicMessages.filter(({ messages }) => messages.length > 0)
  for (let resend = 0; left.length > 0; resend++) {
    const where = left.map(({ topic }) => topic).join(', ')
    if (resend > resendsMax) {
      throw new MillraceError(
        'KAFKA_UNREACHABLE',
        `${where}: the leaders keep moving, records are left unsent`,
      )
    }
    const answers = await write(left).catch((error: unknown) => {
      throw kafkaError(error, `writing to ${where}`)
    })
    const written = new Set(answers.map(({ topicName, partition }) => `${topicName}:${partition}`))
    left = left
      .map(({ topic, messages }) => ({
        topic,
        messages: messages.filter(({ partition }) => !written.has(`${topic}:${partition}`)),
      }))
      .filter(({ messages }) => messages.length > 0)
  }
}
