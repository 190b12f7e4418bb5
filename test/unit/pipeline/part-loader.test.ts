import { expect, test } from 'vitest'
import { compileFeatures } from '../../../src/features/compile.ts'
import { MemoryStore } from '../../../src/features/memory-store.ts'
import type { Loaded, LoadRequest, PartChange } from '../../../src/features/store.ts'
import type { AggregateSpec } from '../../../src/features/spec.ts'
import { HeldForeign } from '../../../src/pipeline/held-foreign.ts'
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
  settings: {},
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
  changes: readonly PartChange[] = [],
): Promise<void> {
  const expected = store.watermarksNow(bucket).get(inputName) ?? null
  const next = watermark(offset, incarnation)
  await store.flush(bucket, { inputName, expected, next, changes, ttlMs: 1 })
}

/** The part of a shop with one event at each of these times. */
function shopPart(entityKey: string, times: readonly number[]): PartChange {
  const layout = features.layouts[0]!
  const part = features.newPart(layout)
  for (const time of times) features.insert(layout, part, { ...event(entityKey, null), time })
  const bytes = Buffer.concat([Buffer.from('aabbccdd', 'hex'), features.encode(layout, part, Infinity)])
  return { layout: layout.index, entityKey, kind: 'set', bytes }
}

/** Counts the parts that are sent. */
class Counting extends Buckets {
  sent = 0
  override async load(bucket: number, request: LoadRequest): Promise<Loaded> {
    const loaded = await super.load(bucket, request)
    this.sent += loaded.merged.reduce((sum, parts) => sum + parts.size, 0)
    return loaded
  }
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
    foreign: new HeldForeign(),
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

test('a part of another partition is neither sent nor decoded again while its watermark is the same', async () => {
  const store = new Counting(features.layouts, 1)
  await flush(store, 0, 'tx:1', 1, 'i', [shopPart('0', [1])])
  await flush(store, 0, 'tx:2', 1, 'i', [shopPart('0', [1, 2])])
  const options = optionsOf(store)
  const read = async () => (await loadParts(options, [event('0', null)], { ends: null }, signal))?.of(0, '0')
  await read()
  const first = await read()
  expect([first?.map(({ length }) => length), store.sent]).toEqual([[1, 2], 4])
  const second = await read()
  expect([second?.[0] === first?.[0], second?.[1] === first?.[1], store.sent]).toEqual([true, true, 4])
})

test('a part is read again as soon as its own watermark has moved; those of others are not', async () => {
  const store = new Counting(features.layouts, 1)
  await flush(store, 0, 'tx:1', 1, 'i', [shopPart('0', [1])])
  await flush(store, 0, 'tx:2', 1, 'i', [shopPart('0', [1, 2])])
  const options = optionsOf(store)
  const read = async () => (await loadParts(options, [event('0', null)], { ends: null }, signal))?.of(0, '0')
  await read()
  await read()
  await flush(store, 0, 'tx:1', 2, 'i', [shopPart('0', [1, 2, 3])])
  const after = await read()
  expect([after?.map(({ length }) => length), store.sent]).toEqual([[3, 2], 5])
})

test('a part that another partition had none of is seen once it is there', async () => {
  const store = new Counting(features.layouts, 1)
  await flush(store, 0, 'tx:1', 1)
  const options = optionsOf(store)
  const read = async () => (await loadParts(options, [event('0', null)], { ends: null }, signal))?.of(0, '0')
  await read()
  expect(await read()).toEqual([])
  await flush(store, 0, 'tx:1', 2, 'i', [shopPart('0', [1])])
  expect((await read())?.map(({ length }) => length)).toEqual([1])
})

test('nothing is taken from memory once a watermark is gone', async () => {
  const store = new Counting(features.layouts, 1)
  await flush(store, 0, 'tx:1', 1, 'i', [shopPart('0', [1])])
  const options = optionsOf(store)
  const read = async () => (await loadParts(options, [event('0', null)], { ends: null }, signal))?.of(0, '0')
  await read()
  expect(await read()).toHaveLength(1)
  store.dropWatermark(0, 'tx:1')
  expect(await read()).toEqual([])
})
