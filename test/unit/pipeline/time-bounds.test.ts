import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { encodeMetadata, parseMetadata, type CommitMetadata } from '../../../src/pipeline/metadata.ts'
import {
  boundsFrom,
  boundTimes,
  refuseFuture,
  timeStepsMax,
  trimBounds,
  unbounded,
  wasAccepted,
  type TimeBounds,
} from '../../../src/pipeline/time-bounds.ts'
import { isReject, type Event } from '../../../src/record/event.ts'
import type { RawRecord } from '../../../src/record/raw-record.ts'

function event(offset: number, time: number): Event {
  const raw = { topic: 'tx', partition: 0, offset, timestamp: time, key: null, value: null, headers: [] }
  return { id: String(offset), key: 'k', time, fields: {}, raw }
}

const times = (bounds: TimeBounds, until: number, ...of: readonly number[]) => {
  const offset = (bounds.steps.at(-1)?.offset ?? 0) + 1
  return boundTimes(
    bounds,
    of.map((time, index) => event(offset + index, time)),
    until,
  )
}
const refused = (items: readonly object[]): boolean[] => items.map((item) => 'rejected' in item)

describe('an event time in the future', () => {
  test('is a dead letter that names both clocks, and moves nothing', () => {
    const { items, bounds } = times(boundsFrom(0, 1_000), 1_000, 900, 4_102_444_800_000, 950)
    expect(refused(items)).toEqual([false, true, false])
    expect(items[1]).toMatchObject({ reason: 'TIMESTAMP', stage: 'decode' })
    expect(bounds).toEqual({ steps: [{ offset: 0, until: 1_000 }], refusedFrom: 4_102_444_800_000 })
  })

  test('is refused by whoever reads the log later, while it is in the future', () => {
    const given = [event(1, 900), event(2, 4_102_444_800_000)]
    const decoder = { prepare: async () => {}, decode: ({ offset }: RawRecord) => given[offset - 1]! }
    const items = given.map(({ raw }) => refuseFuture(decoder, 1_000).decode(raw))
    expect(refused(items)).toEqual([false, true])
    expect(items[1]).toMatchObject({ reason: 'TIMESTAMP', raw: given[1]!.raw })
  })

  test('far enough ahead costs one step, whatever time passes', () => {
    let bounds = boundsFrom(0, 1_000)
    for (let now = 1_000; now < 100_000; now += 1_000)
      bounds = times(bounds, now, 4_102_444_800_000, now).bounds
    expect(bounds.steps).toEqual([{ offset: 0, until: 99_000 }])
  })

  test('that will be the present soon is refused again when its records are applied again later', () => {
    const first = boundTimes(boundsFrom(0, 1_000), [event(1, 5_000), event(2, 900)], 1_000)
    const later = boundTimes(first.bounds, [event(3, 8_000)], 9_000)
    expect(refused([...first.items, ...later.items])).toEqual([true, false, false])
    const again = [event(1, 5_000), event(2, 900), event(3, 8_000)]
    expect(again.map((one) => wasAccepted(later.bounds, one))).toEqual([false, true, true])
  })

  test('before the first bound is as it was: metadata of an earlier version has none', () => {
    const { bounds, items } = boundTimes(unbounded, [event(7, 5_000)], 1_000)
    expect(refused(items)).toEqual([true])
    expect(wasAccepted(bounds, event(6, 5_000))).toBe(true)
    expect(wasAccepted(bounds, event(7, 5_000))).toBe(false)
  })

  test('is decided the same for the part of a slice that is taken first', () => {
    const all = [event(1, 900), event(2, 5_000), event(3, 1_500)]
    const whole = boundTimes(boundsFrom(0, 1_000), all, 2_000)
    const part = boundTimes(boundsFrom(0, 1_000), all.slice(0, 2), 2_000)
    expect(part.items).toEqual(whole.items.slice(0, 2))
  })
})

const metadata: CommitMetadata = {
  incarnation: 'i',
  stateHash: 'h',
  clusterId: 'k',
  offset: 0,
  last: null,
  maxTime: null,
  start: 0,
  base: 0,
  anchors: [],
  quarantine: [],
  gapUntil: null,
}

/** Slices as they come: how far the wall clock moves on (or another machine's is behind), and event times around it. */
const slices = fc.array(
  fc.record({
    passedMs: fc.integer({ min: -50, max: 400 }),
    ahead: fc.array(fc.oneof(fc.integer({ min: -300, max: 700 }), fc.constant(10_000_000)), { maxLength: 6 }),
  }),
  { maxLength: 60 },
)

test('whatever is let through or refused, and committed, is so again for every record that a rebuild may read', () => {
  fc.assert(
    fc.property(slices, (drawn) => {
      let bounds = boundsFrom(0, 100)
      let now = 0
      const decided: { readonly event: Event; readonly accepted: boolean }[] = []
      for (const { passedMs, ahead } of drawn) {
        now += passedMs
        const events = ahead.map((ms, index) => event(decided.length + index, Math.max(0, now + ms)))
        const { items, bounds: after } = boundTimes(bounds, events, now + 100)
        for (const [index, one] of events.entries())
          decided.push({ event: one, accepted: !isReject(items[index]!) })
        bounds = parseMetadata(encodeMetadata({ ...metadata, times: after }))!.times!
      }
      expect(bounds.steps.length).toBeLessThanOrEqual(timeStepsMax)
      // Below the second step the oldest ones may have been joined.
      const joined = bounds.steps.length === timeStepsMax
      const from = joined ? bounds.steps[1]!.offset : 0
      for (const { event: one, accepted } of decided) {
        const again = wasAccepted(bounds, one)
        if (one.raw.offset >= from) expect(again).toBe(accepted)
        else if (accepted) expect(again).toBe(true)
      }
      const trimmed = trimBounds(bounds, decided.length >> 1)
      for (const { event: one } of decided.slice(decided.length >> 1))
        expect(wasAccepted(trimmed, one)).toBe(wasAccepted(bounds, one))
    }),
    { numRuns: 500 },
  )
})
