/*
 * Requests that kafkajs does not know, over its connections (TLS, SASL, retries of connecting). Read from the source
 * of kafkajs 2.2.4, as internals.ts.
 */
export interface RawCluster {
  /** What `refreshMetadata` asks for; all topics of the cluster when empty. */
  readonly targetTopics: Set<string>
  readonly brokerPool: {
    /** The broker connected to. */
    readonly seedBroker?: RawBroker
    /** By API key; null before the first connection. */
    readonly versions: Readonly<Record<number, { readonly maxVersion: number }>> | null
  }
  /** Idempotent while a broker is connected. */
  connect(): Promise<void>
  disconnect(): Promise<void>
  refreshMetadata(): Promise<void>
  /** Adds to what `refreshMetadata` asks for, and asks when something was new. */
  addMultipleTargetTopics(topics: readonly string[]): Promise<void>
  refreshMetadataIfNecessary(): Promise<void>
  /** Of every leader in one request each; the high watermark. Throws when one is not the leader any more. */
  fetchTopicsOffset(
    topics: readonly {
      readonly topic: string
      readonly fromBeginning: false
      readonly partitions: readonly { readonly partition: number }[]
    }[],
  ): Promise<
    readonly {
      readonly topic: string
      readonly partitions: readonly { readonly partition: number; readonly offset: string }[]
    }[]
  >
  /** Of the last refresh. */
  getNodeIds(): readonly string[]
  /** Connects to it. */
  findBroker(node: { nodeId: string }): Promise<RawBroker>
}

export interface RawBroker {
  readonly connectionPool: { send<Answer>(exchange: RawExchange<Answer>): Promise<Answer> }
  /** Metadata in the newest version that kafkajs speaks; throws for topics that do not exist. */
  metadata(topics: string[]): Promise<{
    readonly topicMetadata: readonly {
      readonly topic: string
      readonly partitionMetadata: readonly unknown[]
    }[]
  }>
  /** Of the partitions this broker leads. Isolation level 1: read_committed. */
  listOffsets(request: {
    readonly replicaId: number
    readonly isolationLevel: number
    readonly topics: readonly {
      readonly topic: string
      readonly partitions: readonly { readonly partition: number; readonly timestamp: number }[]
    }[]
  }): Promise<{
    readonly responses: readonly {
      readonly partitions: readonly { readonly partition: number; readonly offset: string }[]
    }[]
  }>
  fetch(request: {
    readonly isolationLevel: number
    readonly maxWaitTime: number
    readonly minBytes: number
    readonly maxBytes: number
    readonly topics: readonly {
      readonly topic: string
      readonly partitions: readonly {
        readonly partition: number
        readonly fetchOffset: string
        readonly maxBytes: number
      }[]
    }[]
  }): Promise<{
    readonly responses: readonly {
      readonly partitions: readonly {
        readonly messages: readonly unknown[]
        readonly abortedTransactions:
          readonly { readonly producerId: string; readonly firstOffset: string }[] | null
      }[]
    }[]
  }>
}

/** A request in bytes: what follows the client id, and what to make of what follows the correlation id. */
export interface RawExchange<Answer> {
  readonly request: {
    readonly apiKey: number
    readonly apiVersion: number
    readonly apiName: string
    /** As an encoder of kafkajs looks. */
    encode(): Promise<{ readonly buf: Buffer; readonly buffer: Buffer }>
  }
  readonly response: {
    decode(payload: Buffer): Promise<Answer>
    parse(answer: Answer): Promise<Answer>
  }
}

/** Ends of logs are asked for with what is not decided yet. */
const readUncommitted = 0

export interface ClusterOptions {
  /** Of metadata, ms; always too old when absent. */
  readonly metadataMaxAge?: number
  /** Is told of every answered request by the name `network.request`. */
  readonly instrumentationEmitter?: { emit(name: string, payload: { readonly apiName: string }): void }
}

/** Connections of its own, made when needed. kafkajs keeps the constructor behind a symbol. */
export function createCluster(kafka: object, options: ClusterOptions = {}): RawCluster {
  const symbol = Object.getOwnPropertySymbols(kafka).find(
    ({ description }) => description === 'private:Kafka:createCluster',
  )
  const create =
    symbol && (kafka as Readonly<Record<symbol, ((options: object) => RawCluster) | undefined>>)[symbol]
  if (!create) throw new Error('kafkajs cannot create a cluster: this is not version 2.2.4')
  return create({ ...options, allowAutoTopicCreation: false, isolationLevel: readUncommitted })
}

/** The broker connected to; connects first if need be. */
export async function seedBroker(cluster: RawCluster): Promise<RawBroker> {
  await cluster.connect()
  const broker = cluster.brokerPool.seedBroker
  if (broker === undefined) throw new Error('kafkajs has no seed broker')
  return broker
}

export type RequestHead = Pick<RawExchange<unknown>['request'], 'apiKey' | 'apiVersion' | 'apiName'>

/** Sends `bytes` (what follows the client id) and reads the answer (what follows the correlation id) with `decode`. */
export function exchange<Answer>(
  broker: RawBroker,
  head: RequestHead,
  bytes: Buffer,
  decode: (payload: Buffer) => Answer,
): Promise<Answer> {
  return broker.connectionPool.send<Answer>({
    request: { ...head, encode: () => Promise.resolve({ buf: bytes, buffer: bytes }) },
    response: {
      decode: (payload) => Promise.resolve(decode(payload)),
      parse: (answer) => Promise.resolve(answer),
    },
  })
}
