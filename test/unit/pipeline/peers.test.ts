import { describe, expect, test } from 'vitest'
import type { Layout } from '../../../src/features/compiled.ts'
import {
  alignedUntil,
  keptSince,
  leastKnown,
  stamp,
  stillKept,
  type MergedRead,
} from '../../../src/pipeline/peers.ts'
import { encodeWatermark, parseWatermark, type Watermark } from '../../../src/pipeline/watermark.ts'

const layout: Layout = {
  index: 0,
  entity: 'terminal',
  source: 'labels',
  merge: true,
  shared: true,
  delayed: true,
  horizonMs: 10_000,
  columns: ['time'],
}
const read: MergedRead = { layout, inputs: ['labels:0', 'labels:1'], slackMs: 100, delayMs: 1_000 }
const now = 1_000_000

function watermark(maxTime: number | null, caughtUpAt = 0, offset = 5): Watermark {
  return {
    incarnation: 'i',
    build: 'b',
    offset,
    maxTime,
    flushedAt: now,
    caughtUpAt,
    distanceMin: null,
    headTime: null,
    builtAt: null,
  }
}

describe('alignment with the partitions an event reads from', () => {
  test('the slowest partition decides: its watermark plus the delay', () => {
    const watermarks = new Map([
      ['labels:0', watermark(5_000)],
      ['labels:1', watermark(3_000)],
    ])
    expect(alignedUntil([read], 'tx:0', watermarks, null)).toBe(3_000 - 100 + 1_000)
  })

  test('a partition nobody has flushed yet holds everything back', () => {
    expect(alignedUntil([read], 'tx:0', new Map([['labels:0', watermark(5_000)]]), null)).toBe(-Infinity)
    const empty = new Map([
      ['labels:0', watermark(5_000)],
      ['labels:1', watermark(null)],
    ])
    expect(alignedUntil([read], 'tx:0', empty, null)).toBe(-Infinity)
  })

  test('a partition read to the end of its log as it stood when the event came holds nothing back, however old its events', () => {
    const at = (offset: number, end: number): number =>
      alignedUntil(
        [read],
        'tx:0',
        new Map([
          ['labels:0', watermark(null, now, offset)],
          ['labels:1', watermark(8_000, now, 9)],
        ]),
        new Map([
          ['labels:0', end],
          ['labels:1', 9],
        ]),
      )
    expect(at(5, 5)).toBe(Infinity)
    expect(at(7, 5)).toBe(Infinity)
    expect(at(5, 6)).toBe(-Infinity) // it was seen at its end a moment ago, and has got a record since
  })

  test('of a source without order no event time says that all before it was read: only the end does', () => {
    const unordered = { ...read, slackMs: null }
    const far = new Map([
      ['labels:0', watermark(9_999_999)],
      ['labels:1', watermark(9_999_999)],
    ])
    expect(alignedUntil([unordered], 'tx:0', far, null)).toBe(-Infinity)
    expect(alignedUntil([unordered], 'tx:0', far, new Map([['labels:0', 5]]))).toBe(-Infinity)
    expect(
      alignedUntil(
        [unordered],
        'tx:0',
        far,
        new Map([
          ['labels:0', 5],
          ['labels:1', 5],
        ]),
      ),
    ).toBe(Infinity)
  })

  test('the event a partition waits with counts as seen: two that wait for each other both go on', () => {
    const waiting = { ...watermark(null), headTime: 4_000 }
    const watermarks = new Map([
      ['labels:0', watermark(5_000)],
      ['labels:1', waiting],
    ])
    expect(alignedUntil([read], 'tx:0', watermarks, null)).toBe(4_000 - 100 + 1_000)
    watermarks.set('labels:1', { ...waiting, maxTime: 4_500 })
    expect(alignedUntil([read], 'tx:0', watermarks, null)).toBe(4_500 - 100 + 1_000)
  })

  test('reads without delay and the own partition never wait', () => {
    expect(alignedUntil([{ ...read, delayMs: 0 }], 'tx:0', new Map(), null)).toBe(Infinity)
    const own = new Map([['labels:1', watermark(9_000)]])
    expect(alignedUntil([read], 'labels:0', own, null)).toBe(9_900)
  })

  test('a prediction is stamped with what every other partition showed, 0 where nothing was there', () => {
    const watermarks = new Map([['labels:0', watermark(1, 0, 77)]])
    expect(stamp([read], 'tx:0', watermarks)).toEqual({ 'labels:0': 77, 'labels:1': 0 })
  })
})

test('a watermark written before partitions told what they wait with is read as telling nothing', () => {
  const text = encodeWatermark({ ...watermark(1), headTime: 7, builtAt: 8 })
  expect(parseWatermark(text)).toMatchObject({ headTime: 7, builtAt: 8 })
  const older = JSON.stringify((JSON.parse(text) as unknown[]).slice(0, -2))
  expect(parseWatermark(older)).toEqual(watermark(1))
})

describe('what all buckets together say of a partition', () => {
  const texts = (...known: [string, number][]): ReadonlyMap<string, string> =>
    new Map(known.map(([input, offset]) => [input, encodeWatermark(watermark(offset, 0, offset))]))

  test('is the bucket furthest behind: a stale one may be of an incarnation that was ahead', () => {
    const least = leastKnown([texts(['tx:0', 7], ['tx:1', 3]), texts(['tx:0', 5], ['tx:1', 9])])
    expect([...least].map(([input, { offset }]) => [input, offset])).toEqual([
      ['tx:0', 5],
      ['tx:1', 3],
    ])
  })

  test('is known as long as one bucket was not lost or torn', () => {
    const torn = new Map([['tx:0', 'TORN:[1]']])
    expect(leastKnown([torn, texts(['tx:0', 5]), new Map()]).get('tx:0')?.offset).toBe(5)
    expect(leastKnown([torn, new Map()]).size).toBe(0)
  })
})

test('what a partition stored that fell behind by more than outageMax counts as absent: it may have expired', () => {
  const watermarks = new Map([
    ['labels:0', { ...watermark(now - 7_000), distanceMin: 1_000 }],
    ['labels:1', { ...watermark(now - 6_000), distanceMin: 1_000 }],
  ])
  expect([...stillKept(watermarks, now, 5_000).keys()]).toEqual(['labels:1'])
})

describe('a reader far behind the others', () => {
  const ttl = { ttlMs: 100_000, horizonMs: 20_000 }
  const since = (...labels: readonly Watermark[]): number => {
    const watermarks = new Map(labels.map((one, index) => [`labels:${index}`, one]))
    return keptSince([read], 'tx:0', watermarks, now, ttl)
  }
  /** 4 s for clocks that differ. */
  const expiredAt = now - 100_000 + 4_000

  test('sees no part that was written longer ago than the store keeps it: of the least behind least', () => {
    const near = { ...watermark(1), distanceMin: 500 }
    expect(since(near)).toBe(expiredAt - 500 + 20_000)
    expect(since({ ...watermark(1), distanceMin: 9_000 }, near)).toBe(expiredAt - 500 + 20_000)
  })

  test('misses nothing of a partition that had no event, or was built anew since', () => {
    expect(since(watermark(null))).toBe(-Infinity)
    expect(since({ ...watermark(1), distanceMin: 500, builtAt: expiredAt + 1 })).toBe(-Infinity)
    expect(since({ ...watermark(1), distanceMin: 500, builtAt: expiredAt })).toBeGreaterThan(0)
    expect(keptSince([read], 'labels:0', new Map([['labels:0', watermark(1)]]), now, ttl)).toBe(-Infinity)
  })
})
