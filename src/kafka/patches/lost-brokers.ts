import type { ConsumerGroup, Patchable } from '../internals.ts'
import { systemClock } from '../../time/system-clock.ts'

/** Between two tries to reach a broker that is away. */
const pauseMs = 100

const awayNames = new Set([
  'KafkaJSConnectionError',
  'KafkaJSConnectionClosedError',
  'KafkaJSRequestTimeoutError',
  'KafkaJSBrokerNotFound',
  'KafkaJSLockTimeout',
])
const movedCoordinator = new Set([
  'NOT_COORDINATOR_FOR_GROUP',
  'GROUP_COORDINATOR_NOT_AVAILABLE',
  'GROUP_LOAD_IN_PROGRESS',
])
const movedLeader = new Set([
  'LEADER_NOT_AVAILABLE',
  'NOT_LEADER_FOR_PARTITION',
  'FENCED_LEADER_EPOCH',
  'UNKNOWN_LEADER_EPOCH',
])

/**
 * P-J. When one broker of several goes away, kafkajs stops for longer than the broker's duties do, and leaves its group:
 *
 * It looks for the coordinator only when it joins. Heartbeats to one that is gone fail until all retries are used up
 * (about 15 s), and one that has moved makes every member join again. Here a failed heartbeat looks for the coordinator,
 * beside the fetches, and goes on as the same member: the next coordinator knows the members and begins their sessions
 * anew.
 *
 * A fetch that cannot reach its broker ends the fetches from all brokers and the heartbeats that go with them, again and
 * again, so that the member is thrown out. Here it fetched nothing, after a pause.
 *
 * After a leader has moved every member joins again: a rebalance of the whole group for each move. Here only the metadata
 * are read again.
 */
export function patchLostBrokers(consumerGroup: Patchable<ConsumerGroup>): void {
  const searches = new WeakMap<ConsumerGroup, Promise<void>>()
  const search = async (group: ConsumerGroup): Promise<void> => {
    try {
      await systemClock.sleep(pauseMs)
      group.coordinator = await group.cluster.findGroupCoordinator({ groupId: group.groupId })
    } catch {
      // The next heartbeat fails, and looks again.
    } finally {
      searches.delete(group)
    }
  }
  const heartbeat = consumerGroup.prototype.heartbeat
  consumerGroup.prototype.heartbeat = async function (this: ConsumerGroup, options) {
    if (searches.has(this)) return
    try {
      await heartbeat.call(this, options)
    } catch (error) {
      if (!isAway(error) && !movedCoordinator.has(typeOf(error))) throw error
      if (!searches.has(this)) searches.set(this, search(this))
    }
  }

  const recover = consumerGroup.prototype.recoverFromFetch
  consumerGroup.prototype.recoverFromFetch = async function (this: ConsumerGroup, error) {
    if (movedLeader.has(typeOf(error))) {
      await systemClock.sleep(pauseMs)
      await this.cluster.refreshMetadata()
      return
    }
    if (!isAway(error)) return recover.call(this, error)
    // A connection that closed makes kafkajs forget the broker, and ask for metadata before the next fetch.
    if (nameOf(error) === 'KafkaJSConnectionClosedError') await recover.call(this, error)
    await systemClock.sleep(pauseMs)
  }
}

/** Also when kafkajs has given up trying. */
function isAway(error: unknown): boolean {
  if (awayNames.has(nameOf(error))) return true
  const { cause } = error as { cause?: unknown }
  return nameOf(error) === 'KafkaJSNumberOfRetriesExceeded' && cause !== undefined && isAway(cause)
}

function nameOf(error: unknown): string {
  return (error as { name?: string }).name ?? ''
}

function typeOf(error: unknown): string {
  return (error as { type?: string }).type ?? ''
}
