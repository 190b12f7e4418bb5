import fc from 'fast-check'
import { expect, test } from 'vitest'
import { compileFeatures } from '../../../src/features/compile.ts'
import { OnePart } from '../../support/feature-row.ts'
import { aggregateFeature, eventAt, featuresSpec } from '../../support/feature-specs.ts'

function capped(eventsPerEntityMax: number, windowMs = 1_000): OnePart {
  const feature = aggregateFeature({ name: 'n', windowMs })
  return new OnePart(compileFeatures(featuresSpec([feature], { eventsPerEntityMax })))
}

test('beyond the cap only the newest events count, and the row says so', () => {
  const part = capped(3)
  const seen = [10, 20, 30, 40].map((time, offset) => {
    const event = eventAt(time, offset)
    const { n } = part.take(event)
    return [n, part.isCapped(event)]
  })
  expect(seen).toEqual([
    [1, false],
    [2, false],
    [3, false],
    [3, true],
  ])
})

test('a row whose windows end before the hidden events is not flagged', () => {
  const part = capped(2, 100)
  for (const [offset, time] of [10, 20, 30].entries()) part.insert(eventAt(time, offset))
  const within = eventAt(109, 3)
  part.insert(within)
  expect(part.isCapped(within)).toBe(true)
  const beyond = eventAt(120, 4)
  part.insert(beyond)
  expect(part.isCapped(beyond)).toBe(true)
  const far = eventAt(209, 5)
  part.insert(far)
  expect(part.isCapped(far)).toBe(false)
})

test('the flag survives a reload, and ends when the hidden events are trimmed', () => {
  const part = capped(2)
  for (const [offset, time] of [10, 20, 30].entries()) part.insert(eventAt(time, offset))
  part.reload()
  part.reload()
  const event = eventAt(40, 3)
  part.insert(event)
  expect(part.isCapped(event)).toBe(true)
  part.features.trim(part.features.layouts[0]!, part.part, 20)
  expect(part.isCapped(event)).toBe(false)
})

test('events that are not committed yet do not push committed ones out of what is stored', () => {
  const part = capped(2)
  const direct = capped(2)
  const committed = [eventAt(10, 0), eventAt(20, 1)]
  part.insert(...committed)
  direct.insert(...committed)
  for (let offset = 2; offset < 40; offset++) part.insert(eventAt(offset * 10 + 10, offset))
  part.reload(2)
  const next = eventAt(21, 2)
  expect(part.take(next)).toEqual(direct.take(next))
  expect(part.isCapped(next)).toBe(direct.isCapped(next))
})

test('memory stays bounded by the cap once events are settled', () => {
  const byFlush = capped(10, 1_000_000)
  const byTrim = capped(10, 1_000_000)
  const layout = byFlush.features.layouts[0]!
  for (let offset = 0; offset < 5_000; offset++) {
    byFlush.insert(eventAt(offset, offset))
    byTrim.insert(eventAt(offset, offset))
    if (offset % 10 === 0) {
      byFlush.features.encodeTail(layout, byFlush.part, offset - 9, offset + 1)
      byTrim.features.trim(layout, byTrim.part, -1, offset + 1)
    }
  }
  expect(byFlush.part.length).toBeLessThanOrEqual(40)
  expect(byTrim.part.length).toBeLessThanOrEqual(40)
  expect(byFlush.part.bytes).toBeLessThan(2_000)
})

test('a window sliding over a long stream keeps memory bounded by what it holds', () => {
  const part = capped(10_000, 100)
  const layout = part.features.layouts[0]!
  for (let offset = 0; offset < 5_000; offset++) {
    part.features.trim(layout, part.part, offset - 100)
    part.insert(eventAt(offset, offset))
  }
  expect(part.part.length).toBe(100)
  expect(part.part.lastOffset).toBe(4_999)
  expect(part.part.bytes).toBeLessThan(10_000)
})

test('trimming exactly at the newest hidden event ends the flag', () => {
  const part = capped(2)
  for (const [offset, time] of [10, 20, 30, 40].entries()) part.insert(eventAt(time, offset))
  part.reload()
  const event = eventAt(40, 4)
  part.features.trim(part.features.layouts[0]!, part.part, 19)
  expect(part.isCapped(event)).toBe(true)
  part.features.trim(part.features.layouts[0]!, part.part, 20)
  expect(part.isCapped(event)).toBe(false)
})

test('freeing hidden events keeps the flag', () => {
  const part = capped(2)
  for (const [offset, time] of [10, 20, 30, 40].entries()) part.insert(eventAt(time, offset))
  part.features.trim(part.features.layouts[0]!, part.part, -1, 4)
  expect(part.part.length).toBe(2)
  expect(part.isCapped(eventAt(40, 4))).toBe(true)
})

test('an event of old time does not hide that newer ones were dropped before it', () => {
  const part = capped(2, 100)
  for (const [offset, time] of [10, 20, 30].entries()) part.insert(eventAt(time, offset))
  part.reload()
  part.insert(eventAt(5, 3))
  expect(part.isCapped(eventAt(107, 4))).toBe(true)
  expect(part.isCapped(eventAt(110, 4))).toBe(false)
})

test('a part read back holds no more than the cap', () => {
  const part = capped(2)
  const layout = part.features.layouts[0]!
  part.insert(eventAt(10, 0))
  const head = part.features.encode(layout, part.part, 1)
  part.insert(eventAt(20, 1), eventAt(30, 2), eventAt(40, 3))
  const tail = part.features.encodeTail(layout, part.part, 1, 4)
  expect(part.features.decode(layout, Buffer.concat([head, tail])).length).toBe(2)
})

test('an uncommitted event that the cap hides leaves no trace in what is stored before it', () => {
  const part = capped(2)
  const fresh = capped(2)
  const layout = part.features.layouts[0]!
  const committed = [10, 20, 30].map((time, offset) => eventAt(time, offset))
  fresh.insert(...committed)
  part.insert(...committed, eventAt(15, 3))
  part.features.trim(layout, part.part, -1, 3)
  expect(part.features.encode(layout, part.part, 3)).toEqual(fresh.features.encode(layout, fresh.part, 3))
})

test('whenever and wherever it is settled, a part is stored as the cap over the events before that offset', () => {
  const times = fc.array(fc.integer({ min: 0, max: 20 }), { minLength: 4, maxLength: 40, size: 'max' })
  const settles = fc.array(fc.record({ after: fc.nat(40), behind: fc.nat(8) }), { maxLength: 6, size: 'max' })
  fc.assert(
    fc.property(times, settles, fc.integer({ min: 1, max: 4 }), fc.nat(8), (drawn, settled, max, behind) => {
      const events = drawn.map((time, offset) => eventAt(time, offset))
      const part = capped(max)
      const layout = part.features.layouts[0]!
      let settledOffset = 0
      for (const [offset, event] of events.entries()) {
        part.insert(event)
        for (const settle of settled) {
          if (settle.after !== offset) continue
          settledOffset = Math.max(settledOffset, offset + 1 - settle.behind)
          part.features.trim(layout, part.part, -1, settledOffset)
        }
      }
      const until = Math.max(settledOffset, events.length - behind)
      const fresh = capped(max)
      fresh.insert(...events.slice(0, until))
      expect(part.features.encode(layout, part.part, until)).toEqual(
        fresh.features.encode(layout, fresh.part, until),
      )
    }),
    { numRuns: 200 },
  )
})

test('memory of a busy spell is given back', () => {
  const part = capped(10_000, 1_000_000)
  const layout = part.features.layouts[0]!
  for (let offset = 0; offset < 4_000; offset++) part.insert(eventAt(offset, offset))
  for (let offset = 4_000; offset < 12_000; offset++) {
    part.features.trim(layout, part.part, offset - 5)
    part.insert(eventAt(offset, offset))
  }
  expect(part.part.bytes).toBeLessThan(2_000)
})
