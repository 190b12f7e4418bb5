import type { Cluster, Patchable } from '../internals.ts'

/** 2 ms growing to 20 ms, about 40 s in all: below the 60 s default of a transaction. */
export const transactionRetry = {
  initialRetryTime: 2,
  maxRetryTime: 20,
  multiplier: 1.5,
  factor: 0.2,
  retries: 2_000,
}

/**
 * P-G. The transaction manager of kafkajs takes its back-off from `cluster.retry`, a property that does not exist: it
 * always waits 300 ms and more, also for CONCURRENT_TRANSACTIONS, which a claim over an open transaction meets for
 * a few milliseconds. Here the property exists.
 */
export function patchClaimBackOff(cluster: Patchable<Cluster>): void {
  Object.defineProperty(cluster.prototype, 'retry', { value: transactionRetry, configurable: true })
}
