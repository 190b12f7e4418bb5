import { hooksOf } from '../consumer-hooks.ts'
import type { ConsumerGroup, Patchable } from '../internals.ts'
import { stableOffsetOf } from './stable-offsets.ts'

/**
 * P-F. kafkajs hands out batches through a worker queue, shows those without data records only as an event that
 * lacks the fetched offset, and moves its own position over them even when they were fetched before a seek. A
 * takeover ends by position, so it has to see them all, and must be able to refuse each. Here a consumer
 * with hooks gets every response in the turn in which it arrived, right after kafkajs has dropped partitions with a
 * pending seek and paused ones; the worker queue (and its waiting per broker) is left empty.
 */
export function patchFetchedBatches(consumerGroup: Patchable<ConsumerGroup>): void {
  const fetch = consumerGroup.prototype.fetch
  consumerGroup.prototype.fetch = async function (this: ConsumerGroup, nodeId: string) {
    const batches = await fetch.call(this, nodeId)
    const hooks = hooksOf(this.cluster)
    if (!hooks) return batches
    for (const batch of batches) {
      const { topic, partition } = batch
      const fetched = Object.assign(batch, { stableOffset: stableOffsetOf(batch) })
      hooks.fetched(fetched, (offset) => this.resolveOffset({ topic, partition, offset }))
    }
    return []
  }
}
