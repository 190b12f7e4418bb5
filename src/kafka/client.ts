import type {
  Consumer,
  ConsumerConfig,
  Kafka as KafkaClientOfKafkajs,
  KafkaConfig,
  SASLOptions,
} from 'kafkajs'
import type { Log } from '../telemetry/log.ts'
import type { Clock } from '../time/clock.ts'
import { openKafkaAdmin } from './admin.ts'
import type { KafkaAdmin } from './admin.ts'
import { installHooks } from './consumer-hooks.ts'
import type { ConsumerHooks } from './consumer-hooks.ts'
import type { Cluster } from './internals.ts'
import { Kafka, PartitionAssigners, logLevel } from './kafkajs.ts'
import { kafkajsLogCreator } from './log.ts'
import type { KafkaPlan } from './plan.ts'
import { BufferPool } from './wire/buffer-pool.ts'
import { transactionCluster } from './wire/transaction-cluster.ts'
import { openTransactionalProducer, type TransactionalProducer } from './wire/transactional-producer.ts'

/** Connections, made as needed, to one Kafka cluster. */
export interface KafkaClient {
  readonly plan: KafkaPlan
  /** Shared; connects with its first call. */
  readonly admin: KafkaAdmin
  /** A consumer that reports to `hooks` instead of handing out batches. */
  consumer(config: ConsumerConfig, hooks: ConsumerHooks): Consumer
  /** A producer for one transactional id, not connected. */
  transactionalProducer(transactionalId: string): TransactionalProducer
  /** Closes the admin connection; consumers and producers are closed by whoever asked for them. Idempotent. */
  close(): Promise<void>
}

export interface KafkaClientOptions {
  readonly plan: KafkaPlan
  readonly clock: Clock
  readonly log: Log
}

/**
 * Connections and metadata: 100 ms growing to 500 ms, about 9 s in all where connections are refused; then the caller
 * decides.
 */
const connectionRetry = {
  initialRetryTime: 100,
  maxRetryTime: 500,
  multiplier: 2,
  factor: 0.2,
  retries: 20,
}

/** TLS and SASL over a long way take a few round trips. */
const connectionTimeoutMs = 5_000

/** A broker that has not answered by then is treated as gone; transactions have a deadline of their own. */
const requestTimeoutMs = 15_000

/** `overrides` replace settings of kafkajs, such as its retry profile. */
export function kafkaConfig(plan: KafkaPlan, log: Log, overrides: Partial<KafkaConfig> = {}): KafkaConfig {
  return {
    brokers: [...plan.brokers],
    clientId: plan.clientId,
    connectionTimeout: connectionTimeoutMs,
    requestTimeout: requestTimeoutMs,
    retry: connectionRetry,
    logLevel: logLevel.INFO,
    logCreator: kafkajsLogCreator(log),
    ssl: plan.ssl,
    ...(plan.sasl ? { sasl: plan.sasl as SASLOptions } : {}),
    ...overrides,
  }
}

export function openKafkaClient({ plan, clock, log }: KafkaClientOptions): KafkaClient {
  const config = kafkaConfig(plan, log)
  // All clients of one Kafka object share a map of committed offsets, which a consumer trusts: consumers of one group must
  // not meet in it.
  const producers: KafkaClientOfKafkajs = new Kafka(config)
  const buffers = new BufferPool()
  const admin = openKafkaAdmin(producers, clock)
  return {
    plan,
    admin,
    consumer: (consumerConfig, hooks) => new Kafka(config).consumer(hooked(consumerConfig, hooks)),
    transactionalProducer: (transactionalId) =>
      openTransactionalProducer({
        cluster: transactionCluster(producers),
        transactionalId,
        transactionTimeoutMs: plan.transactionTimeoutMs,
        clientId: plan.clientId,
        clock,
        buffers,
      }),
    close: () => admin.close(),
  }
}

/** The assigner factory is the one place where kafkajs shows a consumer's cluster object to the outside. */
function hooked(config: ConsumerConfig, hooks: ConsumerHooks): ConsumerConfig {
  return {
    ...config,
    partitionAssigners: [
      (context) => {
        installHooks(context.cluster as unknown as Cluster, hooks)
        return PartitionAssigners.roundRobin(context)
      },
    ],
  }
}
