import { systemClock } from '../../time/system-clock.ts'
import { isAway, isProtocolError, textOf } from '../errors.ts'
import type { ConsumerGroup, Patchable } from '../internals.ts'
import { awayMaxMs, NoBrokerAvailable } from './no-broker.ts'

/** Between two fetches from a broker that is away. */
const pauseMs = 100

const movedLeader = [
  'LEADER_NOT_AVAILABLE',
  'NOT_LEADER_FOR_PARTITION',
  'FENCED_LEADER_EPOCH',
  'UNKNOWN_LEADER_EPOCH',
]

/** Out of kafkajs's recovery, to where it is known which broker was asked. */
class Lost extends Error {
  constructor(cause: unknown) {
    super('a fetch failed', { cause })
  }
}

/**
 * P-K. A fetch that cannot reach its broker makes kafkajs end the fetches from all brokers, again and again, with growing
 * pauses. And after a leader has moved every member joins again: a rebalance of the whole group for each move. Here such
 * a fetch fetched nothing: after a pause the next one asks whoever leads then. When a broker stays away for half a
 * minute the consumer is started anew, as published, which everybody sees.
 */
export function patchLostBrokers(consumerGroup: Patchable<ConsumerGroup>): void {
  const awaySince = new WeakMap<ConsumerGroup, Map<string, number>>()
  const recover = consumerGroup.prototype.recoverFromFetch
  consumerGroup.prototype.recoverFromFetch = async function (this: ConsumerGroup, error) {
    if (isAway(error) || isProtocolError(error, ...movedLeader)) throw new Lost(error)
    await recover.call(this, error)
  }

  const lost = async (group: ConsumerGroup, nodeId: string, error: unknown): Promise<void> => {
    const since = awaySince.get(group) ?? new Map<string, number>()
    awaySince.set(group, since)
    const now = systemClock.monotonic()
    if (!since.has(nodeId)) {
      since.set(nodeId, now)
      group.logger.warn(`No records from broker ${nodeId}: ${textOf(error)}`, { groupId: group.groupId })
    }
    const awayMs = now - (since.get(nodeId) ?? now)
    if (awayMs > awayMaxMs) {
      since.clear()
      const message = `no records from broker ${nodeId} for ${Math.round(awayMs / 1000)} s: ${textOf(error)}`
      throw new NoBrokerAvailable(message)
    }
    // A connection that closed makes kafkajs forget the broker, and ask for metadata before the next fetch.
    if ((error as { name?: string }).name === 'KafkaJSConnectionClosedError') await recover.call(group, error)
    await systemClock.sleep(pauseMs)
    // What fails here fails in the next fetch as well, which then comes here.
    await group.cluster.refreshMetadata().catch(() => undefined)
  }

  const fetch = consumerGroup.prototype.fetch
  consumerGroup.prototype.fetch = async function (this: ConsumerGroup, nodeId: string) {
    try {
      const batches = await fetch.call(this, nodeId)
      awaySince.get(this)?.delete(nodeId)
      return batches
    } catch (error) {
      if (!(error instanceof Lost)) throw error
      await lost(this, nodeId, error.cause)
      return []
    }
  }
}
