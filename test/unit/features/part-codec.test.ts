import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { MillraceError } from '../../../src/errors.ts'
import { compileFeatures } from '../../../src/features/compile.ts'
import type { PartLog } from '../../../src/features/compiled.ts'
import type { Event } from '../../../src/record/event.ts'
import { OnePart } from '../../support/feature-row.ts'
import { aggregateFeature, amount, eventAt, featuresSpec, field, flag } from '../../support/feature-specs.ts'

const spec = featuresSpec([
  aggregateFeature({ name: 'count', windowMs: 40 }),
  aggregateFeature({ name: 'nights', windowMs: 25, where: flag('night') }),
  aggregateFeature({ name: 'sum', aggregate: 'sum', value: field('fraction'), windowMs: 30 }),
  aggregateFeature({ name: 'last', aggregate: 'last', value: amount, windowMs: 40, delayMs: 3 }),
])
const features = compileFeatures(spec)
const layout = features.layouts[0]!

const stream = fc
  .array(
    fc.record({
      time: fc.integer({ min: 0, max: 60 }),
      night: fc.boolean(),
      amount: fc.option(fc.integer()),
      fraction: fc.option(fc.double({ min: 0, max: 1e9, noNaN: true })),
    }),
    { minLength: 1, maxLength: 60, size: 'max' },
  )
  .map((drawn) => drawn.map(({ time, ...fields }, offset) => eventAt(time, offset, fields)))

function filled(events: readonly Event[]): PartLog {
  const part = features.newPart(layout)
  for (const event of events) features.insert(layout, part, event)
  return part
}

function rowsAt(part: PartLog): number[][] {
  const times = Array.from({ length: 110 }, (_, time) => time)
  return times.map((time) => [
    ...features.row(eventAt(time, 1_000), { own: () => part, foreign: () => [] }).numbers,
  ])
}

test('a part written at once, or in pieces at any offsets, reads like the log it came from', () => {
  fc.assert(
    fc.property(stream, fc.array(fc.nat(60), { maxLength: 4 }), (events, drawnCuts) => {
      const part = filled(events)
      const cuts = [...drawnCuts, events.length].sort((a, b) => a - b)
      const pieces = cuts.map((until, i) =>
        i === 0
          ? features.encode(layout, part, until)
          : features.encodeTail(layout, part, cuts[i - 1]!, until),
      )
      expect(rowsAt(features.decode(layout, Buffer.concat(pieces)))).toEqual(rowsAt(filled(events)))
    }),
    { numRuns: 60 },
  )
})

test('a part written up to an offset reads as if later events had never been inserted', () => {
  fc.assert(
    fc.property(stream, fc.nat(60), (events, until) => {
      const decoded = features.decode(layout, features.encode(layout, filled(events), until))
      expect(rowsAt(decoded)).toEqual(rowsAt(filled(events.slice(0, until))))
    }),
    { numRuns: 60 },
  )
})

test('a part read back is written again as the same bytes', () => {
  fc.assert(
    fc.property(stream, (events) => {
      const bytes = features.encode(layout, filled(events), events.length)
      expect(features.encode(layout, features.decode(layout, bytes), 0)).toEqual(bytes)
    }),
    { numRuns: 60 },
  )
})

test('an event costs 16 bytes for time and one amount', () => {
  const plain = compileFeatures(
    featuresSpec([aggregateFeature({ name: 'm', aggregate: 'mean', value: amount })]),
  )
  const part = new OnePart(plain)
  const empty = plain.encode(plain.layouts[0]!, part.part, 9).length
  part.insert(eventAt(1, 0), eventAt(2, 1))
  expect(plain.encode(plain.layouts[0]!, part.part, 9).length - empty).toBe(32)
})

test('a buffer that starts at an odd address is read all the same', () => {
  const bytes = features.encode(layout, filled([eventAt(5, 0), eventAt(6, 1)]), 2)
  const shifted = Buffer.concat([Buffer.from([0]), bytes]).subarray(1)
  expect(rowsAt(features.decode(layout, shifted))).toEqual(rowsAt(features.decode(layout, bytes)))
})

describe('damaged bytes', () => {
  const intact = features.encode(layout, filled([eventAt(5, 0), eventAt(6, 1)]), 2)
  const refusal = (bytes: Buffer): string => {
    try {
      features.decode(layout, bytes)
    } catch (error) {
      if (error instanceof MillraceError && error.code === 'STATE_FORMAT') return error.message
      throw error
    }
    return 'accepted'
  }
  const changed = (change: (bytes: Buffer) => void): Buffer => {
    const copy = Buffer.from(intact)
    change(copy)
    return copy
  }

  test.each([
    ['no bytes at all', Buffer.alloc(0), /less than the header/],
    ['half a header', intact.subarray(0, 6), /less than the header/],
    ['another version', changed((bytes) => bytes.writeUInt8(9, 0)), /format version 9, expected 1/],
    ['half an event', intact.subarray(0, intact.length - 3), /are not a header/],
    ['a tail without its head', features.encodeTail(layout, filled([eventAt(5, 0)]), 0, 1), /version|check/],
    ['a time that is no number', changed((bytes) => bytes.writeDoubleLE(NaN, 12)), /the time of event 0/],
    ['a dropped time that is no number', changed((bytes) => bytes.writeDoubleLE(NaN, 4)), /dropped/],
    ['a mask with foreign bits', changed((bytes) => bytes.writeUInt32LE(2, 20)), /bits beyond 1 predicates/],
    ['an infinite value', changed((bytes) => bytes.writeDoubleLE(Infinity, 24)), /reads Infinity/],
  ])('%s is refused', (_, bytes, message) => {
    expect(refusal(bytes)).toMatch(message)
  })

  test('the refusal names the layout', () => {
    expect(refusal(Buffer.alloc(0))).toContain('customer from transactions')
  })

  test('bytes of another layout are refused', () => {
    const other = compileFeatures(
      featuresSpec([aggregateFeature({ name: 'm', aggregate: 'mean', value: field('other') })]),
    )
    const bytes = other.encode(other.layouts[0]!, other.newPart(other.layouts[0]!), 0)
    expect(refusal(bytes)).toMatch(/layout check/)
  })

  test('any bytes are either read or refused by name', () => {
    const damage = fc.oneof(
      fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes)),
      fc
        .uint8Array({ maxLength: 120 })
        .map((bytes) => Buffer.concat([intact.subarray(0, 12), Buffer.from(bytes)])),
      fc
        .tuple(fc.nat(intact.length - 1), fc.integer({ min: 0, max: 255 }))
        .map(([at, byte]) => changed((bytes) => bytes.writeUInt8(byte, at))),
    )
    fc.assert(
      fc.property(damage, (bytes) => {
        refusal(bytes) // throws what is not a refusal
      }),
      { numRuns: 500 },
    )
  })
})
