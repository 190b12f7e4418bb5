import type { Fetched } from './fetched.ts'
import type { Cluster, JoiningMember } from './internals.ts'

/** What the source learns from inside kafkajs; installed per consumer by patches P-D, P-E and P-F. */
export interface ConsumerHooks {
  /** Before the member joins or joins again. The join waits for the promise. */
  beforeJoin(group: JoiningMember): Promise<void>
  /** Every partition of every fetch response, in order. `resolve` moves the fetch position to `next`. */
  fetched(fetched: Fetched, resolve: (next: number) => void): void
  /** The leader has no such offset; the partition is paused and nothing was committed. */
  offsetOutOfRange(topic: string, partition: number): void
}

/** A consumer owns its cluster object, so the cluster is the consumer's identity inside kafkajs. */
const hooksByCluster = new WeakMap<Cluster, ConsumerHooks>()

export function installHooks(cluster: Cluster, hooks: ConsumerHooks): void {
  hooksByCluster.set(cluster, hooks)
}

export function hooksOf(cluster: Cluster): ConsumerHooks | undefined {
  return hooksByCluster.get(cluster)
}
