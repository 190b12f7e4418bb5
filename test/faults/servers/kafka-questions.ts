import { exchange } from '../../../src/stack/kafka-handshake.ts'

/*
 * What the harness asks a broker, and kafkajs's admin cannot ask or caches: one request on a connection of its own, in
 * versions of the protocol without compact fields. See https://kafka.apache.org/protocol.
 */

export interface PartitionState {
  readonly topic: string
  readonly partition: number
  /** Node id; null while there is none. */
  readonly leader: number | null
  readonly replicas: readonly number[]
  readonly inSync: readonly number[]
}

export interface ClusterState {
  /** Ids of the nodes that are registered and alive. */
  readonly nodes: readonly number[]
  readonly partitions: readonly PartitionState[]
}

/** The cluster as the broker at `port` sees it, with all topics; internal ones too. */
export async function clusterState(port: number): Promise<ClusterState> {
  const allTopics = -1
  const answer = await ask(port, { api: 3, version: 1, body: [int32(allTopics)] })
  const nodes = answer.list(() => {
    const id = answer.int32()
    answer.string() // host
    answer.int32() // port
    answer.string() // rack
    return id
  })
  answer.int32() // controller
  const partitions = answer.list(() => {
    answer.int16() // error: as long as a topic has none, its partitions have leaders
    const topic = answer.string()
    answer.int8() // internal
    return answer.list(() => partitionState(topic, answer))
  })
  return { nodes, partitions: partitions.flat() }
}

function partitionState(topic: string, answer: Reader): PartitionState {
  answer.int16() // error
  const partition = answer.int32()
  const leader = answer.int32()
  return {
    topic,
    partition,
    leader: leader < 0 ? null : leader,
    replicas: answer.list(() => answer.int32()),
    inSync: answer.list(() => answer.int32()),
  }
}

/** Node id of the coordinator of a group or of a transactional id; null while there is none. */
export async function coordinator(
  port: number,
  kind: 'group' | 'transaction',
  key: string,
): Promise<number | null> {
  const body = [string(key), Buffer.from([kind === 'group' ? 0 : 1])]
  const answer = await ask(port, { api: 10, version: 1, body })
  answer.int32() // throttle
  const error = answer.int16()
  answer.string() // message
  const node = answer.int32()
  return error === 0 && node >= 0 ? node : null
}

/** Makes the first replica of a partition its leader. Returns the error code: 0, or 84 when it leads already. */
export async function electPreferred(port: number, topic: string, partition: number): Promise<number> {
  const preferred = Buffer.from([0])
  const timeoutMs = 10_000
  const topics = [int32(1), string(topic), int32(1), int32(partition)]
  const answer = await ask(port, { api: 43, version: 1, body: [preferred, ...topics, int32(timeoutMs)] })
  answer.int32() // throttle
  const error = answer.int16()
  const [[code = error] = []] = answer.list(() => {
    answer.string() // topic
    return answer.list(() => {
      answer.int32() // partition
      const found = answer.int16()
      answer.string() // message
      return found
    })
  })
  return code
}

// --- encoding ------------------------------------------------------------------------------------------------------

interface Question {
  readonly api: number
  readonly version: number
  readonly body: readonly Buffer[]
}

const answerMaxMs = 10_000

async function ask(port: number, { api, version, body }: Question): Promise<Reader> {
  const request = Buffer.concat([int16(api), int16(version), int32(1), string(null), ...body])
  const frame = Buffer.concat([int32(request.length), request])
  const answer = await exchange('127.0.0.1', port, frame, AbortSignal.timeout(answerMaxMs))
  return new Reader(answer.subarray(4)) // after the correlation id
}

function int16(value: number): Buffer {
  const bytes = Buffer.alloc(2)
  bytes.writeInt16BE(value)
  return bytes
}

function int32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeInt32BE(value)
  return bytes
}

function string(text: string | null): Buffer {
  const bytes = Buffer.from(text ?? '')
  return text === null ? int16(-1) : Buffer.concat([int16(bytes.length), bytes])
}

class Reader {
  readonly #bytes: Buffer
  #at = 0

  constructor(bytes: Buffer) {
    this.#bytes = bytes
  }

  int8(): number {
    return this.#bytes.readInt8((this.#at += 1) - 1)
  }

  int16(): number {
    return this.#bytes.readInt16BE((this.#at += 2) - 2)
  }

  int32(): number {
    return this.#bytes.readInt32BE((this.#at += 4) - 4)
  }

  /** Empty for null. */
  string(): string {
    const length = Math.max(0, this.int16())
    return this.#bytes.toString('utf8', this.#at, (this.#at += length))
  }

  list<T>(item: () => T): T[] {
    return Array.from({ length: Math.max(0, this.int32()) }, item)
  }
}
