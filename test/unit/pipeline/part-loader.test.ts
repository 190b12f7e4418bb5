import { expect, test } from 'vitest'
import { compileFeatures } from '../../../src/features/compile.ts'
import { MemoryStore } from '../../../src/features/memory-store.ts'
import type { AggregateSpec } from '../../../src/features/spec.ts'
import { loadParts, type LoaderOptions } from '../../../src/pipeline/part-loader.ts'
import { PartitionMemory } from '../../../src/pipeline/partition-memory.ts'
import type { MergedRead } from '../../../src/pipeline/peers.ts'
import { encodeWatermark } from '../../../src/pipeline/watermark.ts'
import type { Event } from '../../../src/record/event.ts'

const { signal } = new AbortController()
const count = (over: string): AggregateSpec => ({
  kind: 'aggregate',
  name: `${over}_count`,
  over,
  from: 'tx',
  aggregate: 'count',
  value: null,
  where: null,
  divideBy: 1,
  default: 0,
  windowMs: 1_000,
  delayMs: 0,
  edges: '(]',
  current: true,
})
const features = compileFeatures({
  entities: ['shop', 'device'].map((name) => ({ name, keys: [name], merge: true })),
  scored: 'tx',
  values: [],
  features: [count('shop'), count('device')],
  eventsPerEntityMax: 100,
})
const reads: MergedRead[] = features.layouts.map((layout) => ({
  layout,
  inputs: ['tx:0', 'tx:1', 'tx:2'],
  slackMs: 0,
  delayMs: 0,
}))

/** Entity names are numbers of buckets. */
class Buckets extends MemoryStore {
  override bucketOf(entityKey: string): number {
    return Number(/\d+/.exec(entityKey)?.[0])
  }
}

function watermark(offset: number, incarnation = 'i'): string {
  const times = {
    maxTime: offset,
    flushedAt: 0,
    caughtUpAt: 0,
    distanceMin: null,
    headTime: null,
    builtAt: null,
  }
  return encodeWatermark({ incarnation, build: 'aabbccdd', offset, ...times })
}

async function flush(
  store: MemoryStore,
  bucket: number,
  inputName: string,
  offset: number,
  incarnation?: string,
): Promise<void> {
  const expected = store.watermarksNow(bucket).get(inputName) ?? null
  const next = watermark(offset, incarnation)
  await store.flush(bucket, { inputName, expected, next, changes: [], ttlMs: 1 })
}

function optionsOf(store: MemoryStore): LoaderOptions {
  const plan = {
    features,
    featuresSpec: { scored: 'tx' },
    sources: [{ name: 'tx', outOfOrderMs: 10, allowedLatenessMs: 90 }],
    store: { outageMaxMs: 1_000 },
  }
  return {
    shared: { plan, store, clock: { now: () => 0 } } as unknown as LoaderOptions['shared'],
    topic: 'tx',
    inputName: 'tx:0',
    incarnation: 'i',
    memory: new PartitionMemory(features, store.buckets, (key) => store.bucketOf(key)),
    flusher: {
      expects: (bucket: number, text: string | null) => text === (bucket === 3 ? 'lost' : null),
      trustsStore: () => true,
      build: () => 'aabbccdd',
    } as unknown as LoaderOptions['flusher'],
    fed: [],
    merged: reads,
    ttlMs: 10_000,
  }
}

function event(shop: string | null, device: string | null): Event {
  const raw = { topic: 'tx', partition: 0, offset: 9, timestamp: 0, key: null, value: null, headers: [] }
  return { id: 'e', key: 'k', time: 1, fields: { shop, device }, raw }
}

test('entities in one bucket, or buckets at the same offsets, have one stamp', async () => {
  const store = new Buckets(features.layouts, 4)
  for (const bucket of [0, 1]) {
    await flush(store, bucket, 'tx:1', 5)
    await flush(store, bucket, 'tx:2', 8)
  }
  const events = [event('0', '0'), event('0', '1'), event('1', null)]
  const foreign = await loadParts(optionsOf(store), events, { ends: null }, signal)
  for (const one of events) {
    expect(foreign?.stampOf(one)).toEqual({ watermarks: { 'tx:1': 5, 'tx:2': 8 }, byEntity: null })
  }
})

test('an event whose entities were read at different offsets says what is true of all, and which saw more', async () => {
  const store = new Buckets(features.layouts, 4)
  await flush(store, 0, 'tx:1', 5)
  await flush(store, 0, 'tx:2', 8)
  await flush(store, 1, 'tx:1', 7)
  await flush(store, 1, 'tx:2', 6)
  await flush(store, 2, 'tx:1', 4)
  await flush(store, 2, 'tx:2', 6)
  const crossed = event('0', '1')
  const ordered = event('0', '2')
  const foreign = await loadParts(optionsOf(store), [crossed, ordered], { ends: null }, signal)
  expect(foreign?.stampOf(crossed)).toEqual({
    watermarks: { 'tx:1': 5, 'tx:2': 6 },
    byEntity: { shop: { 'tx:1': 5, 'tx:2': 8 }, device: { 'tx:1': 7, 'tx:2': 6 } },
  })
  expect(foreign?.stampOf(ordered)).toEqual({
    watermarks: { 'tx:1': 4, 'tx:2': 6 },
    byEntity: { shop: { 'tx:1': 5, 'tx:2': 8 } },
  })
})

test('partitions that still remember an earlier topic of the same name count as empty', async () => {
  const store = new Buckets(features.layouts, 1)
  await flush(store, 0, 'tx:1', 500, 'b.earlier')
  await flush(store, 0, 'tx:2', 8, 'c.now')
  const options = { ...optionsOf(store), incarnation: 'a.now' }
  const foreign = await loadParts(options, [event('0', null)], { ends: null }, signal)
  expect(foreign?.stampOf(event('0', null))?.watermarks).toEqual({ 'tx:1': 0, 'tx:2': 8 })
})

test('where another partition lost records, events are told until when they may miss them', async () => {
  const store = new Buckets(features.layouts, 1)
  await flush(store, 0, 'tx:0', 5, 'own@9000')
  await flush(store, 0, 'tx:1', 5, 'a')
  await flush(store, 0, 'labels:0', 5, 'b@500')
  await flush(store, 0, 'labels:1', 5, 'c@700')
  const merged = reads.map((read, index) =>
    index === 0 ? { ...read, inputs: ['labels:0', 'labels:1', 'tx:1'] } : read,
  )
  const options = {
    ...optionsOf(store),
    merged,
    flusher: Object.assign(optionsOf(store).flusher, { expects: () => true }),
  }
  const foreign = await loadParts(options, [event('0', '0'), event(null, '0')], { ends: null }, signal)
  // 10 out of order + windows of 1 000 + 90 late.
  expect(foreign?.gapUntil(event('0', '0'))).toBe(700 + 1_100)
  expect(foreign?.gapUntil(event(null, '0'))).toBeNull()
})

test('an own watermark that is not the expected one is noticed in every bucket', async () => {
  const store = new Buckets(features.layouts, 4)
  const events = [event('0', '1'), event('2', '3')]
  await expect(loadParts(optionsOf(store), events, { ends: null }, signal)).rejects.toMatchObject({
    code: 'STATE_MISMATCH',
    message: expect.stringContaining('bucket 3') as unknown,
  })
})
