import { MillraceError } from '../errors.ts'
import type { RawBroker, RawCluster } from './raw-cluster.ts'

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
  await cluster.connect()
  const { seedBroker, versions } = cluster.brokerPool
  if (seedBroker === undefined) throw new Error('kafkajs has no seed broker')
  if ((versions?.[metadataKey]?.maxVersion ?? 0) < metadataVersion) {
    const { topicMetadata } = await seedBroker.metadata([...topics])
    return new Map(
      topicMetadata.map(({ topic, partitionMetadata }) => [
        topic,
        { id: null, partitions: partitionMetadata.length },
      ]),
    )
  }
  return askBroker(seedBroker, topics)
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
  return broker.connectionPool.send({
    request: {
      apiKey: metadataKey,
      apiVersion: metadataVersion,
      apiName: 'Metadata',
      encode: () => {
        const bytes = encodeRequest(topics)
        return Promise.resolve({ buf: bytes, buffer: bytes })
      },
    },
    response: {
      decode: (payload) => Promise.resolve(decodeLives(payload)),
      parse: (lives) => Promise.resolve(lives),
    },
  })
}

/** From the tagged fields of the header on. */
export function encodeRequest(topics: readonly string[]): Buffer {
  const parts: Buffer[] = [Buffer.of(0), unsignedVarint(topics.length + 1)]
  for (const topic of topics) {
    const name = Buffer.from(topic)
    // Topic id 0: asked for by name.
    parts.push(Buffer.alloc(16), unsignedVarint(name.length + 1), name, Buffer.of(0))
  }
  // No auto-creation, no authorised operations, no tagged fields.
  parts.push(Buffer.of(0, 0, 0))
  return Buffer.concat(parts)
}

function unsignedVarint(value: number): Buffer {
  const bytes: number[] = []
  let rest = value
  for (; rest > 0x7f; rest >>>= 7) bytes.push((rest & 0x7f) | 0x80)
  bytes.push(rest)
  return Buffer.from(bytes)
}

/** Behind the correlation id. */
export function decodeLives(payload: Buffer): ReadonlyMap<string, TopicLife> {
  const read = new Reader(payload)
  read.tags()
  read.skip(4) // throttle time
  read.array(() => {
    read.skip(4) // node id
    read.text()
    read.skip(4) // port
    read.text() // rack
    read.tags()
  })
  read.text() // cluster id
  read.skip(4) // controller
  const lives = new Map<string, TopicLife>()
  const refused: string[] = []
  read.array(() => {
    const errorCode = read.int16()
    const name = read.text() ?? ''
    const id = read.bytes(16)
    read.skip(1) // is internal
    const partitions = read.array(() => {
      read.skip(2 + 4 + 4 + 4) // error code, index, leader, its epoch
      for (let list = 0; list < 3; list++) read.array(() => read.skip(4)) // replicas, in sync, offline
      read.tags()
    })
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

/** Kafka's compact types, in order. Reading past the end throws a RangeError. */
class Reader {
  readonly #bytes: Buffer
  #at = 0

  constructor(bytes: Buffer) {
    this.#bytes = bytes
  }

  skip(count: number): void {
    this.bytes(count)
  }

  bytes(count: number): Buffer {
    const end = this.#at + count
    if (end > this.#bytes.length) throw new RangeError('the Metadata response is cut off')
    const found = this.#bytes.subarray(this.#at, end)
    this.#at = end
    return found
  }

  int16(): number {
    return this.bytes(2).readInt16BE()
  }

  varint(): number {
    let value = 0
    for (let shift = 0; shift <= 28; shift += 7) {
      const byte = this.bytes(1).readUInt8()
      value |= (byte & 0x7f) << shift
      if (byte <= 0x7f) return value >>> 0
    }
    throw new RangeError('the Metadata response has a number that is too long')
  }

  text(): string | null {
    const length = this.varint()
    return length === 0 ? null : this.bytes(length - 1).toString()
  }

  /** Reads each element with `one`; returns how many there were. */
  array(one: () => void): number {
    const length = Math.max(0, this.varint() - 1)
    for (let index = 0; index < length; index++) one()
    return length
  }

  tags(): void {
    const count = this.varint()
    for (let index = 0; index < count; index++) {
      this.varint()
      this.skip(this.varint())
    }
  }
}
