import { expect, test, vi } from 'vitest'
import type { Broker, ConsumerCluster, ConsumerGroup, Patchable } from '../../../src/kafka/internals.ts'
import { patchLostBrokers } from '../../../src/kafka/patches/lost-brokers.ts'
import { copyOf, unpatched } from '../../support/unpatched-kafkajs.ts'

const original = unpatched<Patchable<ConsumerGroup>>('consumer/consumerGroup')

interface Coordinator extends Broker {
  heartbeat: () => Promise<void>
}

const away = Object.assign(new Error('no connection'), { name: 'KafkaJSConnectionError' })
const gaveUp = Object.assign(new Error('no connection'), {
  name: 'KafkaJSNumberOfRetriesExceeded',
  cause: away,
})

function protocolError(type: string): Error {
  return Object.assign(new Error(type), { name: 'KafkaJSProtocolError', type })
}

/** A member whose coordinator answers with `error` (null: well), and whose cluster knows another one. */
function member(prototype: ConsumerGroup, error: Error | null) {
  const answer = vi.fn(() => (error === null ? Promise.resolve() : Promise.reject(error)))
  const next = { nodeId: 2, heartbeat: vi.fn(async () => {}), isConnected: () => true }
  const cluster = {
    findGroupCoordinator: vi.fn(async () => next),
    refreshMetadata: vi.fn(async () => {}),
    removeBroker: vi.fn(),
  }
  // Its constructor makes the heartbeats that callers share.
  const Group = prototype.constructor as new (options: object) => ConsumerGroup
  const silent = { info() {}, debug() {}, warn() {}, error() {}, namespace: () => silent }
  const group = new Group({ cluster, groupId: 'g', logger: silent, instrumentationEmitter: { emit() {} } })
  const joinAndSync = vi.fn(async () => {})
  const coordinator: Coordinator = { nodeId: 1, heartbeat: answer, isConnected: () => true }
  Object.assign(group, { memberId: 'm', generationId: 3, coordinator, lastRequest: 0, joinAndSync })
  return { group, cluster: cluster as typeof cluster & ConsumerCluster, answer, next, joinAndSync }
}

function patchedMember(error: Error | null) {
  const Patched = copyOf(original)
  patchLostBrokers(Patched)
  return member(Patched.prototype, error)
}

const now = { interval: 0 }

test.each([
  ['cannot be reached', away],
  ['was not reached in many tries', gaveUp],
  ['is the coordinator no more', protocolError('NOT_COORDINATOR_FOR_GROUP')],
  ['still reads the group', protocolError('GROUP_LOAD_IN_PROGRESS')],
])('a heartbeat to a broker that %s is followed by one to the present coordinator', async (_, error) => {
  const published = member(original.prototype, error)
  await expect(published.group.heartbeat(now)).rejects.toBe(error)
  expect(published.cluster.findGroupCoordinator).not.toHaveBeenCalled()

  const { group, cluster, answer, next } = patchedMember(error)
  await group.heartbeat(now)
  await group.heartbeat(now)
  expect(answer).toHaveBeenCalledOnce() // not again while the coordinator is looked for
  await vi.waitFor(() => expect(group.coordinator).toBe(next))
  expect(cluster.findGroupCoordinator).toHaveBeenCalledExactlyOnceWith({ groupId: 'g' })
  await vi.waitFor(async () => {
    await group.heartbeat(now)
    expect(next.heartbeat).toHaveBeenCalled()
  })
})

test.each(['REBALANCE_IN_PROGRESS', 'UNKNOWN_MEMBER_ID', 'ILLEGAL_GENERATION', 'GROUP_AUTHORIZATION_FAILED'])(
  'what a heartbeat learns of the membership is told: %s',
  async (type) => {
    const { group, cluster } = patchedMember(protocolError(type))
    await expect(group.heartbeat(now)).rejects.toMatchObject({ type })
    expect(cluster.findGroupCoordinator).not.toHaveBeenCalled()
  },
)

test('a search for the coordinator that fails is begun again by the next heartbeat', async () => {
  const { group, cluster, next } = patchedMember(away)
  cluster.findGroupCoordinator.mockRejectedValueOnce(away)
  await group.heartbeat(now)
  await vi.waitFor(async () => {
    await group.heartbeat(now)
    expect(group.coordinator).toBe(next)
  })
  expect(cluster.findGroupCoordinator).toHaveBeenCalledTimes(2)
})

test.each([
  ['cannot be reached', away],
  ['was not reached in many tries', gaveUp],
])('a fetch from a broker that %s fetched nothing; as published it ends all fetches', async (_, error) => {
  const published = member(original.prototype, null)
  await expect(published.group.recoverFromFetch(error)).rejects.toBe(error)
  await patchedMember(null).group.recoverFromFetch(error)
})

test('a connection that closed still makes kafkajs forget the broker', async () => {
  const { group, cluster } = patchedMember(null)
  const closed = Object.assign(new Error('closed'), {
    name: 'KafkaJSConnectionClosedError',
    host: 'kafka',
    port: 9092,
  })
  await group.recoverFromFetch(closed)
  expect(cluster.removeBroker).toHaveBeenCalledExactlyOnceWith({ host: 'kafka', port: 9092 })
})

test('a leader that moved is looked up; as published the whole group joins again', async () => {
  const error = protocolError('NOT_LEADER_FOR_PARTITION')
  const published = member(original.prototype, null)
  await published.group.recoverFromFetch(error)
  expect(published.joinAndSync).toHaveBeenCalledOnce()

  const { group, cluster, joinAndSync } = patchedMember(null)
  await group.recoverFromFetch(error)
  expect(cluster.refreshMetadata).toHaveBeenCalledOnce()
  expect(joinAndSync).not.toHaveBeenCalled()
})

test('a topic that is gone, and any other trouble of a fetch, is left to kafkajs', async () => {
  const { group, joinAndSync } = patchedMember(null)
  await group.recoverFromFetch(protocolError('UNKNOWN_TOPIC_OR_PARTITION'))
  expect(joinAndSync).toHaveBeenCalledOnce()
  await expect(group.recoverFromFetch(protocolError('TOPIC_AUTHORIZATION_FAILED'))).rejects.toMatchObject({
    type: 'TOPIC_AUTHORIZATION_FAILED',
  })
})
