import { beforeEach, expect, test } from 'vitest'
import type { Broker, CoordinatorRequest } from '../../../src/kafka/internals.ts'
import {
  coordinatorRequests,
  forgetCoordinator,
  patchCoordinatorCache,
} from '../../../src/kafka/patches/coordinator-cache.ts'
import { unpatched } from '../../support/unpatched-kafkajs.ts'

/** Stands for the classes of kafkajs: patched prototypes, scripted answers. */
function setUp() {
  class FakeBroker {
    nodeId = 1
    connected = true
    answer: { type?: string } | null = null
    isConnected(): boolean {
      return this.connected
    }
  }
  const ask = async function (this: FakeBroker): Promise<void> {
    if (this.answer) throw Object.assign(new Error('refused'), this.answer)
  }
  for (const name of coordinatorRequests) Object.assign(FakeBroker.prototype, { [name]: ask })
  class FakeCluster {
    found = 0
    brokerPool: { brokers: Record<string, FakeBroker> } = { brokers: { 1: new FakeBroker() } }
    async findGroupCoordinator(_request: CoordinatorRequest): Promise<Broker> {
      this.found++
      return this.brokerPool.brokers[1] as Broker
    }
  }
  patchCoordinatorCache(FakeCluster, FakeBroker)
  const cluster = new FakeCluster()
  const broker = cluster.brokerPool.brokers[1] as FakeBroker
  const endTxn = () => (broker as unknown as { endTxn(): Promise<void> }).endTxn()
  return { cluster, broker, endTxn, FakeBroker }
}

let { cluster, broker, endTxn, FakeBroker } = setUp()
beforeEach(() => {
  ;({ cluster, broker, endTxn, FakeBroker } = setUp())
})
const group = { groupId: 'g' }

test('the coordinator of a key is asked for once', async () => {
  await cluster.findGroupCoordinator(group)
  await endTxn()
  await cluster.findGroupCoordinator(group)
  await cluster.findGroupCoordinator({ ...group, coordinatorType: 0 })
  expect(cluster.found).toBe(1)
})

test('it is asked for again by whoever has waited long enough, while the request still waits', async () => {
  await cluster.findGroupCoordinator(group)
  forgetCoordinator(cluster, 'g')
  await cluster.findGroupCoordinator(group)
  expect(cluster.found).toBe(2)
})

test('a group and a transactional id of the same name are different keys', async () => {
  await cluster.findGroupCoordinator(group)
  await cluster.findGroupCoordinator({ ...group, coordinatorType: 1 })
  expect(cluster.found).toBe(2)
})

test.each([
  ['it is not the coordinator any more', { type: 'NOT_COORDINATOR_FOR_GROUP' }],
  ['it is not available', { type: 'GROUP_COORDINATOR_NOT_AVAILABLE' }],
  ['the request timed out or the connection broke', {}],
])('it is asked for again after a failure: %s', async (_name, answer) => {
  await cluster.findGroupCoordinator(group)
  broker.answer = answer
  await expect(endTxn()).rejects.toThrow('refused')
  await cluster.findGroupCoordinator(group)
  expect(cluster.found).toBe(2)
})

test.each(['CONCURRENT_TRANSACTIONS', 'REBALANCE_IN_PROGRESS'])(
  '%s is an answer of the right one',
  async (type) => {
    await cluster.findGroupCoordinator(group)
    broker.answer = { type }
    await expect(endTxn()).rejects.toThrow('refused')
    await cluster.findGroupCoordinator(group)
    expect(cluster.found).toBe(1)
  },
)

test('it is asked for again when the broker is not connected, or was replaced', async () => {
  await cluster.findGroupCoordinator(group)
  broker.connected = false
  await cluster.findGroupCoordinator(group)
  expect(cluster.found).toBe(2)
  broker.connected = true
  cluster.brokerPool.brokers[1] = new FakeBroker()
  await cluster.findGroupCoordinator(group)
  expect(cluster.found).toBe(3)
})

test('every coordinator request that the patch counts exists in kafkajs', () => {
  const { prototype } = unpatched<{ prototype: object }>('broker')
  for (const name of coordinatorRequests) expect(prototype, name).toHaveProperty(name)
})
