import { expect, test } from 'vitest'
import { compileFeatures } from '../../../src/features/compile.ts'
import { MemoryStore } from '../../../src/features/memory-store.ts'
import { Flusher } from '../../../src/pipeline/flusher.ts'
import { PartitionMemory } from '../../../src/pipeline/partition-memory.ts'
import { missingEntity } from '../../../src/pipeline/stored-parts.ts'
import { manualClock } from '../../../src/time/manual-clock.ts'

const features = compileFeatures({
  entities: [{ name: 'customer', keys: ['customer'], merge: false }],
  scored: 'tx',
  values: [],
  features: [
    {
      kind: 'aggregate',
      name: 'count',
      over: 'customer',
      from: 'tx',
      aggregate: 'count',
      value: null,
      where: null,
      divideBy: 1,
      settings: {},
      default: 0,
      windowMs: 1_000,
      delayMs: 0,
      edges: '(]',
      current: true,
    },
  ],
  eventsPerEntityMax: 1_000,
})
const layout = features.layouts[0]!
const { signal } = new AbortController()
const ttlMs = 60_000
const inputName = 'tx:0'

function open() {
  const store = new MemoryStore(features.layouts, 2)
  const clock = manualClock(10_000)
  const memory = new PartitionMemory(features, 2, (key) => store.bucketOf(key), {
    ttlMs,
    monotonic: () => clock.monotonic(),
  })
  const bucket = { expected: null, build: 'aabbccdd', offset: 0, rebuild: true, distanceMin: null }
  const flusher = new Flusher({
    store,
    memory,
    clock,
    inputName,
    incarnation: 'inc',
    buckets: [bucket, { ...bucket, build: 'aabbccee' }],
    replayFrom: { offset: 0, maxTime: null },
    ttlMs,
    rowsMax: 10_000,
    ageMaxMs: 5_000,
    outageMaxMs: 86_400_000,
    awaited: 'no',
    isShared: false,
    caughtUpAt: () => 0,
    flushed: () => undefined,
  })
  let offset = 0
  const insert = (customer: string): void => {
    const raw = { topic: 'tx', partition: 0, offset, timestamp: 0, key: null, value: null, headers: [] }
    const event = { id: String(offset), key: customer, time: offset, fields: { customer }, raw }
    memory.insert(layout, memory.put(layout, customer, null), event, null)
    offset++
  }
  const flush = async (): Promise<void> => {
    flusher.committed({ offset, maxTime: offset - 1 }, 1)
    await flusher.flushAll(signal)
  }
  const missing = (partsMax = 64): Promise<string | null> =>
    missingEntity({ store, memory, flusher, inputName }, partsMax, signal)
  const drop = (customer: string): void =>
    store.dropKey(store.bucketOf(customer), { layout: 0, entityKey: customer }, inputName)
  return { store, clock, memory, insert, flush, missing, drop }
}

const customers = Array.from({ length: 40 }, (_, index) => `c${index}`)

test('of many parts the one that was deleted is found, in as many looks as that takes', async () => {
  const { insert, flush, missing, drop } = open()
  customers.forEach(insert)
  await flush()
  expect(await missing()).toBeNull()
  drop('c33')
  const looks: (string | null)[] = []
  for (let look = 0; look < 5; look++) looks.push(await missing(10))
  expect(looks.filter((one) => one !== null)).toContain('c33')
})

test('large parts are looked for a few at a time', async () => {
  const { insert, flush, memory } = open()
  for (const customer of ['c1', 'c2', 'c3']) for (let n = 0; n < 40_000; n++) insert(customer)
  await flush()
  expect(memory.storedParts(64)).toHaveLength(1)
})

test('what is not written yet, or may have expired, is not missed', async () => {
  const { insert, flush, missing, drop, clock } = open()
  insert('c1')
  expect(await missing()).toBeNull()
  await flush()
  insert('c1')
  drop('c1') // has news in memory: the next flush writes it whole
  expect(await missing()).toBeNull()
  await flush()
  drop('c1')
  await clock.advance(ttlMs)
  expect(await missing()).toBeNull()
})

test('a store that lost its watermark, too, is noticed by who loads or flushes; nothing is said here', async () => {
  const { insert, flush, missing, store } = open()
  customers.forEach(insert)
  await flush()
  store.clear()
  expect(await missing()).toBeNull()
})

test('a part that was loaded and never written may be close to its expiry: it is not missed', async () => {
  const { insert, flush, missing, memory, drop, store } = open()
  insert('c1')
  await flush()
  const bytes = store.loadNow(store.bucketOf('c1'), {
    inputName,
    own: [{ layout: 0, entityKey: 'c1' }],
    merged: [],
  })
  memory.put(layout, 'loaded', bytes.own[0]!.subarray(4))
  drop('loaded')
  expect(await missing()).toBeNull()
})
