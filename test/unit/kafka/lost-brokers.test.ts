import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import type { ConsumerGroup, Patchable } from '../../../src/kafka/internals.ts'
import { patchLostBrokers } from '../../../src/kafka/patches/lost-brokers.ts'
import { copyOf, unpatched } from '../../support/unpatched-kafkajs.ts'

const original = unpatched<Patchable<ConsumerGroup>>('consumer/consumerGroup')

beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance', 'Date'] }))
afterEach(() => void vi.useRealTimers())

function failure(name: string, fields: object = {}): Error {
  return Object.assign(new Error(name), { name }, fields)
}

const away = failure('KafkaJSConnectionError')
const gaveUp = failure('KafkaJSNumberOfRetriesExceeded', { cause: away })
const movedLeader = failure('KafkaJSProtocolError', { type: 'NOT_LEADER_FOR_PARTITION' })
const leaderless = failure('KafkaJSNumberOfRetriesExceeded', {
  cause: failure('KafkaJSProtocolError', { type: 'LEADER_NOT_AVAILABLE' }),
})

/** A member whose fetches fail with `trouble.error` (null: they find nothing). */
function member(prototype: ConsumerGroup, error: Error | null) {
  const trouble = { error }
  const cluster = {
    refreshMetadataIfNecessary: async () => {
      if (trouble.error) throw trouble.error
    },
    refreshMetadata: vi.fn(async () => {}),
    removeBroker: vi.fn(),
  }
  const group = Object.create(prototype) as ConsumerGroup
  const warn = vi.fn()
  const joinAndSync = vi.fn(async () => {})
  Object.assign(group, {
    cluster,
    groupId: 'g',
    joinAndSync,
    logger: { warn, debug() {}, info() {} },
    // As far as a fetch without assigned partitions goes.
    checkForStaleAssignment: () => {},
    subscriptionState: { assigned: () => [] },
    filterPartitionsByNode: () => [],
    seekOffsets: async () => {},
    offsetManager: { committedOffsets: () => ({}) },
    getActiveTopicPartitions: () => ({}),
    maxWaitTime: 5,
  })
  const fetch = async (nodeId = '1'): Promise<unknown> => {
    const fetched = group.fetch(nodeId).catch((reason: unknown) => reason)
    await vi.advanceTimersByTimeAsync(150)
    return fetched
  }
  return { fetch, trouble, cluster, warn, joinAndSync }
}

function patchedMember(error: Error | null) {
  const Patched = copyOf(original)
  patchLostBrokers(Patched)
  return member(Patched.prototype, error)
}

test.each([
  ['cannot be reached', away],
  ['was not reached in many tries', gaveUp],
  ['does not answer', failure('KafkaJSRequestTimeoutError')],
])('a fetch from a broker that %s fetched nothing; as published it ends all fetches', async (_, error) => {
  expect(await member(original.prototype, error).fetch()).toBe(error)
  const { fetch, cluster, warn } = patchedMember(error)
  expect(await fetch()).toEqual([])
  expect(cluster.refreshMetadata).toHaveBeenCalled()
  await fetch()
  expect(warn).toHaveBeenCalledOnce()
})

test('metadata that cannot be read either are left to the next fetch', async () => {
  const { fetch, cluster } = patchedMember(away)
  cluster.refreshMetadata.mockRejectedValue(away)
  expect(await fetch()).toEqual([])
})

test('a broker that stays away for half a minute starts the consumer anew, which everybody sees', async () => {
  const { fetch, trouble } = patchedMember(away)
  for (let i = 0; i < 200; i++) expect(await fetch()).toEqual([]) // 150 ms each
  await fetch()
  const given = await fetch()
  expect(given).toMatchObject({ name: 'KafkaJSNoBrokerAvailableError', retriable: true })
  expect(String(given)).toMatch(/no records from broker 1 for 30 s: KafkaJSConnectionError/)

  // One good fetch from it begins the time anew; other brokers have a time of their own.
  for (let i = 0; i < 190; i++) expect(await fetch()).toEqual([])
  expect(await fetch('2')).toEqual([])
  trouble.error = null
  await fetch()
  trouble.error = away
  for (let i = 0; i < 190; i++) expect(await fetch()).toEqual([])
})

test('a connection that closed still makes kafkajs forget the broker', async () => {
  const closed = failure('KafkaJSConnectionClosedError', { host: 'kafka', port: 9092 })
  const { fetch, cluster } = patchedMember(closed)
  expect(await fetch()).toEqual([])
  expect(cluster.removeBroker).toHaveBeenCalledExactlyOnceWith({ host: 'kafka', port: 9092 })
})

test.each([
  ['moved', movedLeader],
  ['is not chosen yet', leaderless],
])('a leader that %s is looked up, and nobody joins again', async (_, error) => {
  const { fetch, cluster, joinAndSync } = patchedMember(error)
  expect(await fetch()).toEqual([])
  expect(cluster.refreshMetadata).toHaveBeenCalled()
  expect(joinAndSync).not.toHaveBeenCalled()
})

test('as published a leader that moved makes the group join again', async () => {
  const { fetch, joinAndSync } = member(original.prototype, movedLeader)
  await fetch()
  expect(joinAndSync).toHaveBeenCalledOnce()
})

test('a topic that is gone, and any other trouble of a fetch, is left to kafkajs', async () => {
  const gone = patchedMember(failure('KafkaJSProtocolError', { type: 'UNKNOWN_TOPIC_OR_PARTITION' }))
  await gone.fetch()
  expect(gone.joinAndSync).toHaveBeenCalledOnce()
  const refused = failure('KafkaJSProtocolError', { type: 'TOPIC_AUTHORIZATION_FAILED' })
  expect(await patchedMember(refused).fetch()).toBe(refused)
})
