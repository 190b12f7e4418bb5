import { describe, expect, test } from 'vitest'
import { compileFeatures } from '../../../src/features/compile.ts'
import { MemoryStore } from '../../../src/features/memory-store.ts'
import type { FlushRequest, FlushResult } from '../../../src/features/store.ts'
import { Flusher, unwrapPart } from '../../../src/pipeline/flusher.ts'
import { PartitionMemory } from '../../../src/pipeline/partition-memory.ts'
import { parseWatermark } from '../../../src/pipeline/watermark.ts'
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
const build = 'aabbccdd'
const ttlMs = 60_000

class Kinds extends MemoryStore {
  readonly kinds: string[] = []
  override flush(bucket: number, request: FlushRequest): Promise<FlushResult> {
    this.kinds.push(...request.changes.map(({ kind }) => kind))
    return super.flush(bucket, request)
  }
}

function open() {
  const store = new Kinds(features.layouts)
  const clock = manualClock(10_000)
  const memory = new PartitionMemory(features, 1, () => 0, { ttlMs, monotonic: () => clock.monotonic() })
  const flusher = new Flusher({
    store,
    memory,
    clock,
    inputName: 'tx:0',
    incarnation: 'inc',
    buckets: [{ expected: null, build, offset: 0, rebuild: true, distanceMin: null }],
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
  const flush = async (events: number): Promise<void> => {
    for (let n = 0; n < events; n++, offset++) {
      const raw = { topic: 'tx', partition: 0, offset, timestamp: 0, key: null, value: null, headers: [] }
      const event = { id: String(offset), key: 'c', time: offset, fields: { customer: 'c' }, raw }
      memory.insert(layout, memory.put(layout, 'c', null), event, null)
    }
    flusher.committed({ offset, maxTime: offset - 1 }, events)
    await flusher.flushAll(signal)
  }
  const stored = (): number | null => {
    const { own } = store.loadNow(0, {
      inputName: 'tx:0',
      own: [{ layout: 0, entityKey: 'c' }],
      merged: [],
    })
    const bytes = unwrapPart(own[0] ?? null, build)
    return bytes === null ? null : features.decode(layout, bytes).length
  }
  return { store, clock, flush, stored }
}

describe('a long part that is written again', () => {
  test('soon: only what is new is put behind it', async () => {
    const { store, clock, flush, stored } = open()
    await flush(300)
    await clock.advance(ttlMs / 4)
    await flush(2)
    await clock.advance(ttlMs / 4) // the last write counts, not the first
    await flush(1)
    expect(store.kinds).toEqual(['set', 'append', 'append'])
    expect(stored()).toBe(303)
  })

  test('after it was silent for longer than the store keeps it: the whole of it', async () => {
    const { store, clock, flush, stored } = open()
    await flush(1)
    await clock.advance(ttlMs)
    store.dropKey(0, { layout: 0, entityKey: 'c' }, 'tx:0')
    await flush(300)
    expect(stored()).toBe(301)
    expect(store.kinds).toEqual(['set', 'set'])
  })

  test('although the store lost it: the flush is refused and what is stored not trusted any more', async () => {
    const { store, flush, stored } = open()
    await flush(300)
    store.dropKey(0, { layout: 0, entityKey: 'c' }, 'tx:0')
    await expect(flush(1)).rejects.toMatchObject({ code: 'STATE_MISMATCH' })
    expect(parseWatermark(store.watermarksNow(0).get('tx:0'))).toBeNull()
    expect(stored()).toBeNull()
  })
})
