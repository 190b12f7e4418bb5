import type { Cluster, Patchable } from '../internals.ts'

/**
 * 2 ms growing to 100 ms, about 40 s in all: below the 60 s default of a transaction. Every partition has a producer, and
 * while a broker is away each of them asks the others as often.
 */
export const transactionRetry = {
  initialRetryTime: 2,
  maxRetryTime: 100,
  multiplier: 1.5,
  factor: 0.2,
  retries: 400,
}

/**
 * P-G. The transaction manager of kafkajs takes its back-off from `cluster.retry`, a property that does not exist: it
 * always waits 300 ms and more, also for CONCURRENT_TRANSACTIONS, which a claim over an open transaction meets for
 * a few milliseconds. Here the property exists.
 */
export function patchClaimBackOff(cluster: Patchable<Cluster>): void {
  Object.defineProperty(cluster.prototype, 'retry', { value: transactionRetry, configurable: true })
}
