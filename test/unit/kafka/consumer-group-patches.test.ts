import { expect, test, vi } from 'vitest'
import { installHooks } from '../../../src/kafka/consumer-hooks.ts'
import type { ConsumerHooks } from '../../../src/kafka/consumer-hooks.ts'
import type { Cluster, ConsumerGroup, KafkajsBatch, Patchable } from '../../../src/kafka/internals.ts'
import { patchBeforeJoin } from '../../../src/kafka/patches/before-join.ts'
import { patchFetchedBatches } from '../../../src/kafka/patches/fetched-batches.ts'
import { patchOffsetOutOfRange } from '../../../src/kafka/patches/offset-out-of-range.ts'
import { copyOf, unpatched } from '../../support/unpatched-kafkajs.ts'

const original = unpatched<Patchable<ConsumerGroup>>('consumer/consumerGroup')

function hooks(overrides: Partial<ConsumerHooks> = {}): ConsumerHooks {
  return { beforeJoin: async () => {}, fetched: () => {}, offsetOutOfRange: () => {}, ...overrides }
}

/** An instance without its constructor: only what the method under test touches. */
function groupOf(prototype: ConsumerGroup, fields: object, installed?: ConsumerHooks): ConsumerGroup {
  const cluster = {} as Cluster
  if (installed) installHooks(cluster, installed)
  return Object.assign(Object.create(prototype) as ConsumerGroup, { cluster, ...fields })
}

function outOfRangeGroup(
  prototype: ConsumerGroup,
  installed?: ConsumerHooks,
  followers: Record<number, unknown> = {},
) {
  const setDefaultOffset = vi.fn<(partition: object) => Promise<void>>(async () => {})
  const pause = vi.fn()
  const fields = {
    preferredReadReplicasPerTopicPartition: { t: followers },
    offsetManager: { setDefaultOffset },
    logger: { info: () => {}, error: () => {} },
    pause,
  }
  return { group: groupOf(prototype, fields, installed), setDefaultOffset, pause }
}

test('an offset out of range pauses the partition and tells its owner; nothing is committed (as published: −2)', async () => {
  const published = outOfRangeGroup(original.prototype)
  await published.group.recoverFromOffsetOutOfRange({ topic: 't', partition: 3 })
  expect(published.setDefaultOffset).toHaveBeenCalledOnce()

  const Patched = copyOf(original)
  patchOffsetOutOfRange(Patched)
  const told = vi.fn()
  const { group, setDefaultOffset, pause } = outOfRangeGroup(
    Patched.prototype,
    hooks({ offsetOutOfRange: told }),
  )
  await group.recoverFromOffsetOutOfRange({ topic: 't', partition: 3 })
  expect(setDefaultOffset).not.toHaveBeenCalled()
  expect(pause).toHaveBeenCalledWith([{ topic: 't', partitions: [3] }])
  expect(told).toHaveBeenCalledExactlyOnceWith('t', 3)
})

test('a follower that lacks the offset is dropped and the leader asked first', async () => {
  const Patched = copyOf(original)
  patchOffsetOutOfRange(Patched)
  const told = vi.fn()
  const followers = { 3: { nodeId: 2, expireAt: 1 } }
  const { group } = outOfRangeGroup(Patched.prototype, hooks({ offsetOutOfRange: told }), followers)
  await group.recoverFromOffsetOutOfRange({ topic: 't', partition: 3 })
  expect(followers).toEqual({})
  expect(told).not.toHaveBeenCalled()
})

/** A group whose join only notes that it happened; `patched` waits for the hook before it. */
function joiningGroup(steps: string[], installed: ConsumerHooks) {
  class Joining {
    async joinAndSync(): Promise<void> {
      steps.push('join')
    }
  }
  const fields = {}
  const unpatchedGroup = groupOf(Joining.prototype as unknown as ConsumerGroup, fields, installed)
  const Patched = copyOf(Joining)
  patchBeforeJoin(Patched as unknown as Patchable<ConsumerGroup>)
  return { unpatchedGroup, group: groupOf(Patched.prototype as unknown as ConsumerGroup, fields, installed) }
}

test('a join waits until open slices are finished (as published it does not)', async () => {
  const steps: string[] = []
  const finished = Promise.withResolvers<void>()
  const beforeJoin = async (): Promise<void> => {
    await finished.promise
    steps.push('finished')
  }
  const { unpatchedGroup, group } = joiningGroup(steps, hooks({ beforeJoin }))
  await unpatchedGroup.joinAndSync()
  expect(steps.splice(0)).toEqual(['join'])

  const joining = group.joinAndSync()
  expect(steps).toEqual([])
  finished.resolve()
  await joining
  expect(steps).toEqual(['finished', 'join'])
})

test('joins that meet are one; a later one is a new one', async () => {
  const steps: string[] = []
  const { group } = joiningGroup(steps, hooks())
  await Promise.all([group.joinAndSync(), group.joinAndSync()])
  expect(steps).toEqual(['join'])
  await group.joinAndSync()
  expect(steps).toEqual(['join', 'join'])
})

test('the hook of a failed join is called again by the next', async () => {
  const steps: string[] = []
  const beforeJoin = vi.fn(async () => {
    if (steps.length === 0) {
      steps.push('failed')
      throw new Error('no')
    }
  })
  const { group } = joiningGroup(steps, hooks({ beforeJoin }))
  await expect(group.joinAndSync()).rejects.toThrow('no')
  await group.joinAndSync()
  expect(steps).toEqual(['failed', 'join'])
})

/** Two lives of one consumer: the second group object joins after the first has ended in the given way. */
async function memberIdsSent(
  endOfFirst: (first: ConsumerGroup) => void,
  patched: boolean,
): Promise<(string | null)[]> {
  const sent: (string | null)[] = []
  class Joining {
    memberId: string | null = null
    async joinAndSync(): Promise<void> {
      sent.push(this.memberId)
      this.memberId ??= `member ${sent.length}`
    }
  }
  const Group = patched ? copyOf(Joining) : Joining
  if (patched) patchBeforeJoin(Group as unknown as Patchable<ConsumerGroup>)
  const cluster = {}
  const [first, second] = [new Group(), new Group()].map(
    (group) => Object.assign(group as object, { cluster }) as ConsumerGroup,
  )
  if (!first || !second) throw new Error('unreachable')
  await first.joinAndSync()
  endOfFirst(first)
  await second.joinAndSync()
  return sent
}

test('a consumer that starts again after an outage is the same member, unless it has left (as published it never is)', async () => {
  const outage = (): void => {}
  const leave = (first: ConsumerGroup): void => {
    first.memberId = null
  }
  expect(await memberIdsSent(outage, false)).toEqual([null, null])
  expect(await memberIdsSent(outage, true)).toEqual([null, 'member 1'])
  expect(await memberIdsSent(leave, true)).toEqual([null, null])
})

test('every fetched partition goes to the owner, who decides whether the position moves; others keep their batches', async () => {
  const batches = [0, 1].map(
    (partition) => ({ topic: 't', partition, rawMessages: [] }) as unknown as KafkajsBatch,
  )
  class Fetching {
    readonly resolveOffset = vi.fn()
    async fetch(): Promise<KafkajsBatch[]> {
      return batches
    }
  }
  patchFetchedBatches(Fetching as unknown as Patchable<ConsumerGroup>)
  const fetched: ConsumerHooks['fetched'] = ({ partition }, resolve) => {
    if (partition === 1) resolve(42)
  }
  const resolveOffset = vi.fn()
  const owned = groupOf(Fetching.prototype as unknown as ConsumerGroup, { resolveOffset }, hooks({ fetched }))
  expect(await owned.fetch('1')).toEqual([])
  expect(resolveOffset).toHaveBeenCalledExactlyOnceWith({ topic: 't', partition: 1, offset: '41' })

  const other = groupOf(Fetching.prototype as unknown as ConsumerGroup, {})
  expect(await other.fetch('1')).toBe(batches)
})
