import type { Broker, Cluster, CoordinatorRequest, Patchable } from '../internals.ts'

type Request = (this: Broker, ...args: unknown[]) => Promise<unknown>

/** The calls that go to a coordinator: their failure is what tells that it may have moved. */
export const coordinatorRequests = [
  'initProducerId',
  'addPartitionsToTxn',
  'addOffsetsToTxn',
  'txnOffsetCommit',
  'endTxn',
  'joinGroup',
  'syncGroup',
  'heartbeat',
  'leaveGroup',
  'offsetFetch',
  'offsetCommit',
  'describeGroups',
] as const

/** Answers of a coordinator that is the right one. */
const answersOfTheRightOne = new Set(['CONCURRENT_TRANSACTIONS', 'REBALANCE_IN_PROGRESS'])

/** A client talks to a handful of groups and transactional ids; an admin client may see more. */
const entriesMax = 64

interface Entry {
  readonly broker: Broker
  readonly failuresThen: number
}

const caches = new WeakMap<Cluster, Map<string, Entry>>()

/** Whoever has waited long enough for the coordinator of a group; its request may fail much later. */
export function forgetCoordinator(cluster: Cluster, group: string): void {
  caches.get(cluster)?.delete(keyOf({ groupId: group }))
}

function keyOf({ coordinatorType = 0, groupId }: CoordinatorRequest): string {
  return `${coordinatorType}|${groupId}`
}

/**
 * P-C. kafkajs asks for the coordinator before every coordinator request: four of the nine round trips of a
 * transaction. Here the answer is kept per cluster and key while the broker is connected and known, and dropped
 * on any failure of a coordinator request to that broker (moved, loading, connection lost, timeout): asking
 * once too often costs a round trip, once too rarely would repeat a failure for ever.
 */
export function patchCoordinatorCache(cluster: Patchable<Cluster>, broker: Patchable<Broker>): void {
  const failures = new WeakMap<Broker, number>()
  const failuresOf = (one: Broker): number => failures.get(one) ?? 0
  const requests = broker.prototype as unknown as Record<string, Request>
  for (const name of coordinatorRequests) {
    requests[name] = counting(requests[name] as Request, (one) => failures.set(one, failuresOf(one) + 1))
  }

  const find = cluster.prototype.findGroupCoordinator
  cluster.prototype.findGroupCoordinator = async function (this: Cluster, request: CoordinatorRequest) {
    const cache = caches.get(this) ?? new Map<string, Entry>()
    caches.set(this, cache)
    const key = keyOf(request)
    const known = cache.get(key)
    if (known && isUsable(this, known, failuresOf(known.broker))) return known.broker
    cache.delete(key)
    const found = await find.call(this, request)
    if (cache.size >= entriesMax) cache.clear()
    cache.set(key, { broker: found, failuresThen: failuresOf(found) })
    return found
  }
}

function isUsable(cluster: Cluster, { broker, failuresThen }: Entry, failuresNow: number): boolean {
  const current = cluster.brokerPool.brokers[broker.nodeId]
  return current === broker && broker.isConnected() && failuresThen === failuresNow
}

function counting(request: Request, failed: (broker: Broker) => void): Request {
  return async function (this: Broker, ...args: unknown[]) {
    try {
      return await request.apply(this, args)
    } catch (error) {
      if (!answersOfTheRightOne.has((error as { type?: string }).type ?? '')) failed(this)
      throw error
    }
  }
}
