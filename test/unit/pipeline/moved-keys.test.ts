import { expect, test } from 'vitest'
import { MovedKeys } from '../../../src/pipeline/moved-keys.ts'
import type { PartitionSetup } from '../../../src/pipeline/partition-context.ts'
import type { RawRecord } from '../../../src/record/raw-record.ts'
import { partitionOfKey } from '../../../src/sink/murmur2.ts'

const { signal } = new AbortController()
const keys = Array.from({ length: 200 }, (_, index) => Buffer.from(`c${index}`))
/** Partition 1 of a topic with two. */
const partition = 1
const fits = keys.filter((key) => partitionOfKey(key, 2) === partition)
const strays = keys.filter((key) => partitionOfKey(key, 2) !== partition)

function recordsOf(...some: readonly (Buffer | null)[]): readonly RawRecord[] {
  return some.map((key) => ({
    topic: 'tx',
    partition,
    offset: 0,
    timestamp: 0,
    key,
    value: null,
    headers: [],
  }))
}

/** A topic that has `cluster.partitions` now, and how often somebody looked. */
function open({ merged = false } = {}) {
  const cluster = {
    partitions: 2,
    looks: 0,
    nowMs: 0,
    fails: false,
    hangs: false,
    slept: new Promise<void>(() => {}),
  }
  const layout = {}
  const setup = {
    shared: {
      plan: { features: { layoutsFedBy: () => [layout], mergedReads: merged ? [layout] : [] } },
      clock: { monotonic: () => cluster.nowMs, sleep: () => cluster.slept },
      topics: {
        look: () => {
          cluster.looks++
          if (cluster.hangs) return new Promise(() => {})
          if (cluster.fails) return Promise.reject(new Error('no broker'))
          return Promise.resolve(new Map([['tx', { id: null, partitions: cluster.partitions }]]))
        },
      },
    },
    source: { name: 'transactions' },
    input: { source: 'transactions', topic: 'tx', partition },
  } as unknown as PartitionSetup
  return { cluster, moved: new MovedKeys(setup, 2) }
}

test('keys that lie where the partitioner puts them, and records without a key, ask nobody', async () => {
  const { cluster, moved } = open()
  await moved.refuse(recordsOf(...fits, null), signal)
  expect(cluster.looks).toBe(0)
})

test('the first key that came here because the topic grew is refused before it is scored', async () => {
  const { cluster, moved } = open()
  await moved.refuse(recordsOf(...fits), signal)
  cluster.partitions = 3
  await expect(moved.refuse(recordsOf(fits[0]!, strays[0]!), signal)).rejects.toThrow(
    'topic tx has 3 partitions now, before 2',
  )
  await expect(moved.refuse(recordsOf(strays[1]!), signal)).rejects.toMatchObject({ code: 'TOPIC_CHANGED' })
})

test('under another partitioner it looks once a second', async () => {
  const { cluster, moved } = open()
  await moved.refuse(recordsOf(...strays), signal)
  cluster.partitions = 3
  cluster.nowMs = 999
  await moved.refuse(recordsOf(...strays), signal)
  expect(cluster.looks).toBe(1)
  cluster.nowMs = 1_000
  await expect(moved.refuse(recordsOf(...strays), signal)).rejects.toMatchObject({ code: 'TOPIC_CHANGED' })
})

test('nobody answers whether the topic has grown: the first stray key waits, those of another partitioner go on', async () => {
  const { cluster, moved } = open()
  cluster.fails = true
  await expect(moved.refuse(recordsOf(strays[0]!), signal)).rejects.toThrow('no broker')
  cluster.fails = false
  await moved.refuse(recordsOf(strays[0]!), signal)
  cluster.fails = true
  cluster.nowMs = 5_000
  await moved.refuse(recordsOf(strays[0]!), signal)
  expect(cluster.looks).toBe(3)
})

test('under another partitioner a look that is not answered holds up a slice for half a second, and the next second nothing', async () => {
  const { cluster, moved } = open()
  await moved.refuse(recordsOf(strays[0]!), signal)
  Object.assign(cluster, { hangs: true, nowMs: 5_000, slept: Promise.resolve() })
  await moved.refuse(recordsOf(strays[0]!), signal)
  cluster.nowMs = 5_999
  await moved.refuse(recordsOf(strays[0]!), signal)
  expect(cluster.looks).toBe(2)
})

test('a look that is not answered does not hold up a partition that has to end', async () => {
  const { cluster, moved } = open()
  cluster.hangs = true
  const ends = new AbortController()
  const refused = moved.refuse(recordsOf(strays[0]!), ends.signal)
  ends.abort(new Error('revoked'))
  await expect(refused).rejects.toThrow('revoked')
})

test('where all features are merged a key may move', async () => {
  const { cluster, moved } = open({ merged: true })
  cluster.partitions = 3
  await moved.refuse(recordsOf(...strays), signal)
  expect(cluster.looks).toBe(0)
})
