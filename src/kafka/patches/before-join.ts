import { hooksOf } from '../consumer-hooks.ts'
import type { ConsumerGroup, Patchable } from '../internals.ts'

/**
 * P-E. kafkajs joins again without asking the owner of the partitions; its REBALANCING event is not awaited. Here
 * the join waits for the `beforeJoin` hook, so that open slices are finished before the group moves on (the
 * hook has the deadline). Joins that start while one is under way share it: kafkajs has one fetcher per broker
 * and each may start a join of its own, which would make a second generation for nothing.
 */
export function patchBeforeJoin(consumerGroup: Patchable<ConsumerGroup>): void {
  const joins = new WeakMap<ConsumerGroup, Promise<void>>()
  const joinAndSync = consumerGroup.prototype.joinAndSync
  const join = async (group: ConsumerGroup): Promise<void> => {
    try {
      await hooksOf(group.cluster)?.beforeJoin(group)
      await joinAndSync.call(group)
    } finally {
      joins.delete(group)
    }
  }
  consumerGroup.prototype.joinAndSync = function (this: ConsumerGroup) {
    const underWay = joins.get(this)
    if (underWay) return underWay
    const joining = join(this)
    joins.set(this, joining)
    return joining
  }
}
