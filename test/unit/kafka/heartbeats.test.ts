import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import type { ConsumerGroup, Patchable } from '../../../src/kafka/internals.ts'
import { patchHeartbeats } from '../../../src/kafka/patches/heartbeats.ts'
import { copyOf, unpatched } from '../../support/unpatched-kafkajs.ts'

const original = unpatched<Patchable<ConsumerGroup>>('consumer/consumerGroup')

beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance', 'Date'] }))
afterEach(() => void vi.useRealTimers())

const away = Object.assign(new Error('no connection'), { name: 'KafkaJSConnectionError' })
const gaveUp = Object.assign(new Error('gave up'), { name: 'KafkaJSNumberOfRetriesExceeded', cause: away })
const never = new Promise<void>(() => {})

function protocolError(type: string): Error {
  return Object.assign(new Error(type), { name: 'KafkaJSProtocolError', type })
}

/** A member whose coordinator answers like `answer`, in a cluster where broker 2 is the coordinator now. */
function member(prototype: ConsumerGroup, answer: () => Promise<void>) {
  const first = { nodeId: 1, heartbeat: vi.fn(answer), isConnected: vi.fn(() => true) }
  const next = { nodeId: 2, heartbeat: vi.fn(async () => {}), isConnected: () => true }
  const cluster = {
    findGroupCoordinator: async () => first,
    findGroupCoordinatorMetadata: vi.fn(async () => ({ coordinator: { nodeId: 2 } })),
    findBroker: vi.fn(async ({ nodeId }: { nodeId: number | string }) => (nodeId === 1 ? first : next)),
    refreshMetadata: vi.fn(async () => {}),
  }
  const warn = vi.fn()
  const emit = vi.fn()
  const silent = { info() {}, debug() {}, warn, error() {}, namespace: () => silent }
  const options = { cluster, groupId: 'g', logger: silent, instrumentationEmitter: { emit } }
  // Its constructor makes the heartbeats that callers share.
  const Group = prototype.constructor as new (options: object) => ConsumerGroup
  const group = new Group({ ...options, sessionTimeout: 6_000 })
  const offsetManager = { coordinator: first }
  Object.assign(group, { memberId: 'm', generationId: 3, coordinator: first, lastRequest: 0, offsetManager })
  const leaveGroup = vi.fn(async () => {})
  Object.assign(first, { leaveGroup })
  Object.assign(next, { leaveGroup })
  return { group, cluster, first, next, warn, emit, offsetManager }
}

function patched(answer: () => Promise<void>) {
  const Patched = copyOf(original)
  patchHeartbeats(Patched, 'accepted')
  return member(Patched.prototype, answer)
}

const fail = (error: unknown) => () => Promise.reject(error)
const now = { interval: 0 }
const pass = (ms: number): Promise<unknown> => vi.advanceTimersByTimeAsync(ms)

test('an accepted heartbeat is told, and the next one goes out after the interval', async () => {
  const { group, first, emit } = patched(async () => {})
  await group.heartbeat({ interval: 500 })
  await pass(0)
  expect(emit).toHaveBeenCalledExactlyOnceWith('accepted', {
    groupId: 'g',
    memberId: 'm',
    groupGenerationId: 3,
  })
  await pass(400)
  await group.heartbeat({ interval: 500 })
  expect(first.heartbeat).toHaveBeenCalledTimes(1)
  await pass(100)
  await group.heartbeat({ interval: 500 })
  expect(first.heartbeat).toHaveBeenCalledTimes(2)
})

test.each([
  ['cannot be reached', away],
  ['was not reached in many tries', gaveUp],
  ['is the coordinator no more', protocolError('NOT_COORDINATOR_FOR_GROUP')],
  ['still reads the group', protocolError('GROUP_LOAD_IN_PROGRESS')],
])(
  'after a heartbeat to a broker that %s the next ones go to the present coordinator; as published it fails for ever',
  async (_, error) => {
    const published = member(original.prototype, fail(error))
    for (let i = 0; i < 3; i++) await expect(published.group.heartbeat(now)).rejects.toBe(error)
    expect(published.cluster.findGroupCoordinatorMetadata).not.toHaveBeenCalled()

    const { group, next, offsetManager } = patched(fail(error))
    await group.heartbeat(now)
    await pass(100)
    expect(group.coordinator).toBe(next)
    expect(offsetManager.coordinator).toBe(next)
    await group.heartbeat(now)
    await pass(0)
    expect(next.heartbeat).toHaveBeenCalledExactlyOnceWith({
      groupId: 'g',
      memberId: 'm',
      groupGenerationId: 3,
    })
  },
)

test('a connection that is gone is made anew, by nobody but the search, and nobody else is asked', async () => {
  const { group, cluster, first } = patched(async () => {})
  first.isConnected.mockReturnValue(false)
  await group.heartbeat(now)
  expect(first.heartbeat).not.toHaveBeenCalled()
  await pass(100)
  expect(cluster.findBroker).toHaveBeenCalledExactlyOnceWith({ nodeId: 1 })
  expect(cluster.findGroupCoordinatorMetadata).not.toHaveBeenCalled()
  first.isConnected.mockReturnValue(true)
  await group.heartbeat(now)
  expect(first.heartbeat).toHaveBeenCalledOnce()
})

test.each([
  ['is refused', () => Promise.reject(away)],
  ['is not answered', () => never as never],
])('where the new connection %s, the others are asked', async (_, connect) => {
  const { group, cluster, first, next } = patched(async () => {})
  first.isConnected.mockReturnValue(false)
  cluster.findBroker.mockImplementationOnce(connect)
  await group.heartbeat(now)
  await pass(1_200)
  expect(group.coordinator).toBe(next)
})

test('a coordinator that does not answer holds up nobody, and is replaced after half the session', async () => {
  const { group, first, next } = patched(() => never)
  await group.heartbeat(now)
  await pass(2_900)
  await group.heartbeat(now)
  expect(first.heartbeat).toHaveBeenCalledOnce() // one after another
  await pass(200)
  expect(group.coordinator).toBe(next)
})

test('an answer that comes too late is not taken for one to a later heartbeat', async () => {
  const late = Promise.withResolvers<void>()
  const { group, emit } = patched(() => late.promise)
  await group.heartbeat(now)
  await pass(3_200)
  late.resolve()
  await pass(0)
  expect(emit).not.toHaveBeenCalled()
})

test('heartbeats go on while the coordinator is looked for: the one that was may answer again', async () => {
  let isAway = true
  const { group, cluster, first, emit } = patched(() => (isAway ? Promise.reject(away) : Promise.resolve()))
  cluster.findGroupCoordinatorMetadata.mockReturnValue(never as never)
  await group.heartbeat(now)
  await pass(150)
  isAway = false
  await group.heartbeat(now)
  await pass(0)
  expect(first.heartbeat).toHaveBeenCalledTimes(2)
  expect(emit).toHaveBeenCalledOnce()
})

test.each(['REBALANCE_IN_PROGRESS', 'UNKNOWN_MEMBER_ID', 'ILLEGAL_GENERATION', 'GROUP_AUTHORIZATION_FAILED'])(
  'what an answer says of the membership is thrown until the next generation, and heartbeats go on: %s',
  async (type) => {
    const { group, cluster, first } = patched(fail(protocolError(type)))
    await group.heartbeat(now)
    await pass(100)
    await expect(group.heartbeat(now)).rejects.toMatchObject({ type })
    await expect(group.heartbeat(now)).rejects.toMatchObject({ type })
    expect(first.heartbeat).toHaveBeenCalledTimes(2)
    expect(cluster.findGroupCoordinatorMetadata).not.toHaveBeenCalled()
    Object.assign(group, { generationId: 4 })
    first.heartbeat.mockResolvedValue()
    await group.heartbeat(now)
  },
)

test('a search that fails is told once and begun again by the next heartbeat', async () => {
  const { group, cluster, next, warn } = patched(fail(away))
  cluster.findGroupCoordinatorMetadata.mockRejectedValueOnce(away)
  await group.heartbeat(now)
  await pass(150)
  expect(warn).toHaveBeenCalledExactlyOnceWith('The coordinator was not found: no connection', {
    groupId: 'g',
  })
  expect(cluster.refreshMetadata).toHaveBeenCalledOnce()
  await group.heartbeat(now)
  await pass(150)
  expect(group.coordinator).toBe(next)
})

test('a broker that does not answer who the coordinator is does not hold up the search', async () => {
  const { group, cluster, next } = patched(fail(away))
  cluster.findGroupCoordinatorMetadata.mockReturnValueOnce(never as never)
  cluster.refreshMetadata.mockReturnValueOnce(never)
  await group.heartbeat(now)
  await pass(2_200)
  await group.heartbeat(now)
  await pass(200)
  expect(group.coordinator).toBe(next)
})

test('without an answer for half a minute the member ends, for it is none any more; one answer begins anew', async () => {
  let isSilent = true
  const { group, cluster, first } = patched(() => (isSilent ? never : Promise.resolve()))
  cluster.findBroker.mockResolvedValue(first) // it is the coordinator still, by what the others say
  const tries = async (seconds: number): Promise<unknown> => {
    for (let ms = 0; ms < seconds * 1_000; ms += 100) {
      const error = await group.heartbeat(now).then(
        () => null,
        (thrown: unknown) => thrown,
      )
      if (error) return error
      await pass(100)
    }
    return null
  }
  expect(await tries(25)).toBeNull()
  isSilent = false
  expect(await tries(4)).toBeNull()
  isSilent = true
  expect(await tries(25)).toBeNull()
  expect(await tries(15)).toMatchObject({ name: 'KafkaJSNoBrokerAvailableError', retriable: true })
  await expect(group.heartbeat(now)).rejects.toThrow('no heartbeat was answered for')
})

test('refused credentials end the membership instead of being tried for ever', async () => {
  const refused = Object.assign(new Error('no'), { name: 'KafkaJSSASLAuthenticationError' })
  const { group, cluster } = patched(fail(away))
  cluster.findGroupCoordinatorMetadata.mockRejectedValueOnce(refused)
  await group.heartbeat(now)
  await pass(150)
  await expect(group.heartbeat(now)).rejects.toBe(refused)
})

test('a member that leaves sends nothing more and looks for nobody', async () => {
  const { group, cluster, first } = patched(fail(away))
  await group.heartbeat(now)
  await group.leave()
  await pass(1_000)
  await group.heartbeat(now)
  expect(first.heartbeat).toHaveBeenCalledOnce()
  expect(cluster.findGroupCoordinatorMetadata).not.toHaveBeenCalled()
})
