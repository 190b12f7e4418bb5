import { createCluster, type ClusterOptions } from '../raw-cluster.ts'
import type { WireBroker } from './connection.ts'

/*
 * What a transactional producer needs of the cluster object of kafkajs: it finds brokers and speaks the small requests of a
 * transaction. Read from the source of kafkajs 2.2.4, as ../internals.ts.
 */
export interface TransactionCluster {
  readonly targetTopics: ReadonlySet<string>
  connect(): Promise<void>
  disconnect(): Promise<void>
  isConnected(): boolean
  /** A connection of this broker was closed. */
  removeBroker(address: { readonly host: string; readonly port: number }): void
  refreshMetadata(): Promise<void>
  /** When it is older than its maximum age, or lacks a topic. */
  refreshMetadataIfNecessary(): Promise<void>
  /** Adds to what `refreshMetadata` asks for, and asks when something was new. */
  addMultipleTargetTopics(topics: readonly string[]): Promise<void>
  /** Empty for an unknown topic. */
  findTopicPartitionMetadata(
    topic: string,
  ): readonly { readonly partitionId: number; readonly leader: number }[]
  /** Connects to it. */
  findBroker(node: { readonly nodeId: number }): Promise<TransactionBroker>
  /** `coordinatorType` 0: of a consumer group; 1: of a transactional id. */
  findGroupCoordinator(request: {
    readonly groupId: string
    readonly coordinatorType: number
  }): Promise<TransactionBroker>
}

/** Who sends a request of a transaction. */
export interface ProducerIdentity {
  readonly transactionalId: string
  /** Decimal. */
  readonly producerId: string
  readonly producerEpoch: number
}

export interface TransactionBroker extends WireBroker {
  readonly nodeId: number | string
  /** By API key; null before the first connection. */
  readonly versions: Readonly<Record<number, { readonly maxVersion: number }>> | null
  initProducerId(request: {
    readonly transactionalId: string
    readonly transactionTimeout: number
  }): Promise<{ readonly producerId: string; readonly producerEpoch: number }>
  addPartitionsToTxn(
    request: ProducerIdentity & {
      readonly topics: readonly { readonly topic: string; readonly partitions: readonly number[] }[]
    },
  ): Promise<unknown>
  addOffsetsToTxn(request: ProducerIdentity & { readonly groupId: string }): Promise<unknown>
  txnOffsetCommit(
    request: ProducerIdentity & {
      readonly groupId: string
      readonly topics: readonly {
        readonly topic: string
        readonly partitions: readonly {
          readonly partition: number
          readonly offset: string
          readonly metadata: string
        }[]
      }[]
    },
  ): Promise<unknown>
  endTxn(request: ProducerIdentity & { readonly transactionResult: boolean }): Promise<unknown>
}

/** As kafkajs's own producers have it: leaders that have moved are noticed by their answers. */
const metadataMaxAgeMs = 300_000

/** Connections of its own, made when needed. */
export function transactionCluster(kafka: object, options: ClusterOptions = {}): TransactionCluster {
  const cluster = createCluster(kafka, { metadataMaxAge: metadataMaxAgeMs, ...options })
  return cluster as unknown as TransactionCluster
}
