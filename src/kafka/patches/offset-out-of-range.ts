import { hooksOf } from '../consumer-hooks.ts'
import type { ConsumerGroup, Patchable } from '../internals.ts'

/**
 * P-D. When the leader answers OFFSET_OUT_OF_RANGE, kafkajs commits offset −2 (or −1) without metadata by
 * itself, despite `autoCommit: false`, and jumps: the group's position and its metadata are gone. Here the
 * partition is paused and its owner is told; only transactions write group offsets. A follower that lags behind
 * is dropped first, so that the leader decides.
 */
export function patchOffsetOutOfRange(consumerGroup: Patchable<ConsumerGroup>): void {
  consumerGroup.prototype.recoverFromOffsetOutOfRange = async function (
    this: ConsumerGroup,
    { topic, partition },
  ) {
    const followers = this.preferredReadReplicasPerTopicPartition[topic]
    if (followers?.[partition] !== undefined) {
      delete followers[partition]
      return
    }
    this.pause([{ topic, partitions: [partition] }])
    hooksOf(this.cluster)?.offsetOutOfRange(topic, partition)
  }
}
