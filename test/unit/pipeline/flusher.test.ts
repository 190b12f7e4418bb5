import { describe, expect, test } from 'vitest'
import { compileFeatures } from '../../../src/features/compile.ts'
import { MemoryStore } from '../../../src/features/memory-store.ts'
import type { FeatureStore, FlushRequest, FlushResult } from '../../../src/features/store.ts'
import { Flusher, unwrapPart } from '../../../src/pipeline/flusher.ts'
import { PartitionMemory } from '../../../src/pipeline/partition-memory.ts'
import type { BucketPlan } from '../../../src/pipeline/takeover-types.ts'
import { parseWatermark } from '../../../src/pipeline/watermark.ts'
import type { Event } from '../../../src/record/event.ts'
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
  eventsPerEntityMax: 100,
})
const layout = features.layouts[0]!
const { signal } = new AbortController()

function event(offset: number, customer: string): Event {
  const raw = { topic: 'tx', partition: 0, offset, timestamp: 0, key: null, value: null, headers: [] }
  return { id: String(offset), key: customer, time: offset, fields: { customer }, raw }
}

const fresh: BucketPlan = { expected: null, build: 'aabbccdd', offset: 0, rebuild: true, distanceMin: null }

function open(store = new MemoryStore(features.layouts), rowsMax = 100, bucket = fresh) {
  const clock = manualClock(10_000)
  const memory = new PartitionMemory(features, 1, () => 0)
  const flusher = new Flusher({
    store,
    memory,
    clock,
    inputName: 'tx:0',
    incarnation: 'inc',
    buckets: [bucket],
    replayFrom: { offset: bucket.offset, maxTime: null },
    ttlMs: 60_000,
    rowsMax,
    ageMaxMs: 5_000,
    outageMaxMs: 86_400_000,
    awaited: 'no',
    isShared: false,
    caughtUpAt: () => 0,
    flushed: () => undefined,
  })
  const apply = (offset: number, customer: string): void => {
    const held = memory.put(layout, customer, null)
    memory.insert(layout, held, event(offset, customer), null)
  }
  return { clock, memory, flusher, store, apply }
}

async function stored(store: MemoryStore, entityKey: string): Promise<number> {
  const loaded = await store.load(0, { inputName: 'tx:0', own: [{ layout: 0, entityKey }], merged: [] })
  const bytes = unwrapPart(loaded.own[0] ?? null, 'aabbccdd')
  return bytes === null ? 0 : features.decode(layout, bytes).length
}

describe('flushing', () => {
  test('writes what is committed and nothing behind it', async () => {
    const { flusher, store, apply } = open()
    apply(0, 'a')
    apply(1, 'b')
    apply(2, 'a')
    flusher.committed({ offset: 2, maxTime: 1 }, 2)
    await flusher.flushAll(signal)
    expect(await stored(store, 'a')).toBe(1)
    expect(await stored(store, 'b')).toBe(1)
    expect(parseWatermark((await store.watermarks(0)).get('tx:0'))).toMatchObject({ offset: 2, maxTime: 1 })
    flusher.committed({ offset: 3, maxTime: 2 }, 1)
    await flusher.flushAll(signal)
    expect(await stored(store, 'a')).toBe(2)
  })

  test('a late copy of the script that began a rebuild leaves nothing that is trusted, and is noticed', async () => {
    const scripts: FlushRequest[] = []
    class Records extends MemoryStore {
      override flush(bucket: number, request: FlushRequest): Promise<FlushResult> {
        scripts.push(request)
        return super.flush(bucket, request)
      }
    }
    const { flusher, store, apply } = open(new Records(features.layouts))
    apply(0, 'a')
    flusher.committed({ offset: 1, maxTime: 0 }, 1)
    await flusher.flushAll(signal)
    apply(1, 'a')
    flusher.committed({ offset: 2, maxTime: 1 }, 1)
    await flusher.flushAll(signal)
    store.dropWatermark(0, 'tx:0')
    expect(scripts.map(({ changes }) => changes.length)).toEqual([0, 1, 1])
    const arrivesLate = (index: number) => MemoryStore.prototype.flush.call(store, 0, scripts[index]!)
    expect((await arrivesLate(1)).applied).toBe(false)
    expect((await arrivesLate(0)).applied).toBe(true)
    expect(parseWatermark((await store.watermarks(0)).get('tx:0'))).toBeNull()
    await expect(flusher.flushAll(signal)).rejects.toMatchObject({ code: 'STATE_MISMATCH' })
  })

  test('nor do late copies of it and of the first with data together', async () => {
    const scripts: FlushRequest[] = []
    class Records extends MemoryStore {
      override flush(bucket: number, request: FlushRequest): Promise<FlushResult> {
        scripts.push(request)
        return super.flush(bucket, request)
      }
    }
    const { flusher, store, apply } = open(new Records(features.layouts))
    for (const offset of [0, 1]) {
      apply(offset, 'a')
      flusher.committed({ offset: offset + 1, maxTime: offset }, 1)
      await flusher.flushAll(signal)
    }
    store.dropWatermark(0, 'tx:0')
    expect(store.flushNow(0, scripts[0]!)).toMatchObject({ applied: true })
    expect(store.flushNow(0, scripts[1]!)).toMatchObject({ applied: false })
    expect(await stored(store, 'a')).toBe(2)
  })

  test('while a rebuild begins, what the store says of it is known; afterwards only what it said', async () => {
    let during: (text: string | null) => boolean = () => false
    const seen: boolean[] = []
    class Asks extends MemoryStore {
      override flush(bucket: number, request: FlushRequest): Promise<FlushResult> {
        const begins = request.changes.length === 0
        const result = super.flushNow(bucket, request)
        if (begins) seen.push(during(result.current), during('BEGUN:inc:00000000:1'))
        return Promise.resolve(result)
      }
    }
    const { flusher, apply } = open(new Asks(features.layouts))
    during = (text) => flusher.expects(0, text)
    apply(0, 'a')
    flusher.committed({ offset: 1, maxTime: 0 }, 1)
    await flusher.flushAll(signal)
    expect(seen).toEqual([true, false])
    expect(flusher.expects(0, 'BEGUN:inc:aabbccdd:1')).toBe(false)
  })

  test('a script that was applied although its reply was lost counts as done', async () => {
    class LosesReplies extends MemoryStore {
      override flush(bucket: number, request: FlushRequest): Promise<FlushResult> {
        this.flushNow(bucket, request)
        return super.flush(bucket, request) // the resent script finds its own watermark
      }
    }
    const { flusher, store, apply } = open(new LosesReplies(features.layouts))
    apply(0, 'a')
    flusher.committed({ offset: 1, maxTime: 0 }, 1)
    await flusher.flushAll(signal)
    expect(flusher.flushedOffset).toBe(1)
    expect(await stored(store, 'a')).toBe(1)
  })

  test.each([
    ['an emptied store', (store: MemoryStore) => store.clear()],
    ['another owner', (store: MemoryStore) => store.flushNow(0, foreign(store))],
  ])('%s is noticed by the next flush, also when nothing changed', async (_, disturb) => {
    const { flusher, store, apply } = open()
    apply(0, 'a')
    flusher.committed({ offset: 1, maxTime: 0 }, 1)
    await flusher.flushAll(signal)
    disturb(store)
    await expect(flusher.flushAll(signal)).rejects.toMatchObject({ code: 'STATE_MISMATCH' })
  })

  test('the watermark says since when the build is written, also under the next owner', async () => {
    const { clock, flusher, store, apply } = open()
    const builtAt = () => parseWatermark(store.watermarksNow(0).get('tx:0'))?.builtAt
    apply(0, 'a')
    flusher.committed({ offset: 1, maxTime: 0 }, 1)
    await flusher.flushAll(signal)
    expect(builtAt()).toBe(10_000)
    await clock.advance(5_000)
    await flusher.flushAll(signal)
    expect(builtAt()).toBe(10_000)
    const expected = store.watermarksNow(0).get('tx:0') ?? null
    const next = open(store, 100, { expected, build: 'aabbccdd', offset: 1, rebuild: false, distanceMin: 1 })
    await next.flusher.flushAll(signal)
    expect(builtAt()).toBe(10_000)
  })

  test('at the bound the partition waits until a flush made room', async () => {
    const { flusher, apply } = open(new MemoryStore(features.layouts), 2)
    apply(0, 'a')
    flusher.committed({ offset: 1, maxTime: 0 }, 1)
    expect(flusher.hasRoom).toBe(true)
    flusher.committed({ offset: 2, maxTime: 0 }, 1)
    expect(flusher.hasRoom).toBe(false)
    let free = false
    const waiting = flusher.room(signal).then(() => (free = true))
    await Promise.resolve()
    expect(free).toBe(false)
    await flusher.flushAll(signal)
    await waiting
    expect(free).toBe(true)
  })

  test('runs by itself until stopped, and once a second when nothing happens', async () => {
    const { flusher, store, clock } = open()
    const running = flusher.run(signal)
    await clock.advance(1_300)
    const first = (await store.watermarks(0)).get('tx:0')
    expect(parseWatermark(first)).toMatchObject({ offset: 0 })
    await clock.advance(1_300)
    expect((await store.watermarks(0)).get('tx:0')).not.toBe(first)
    flusher.stop()
    await running
  })
})

describe('a flush that holds more than the store takes at once', () => {
  const max = { changes: 40, bytes: Infinity }

  function divided(flushMax = max, scripts: FlushRequest[] = []) {
    class Records extends MemoryStore {
      override flush(bucket: number, request: FlushRequest): Promise<FlushResult> {
        scripts.push(request)
        return super.flush(bucket, request)
      }
    }
    const opened = open(new Records(features.layouts, 1, flushMax), 10_000)
    const applyAll = (from: number, to: number, customerOf: (offset: number) => string): void => {
      for (let offset = from; offset < to; offset++) {
        opened.apply(offset, customerOf(offset))
        opened.memory.observe(event(offset, customerOf(offset)))
      }
    }
    const places = () => scripts.map(({ next }) => parseWatermark(next)).filter((one) => one !== null)
    return { ...opened, scripts, applyAll, places }
  }

  test('goes in steps, each a place of the committed log with the event time there', async () => {
    const { flusher, scripts, applyAll, places, store } = divided()
    applyAll(0, 300, (offset) => `c${offset}`)
    flusher.committed({ offset: 200, maxTime: 199 }, 200)
    await flusher.flushAll(signal)
    expect(Math.max(...scripts.map(({ changes }) => changes.length))).toBeLessThanOrEqual(40)
    expect(scripts.reduce((sum, { changes }) => sum + changes.length, 0)).toBe(200)
    expect(places().map(({ offset }) => offset)).toEqual([32, 64, 96, 128, 160, 200])
    for (const { offset, maxTime } of places()) expect(maxTime).toBe(offset - 1)
    expect(await stored(store, 'c199')).toBe(1)
    expect(await stored(store, 'c200')).toBe(0)
    flusher.committed({ offset: 300, maxTime: 299 }, 100)
    await flusher.flushAll(signal)
    expect(places().at(-1)).toMatchObject({ offset: 300, maxTime: 299 })
  })

  test('each step holds what changed in it, not again what changes later', async () => {
    const { flusher, scripts, applyAll, store } = divided()
    // 100 customers come twice, a hundred events apart.
    applyAll(0, 200, (offset) => `c${offset % 100}`)
    flusher.committed({ offset: 200, maxTime: 199 }, 200)
    await flusher.flushAll(signal)
    expect(Math.max(...scripts.map(({ changes }) => changes.length))).toBeLessThanOrEqual(40)
    expect(await stored(store, 'c7')).toBe(2)
  })

  test('is divided by bytes as well, down to what one event changes', async () => {
    const { flusher, scripts, applyAll } = divided({ changes: 1_000, bytes: 1 })
    applyAll(0, 100, (offset) => `c${offset}`)
    flusher.committed({ offset: 100, maxTime: 99 }, 100)
    await flusher.flushAll(signal)
    expect(scripts.filter(({ changes }) => changes.length > 0).map(({ changes }) => changes.length)).toEqual([
      32, 32, 32, 4,
    ])
  })

  test('that dies between two steps leaves a committed prefix, and the next owner goes on from there', async () => {
    const { flusher, applyAll, store, memory } = divided()
    applyAll(0, 200, (offset) => `c${offset}`)
    flusher.committed({ offset: 200, maxTime: 199 }, 200)
    const stop = new AbortController()
    let steps = 0
    const { flush } = store
    store.flush = (bucket, request) => {
      if (++steps === 4) throw new Error('the process ends here')
      return flush.call(store, bucket, request)
    }
    await expect(flusher.flushAll(stop.signal)).rejects.toThrow('the process ends here')
    expect(parseWatermark(store.watermarksNow(0).get('tx:0'))).toMatchObject({ offset: 64, maxTime: 63 })
    expect([await stored(store, 'c63'), await stored(store, 'c64')]).toEqual([1, 0])
    expect(memory.hasChangesBelow(0, 200)).toBe(true)
  })
})

describe('flushing many buckets', () => {
  function openMany(awaited: boolean, isShared = awaited) {
    const store = new MemoryStore(features.layouts, 8)
    const clock = manualClock(10_000)
    const bucketOf = (entityKey: string): number => Number(entityKey)
    const memory = new PartitionMemory(features, 8, bucketOf)
    const flushed: number[][] = []
    const calls = { store: [] as number[] }
    const counting: FeatureStore = {
      buckets: 8,
      flushMax: store.flushMax,
      bucketOf,
      watermarks: (bucket) => store.watermarks(bucket),
      load: (bucket, what) => store.load(bucket, what),
      flush: (bucket, what) => {
        calls.store.push(bucket)
        return store.flush(bucket, what)
      },
    }
    const flusher = new Flusher({
      store: counting,
      memory,
      clock,
      inputName: 'tx:0',
      incarnation: 'inc',
      buckets: Array.from({ length: 8 }, () => ({
        expected: null,
        build: 'aabbccdd',
        offset: 0,
        rebuild: false,
        distanceMin: null,
      })),
      replayFrom: { offset: 0, maxTime: null },
      ttlMs: 60_000,
      rowsMax: 100_000,
      ageMaxMs: 5_000,
      outageMaxMs: 86_400_000,
      awaited: awaited ? 'times' : 'no',
      isShared,
      caughtUpAt: () => 0,
      flushed: () => flushed.push(calls.store.splice(0)),
    })
    const apply = (offset: number, entityKey: string): void => {
      memory.insert(layout, memory.put(layout, entityKey, null), event(offset, entityKey), null)
      flusher.committed({ offset: offset + 1, maxTime: offset }, 1)
    }
    return { store, clock, flusher, flushed, apply }
  }

  test('a pass writes the buckets that changed; the quiet ones take turns, all within four seconds', async () => {
    const { clock, flusher, flushed, apply } = openMany(false)
    const running = flusher.run(signal)
    apply(0, '3')
    apply(1, '5')
    await clock.advance(1_000)
    expect(flushed[0]).toEqual(expect.arrayContaining([3, 5]))
    for (let second = 2; second <= 4; second++) await clock.advance(1_000)
    expect(flushed.slice(1).map((pass) => pass.length)).toEqual([2, 2, 2])
    expect([...new Set(flushed.flat())].toSorted((a, b) => a - b)).toEqual([0, 1, 2, 3, 4, 5, 6, 7])
    flusher.stop()
    await running
  })

  test('buckets that other partitions wait for are all advanced every second', async () => {
    const { clock, flusher, flushed } = openMany(true)
    const running = flusher.run(signal)
    await clock.advance(1_000)
    await clock.advance(1_000)
    expect(flushed.map((pass) => pass.length)).toEqual([8, 8])
    flusher.stop()
    await running
  })

  test('what other partitions read is written every quarter of a second, also where none of them waits', async () => {
    const { clock, flusher, flushed, apply } = openMany(false, true)
    const running = flusher.run(signal)
    apply(0, '3')
    await clock.advance(250)
    expect(flushed).toEqual([[3]])
    apply(1, '5')
    await clock.advance(250)
    expect(flushed).toEqual([[3], [5]])
    flusher.stop()
    await running
  })

  test('what no other partition reads is written every second', async () => {
    const { clock, flusher, flushed, apply } = openMany(false)
    const running = flusher.run(signal)
    apply(0, '3')
    await clock.advance(999)
    expect(flushed).toEqual([])
    await clock.advance(1)
    expect(flushed.flat()).toContain(3)
    flusher.stop()
    await running
  })

  test('a quiet bucket falls behind by 10 000 offsets at most', async () => {
    const { clock, flusher, flushed, apply } = openMany(false)
    const running = flusher.run(signal)
    apply(10_001, '3')
    await clock.advance(1_000)
    expect(flushed).toEqual([[0, 1, 2, 3, 4, 5, 6, 7]])
    flusher.stop()
    await running
  })

  test('when one bucket was changed by somebody else, the others are still written, and the partition is dropped', async () => {
    const { store, flusher, apply } = openMany(false)
    await flusher.flushAll(signal)
    store.dropWatermark(2, 'tx:0')
    apply(0, '2')
    apply(1, '7')
    await expect(flusher.flushAll(signal)).rejects.toMatchObject({ code: 'STATE_MISMATCH' })
    expect(parseWatermark(store.watermarksNow(7).get('tx:0'))).toMatchObject({ offset: 2 })
    expect(store.watermarksNow(2).get('tx:0')).toBeUndefined()
  })
})

const request: FlushRequest = { inputName: 'tx:0', expected: null, next: '["other"]', changes: [], ttlMs: 1 }

/** A flush of somebody who knows the present watermark: a refused flush tells it. */
function foreign(store: MemoryStore): FlushRequest {
  const { current } = store.flushNow(0, { ...request, expected: 'no such' })
  return { ...request, expected: current }
}

test('an owner gives up when event time falls behind by more than the outage that expiry allows for', async () => {
  const { flusher, clock, apply } = open()
  apply(0, 'a')
  flusher.committed({ offset: 1, maxTime: 0 }, 1)
  await flusher.flushAll(signal)
  await clock.advance(86_400_000)
  expect(() => flusher.refuseOutlived()).not.toThrow()
  await clock.advance(1)
  expect(() => flusher.refuseOutlived()).toThrow('outageMax')
})
