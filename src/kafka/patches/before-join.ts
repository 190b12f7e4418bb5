import { hooksOf } from '../consumer-hooks.ts'
import type { Cluster, ConsumerGroup, Patchable } from '../internals.ts'

/**
 * P-E. Three things about joining a group:
 *
 * kafkajs joins again without asking the owner of the partitions; its REBALANCING event is not awaited. Here the join
 * waits for the `beforeJoin` hook, so that open slices are finished before the group moves on (the hook has the
 * deadline).
 *
 * Joins that start while one is under way share it: kafkajs has one fetcher per broker and each may start a join of
 * its own, which would make a second generation for nothing.
 *
 * A consumer that kafkajs restarts (after an outage of the brokers) forgets who it was and joins as a new member; when
 * it could not say goodbye, the whole group then waits until the session of its former self has timed out. Here it
 * joins as the same member, which the coordinator accepts at once, or refuses if the session is over.
 */
export function patchBeforeJoin(consumerGroup: Patchable<ConsumerGroup>): void {
  const joins = new WeakMap<ConsumerGroup, Promise<void>>()
  /** The group object that joined last, per consumer. */
  const joined = new WeakMap<Cluster, ConsumerGroup>()
  const joinAndSync = consumerGroup.prototype.joinAndSync
  const join = async (group: ConsumerGroup): Promise<void> => {
    try {
      await hooksOf(group.cluster)?.beforeJoin(group)
      const former = joined.get(group.cluster)
      // Leaving sets it to null, but only when the coordinator has answered.
      if (former !== group) group.memberId ??= former?.memberId ?? null
      await joinAndSync.call(group)
      joined.set(group.cluster, group)
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
