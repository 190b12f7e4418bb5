import { MillraceError } from '../errors.ts'
import { exchange, seedBroker, type RawBroker, type RawCluster } from './raw-cluster.ts'
import { Reader, Writer } from './wire-types.ts'

/** One life of a topic: a topic that is deleted and created again has another id. */
export interface TopicLife {
  /** As Kafka's tools print it; null when the brokers do not tell ids (before Kafka 3.1). */
  readonly id: string | null
  readonly partitions: number
}

const metadataKey = 3
/** The newest version that all brokers since 3.1 speak; kafkajs ends at 6, which has no topic ids. */
const metadataVersion = 12
const unknownTopic = 3
const topicUnauthorised = 29

/** What the cluster says about topics now; those it does not know are left out. One request over an open connection. */
export async function requestTopicLives(
  cluster: RawCluster,
  topics: readonly string[],
): Promise<ReadonlyMap<string, TopicLife>> {
  const broker = await seedBroker(cluster)
  if ((cluster.brokerPool.versions?.[metadataKey]?.maxVersion ?? 0) < metadataVersion) {
    const { topicMetadata } = await broker.metadata([...topics])
    return new Map(
      topicMetadata.map(({ topic, partitionMetadata }) => [
        topic,
        { id: null, partitions: partitionMetadata.length },
      ]),
    )
  }
  return askBroker(broker, topics)
}

/** The id of a topic as each broker that answers tells it; empty when none of them tells ids, or knows the topic. */
export async function requestTopicIds(cluster: RawCluster, topic: string): Promise<readonly string[]> {
  await cluster.connect()
  cluster.targetTopics.add(topic)
  await cluster.refreshMetadata()
  const asked = cluster.getNodeIds().map(async (nodeId) => {
    const lives = await askBroker(await cluster.findBroker({ nodeId }), [topic])
    return lives.get(topic)?.id ?? null
  })
  const answers = await Promise.allSettled(asked)
  return answers.flatMap((answer) =>
    answer.status === 'fulfilled' && answer.value !== null ? [answer.value] : [],
  )
}

function askBroker(broker: RawBroker, topics: readonly string[]): Promise<ReadonlyMap<string, TopicLife>> {
  const head = { apiKey: metadataKey, apiVersion: metadataVersion, apiName: 'Metadata' }
  return exchange(broker, head, encodeRequest(topics), decodeLives)
}

/** From the tagged fields of the header on. */
export function encodeRequest(topics: readonly string[]): Buffer {
  const write = new Writer().byte(0).varint(topics.length + 1)
  // Topic id 0: asked for by name.
  for (const topic of topics) write.raw(Buffer.alloc(16)).compactText(topic).byte(0)
  // No auto-creation, no authorised operations, no tagged fields.
  return write.byte(0).byte(0).byte(0).bytes
}

/** Behind the correlation id. */
export function decodeLives(payload: Buffer): ReadonlyMap<string, TopicLife> {
  const read = new Reader(payload)
  read.tags()
  read.skip(4) // throttle time
  read.compactArray(() => {
    read.skip(4) // node id
    read.compactText()
    read.skip(4) // port
    read.compactText() // rack
    read.tags()
  })
  read.compactText() // cluster id
  read.skip(4) // controller
  const lives = new Map<string, TopicLife>()
  const refused: string[] = []
  read.compactArray(() => {
    const errorCode = read.int16()
    const name = read.compactText()
    const id = read.bytes(16)
    read.skip(1) // is internal
    const partitions = read.compactArray(() => {
      read.skip(2 + 4 + 4 + 4) // error code, index, leader, its epoch
      for (let list = 0; list < 3; list++) read.compactArray(() => read.skip(4)) // replicas, in sync, offline
      read.tags()
    }).length
    read.skip(4) // authorised operations
    read.tags()
    if (errorCode === topicUnauthorised) refused.push(name)
    else if (errorCode !== unknownTopic)
      lives.set(name, { id: id.every((byte) => byte === 0) ? null : id.toString('base64url'), partitions })
  })
  read.tags()
  if (refused.length > 0) {
    throw new MillraceError('KAFKA_UNAUTHORISED', `describing ${refused.join(', ')} is refused`)
  }
  return lives
}
