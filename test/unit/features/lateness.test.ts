import { expect, test } from 'vitest'
import { eventWatermark, lateVerdict } from '../../../src/features/lateness.ts'
import type { Lateness } from '../../../src/features/lateness.ts'

// Watermark 990; late below 940; out of sight at 790 and before.
const base: Omit<Lateness, 'time'> = {
  maxTimeBefore: 1_000,
  outOfOrderMs: 10,
  allowedLatenessMs: 50,
  horizonMs: 200,
  policy: 'score',
}

test('the event watermark is the largest event time less what may come out of order', () => {
  expect(eventWatermark(1_000, 10)).toBe(990)
})

test('late is what is older than the event watermark less the allowed lateness', () => {
  expect(lateVerdict({ ...base, time: 940 })).toBe('on-time')
  expect(lateVerdict({ ...base, time: 939 })).toBe('late-score-insert')
  expect(lateVerdict({ ...base, time: 5_000 })).toBe('on-time')
})

test('the first event of a partition is never late', () => {
  expect(lateVerdict({ ...base, maxTimeBefore: -Infinity, time: 0 })).toBe('on-time')
  expect(lateVerdict({ ...base, maxTimeBefore: -Infinity, time: 0, allowedLatenessMs: null })).toBe('on-time')
})

test('a late event is inserted only while some window can still see it', () => {
  expect(lateVerdict({ ...base, time: 791 })).toBe('late-score-insert')
  expect(lateVerdict({ ...base, time: 790 })).toBe('late-score-skip')
})

test.each(['drop-state', 'dead-letter'] as const)(
  'policy %s is the verdict on every late event',
  (policy) => {
    expect(lateVerdict({ ...base, policy, time: 940 })).toBe('on-time')
    expect(lateVerdict({ ...base, policy, time: 939 })).toBe(policy)
    expect(lateVerdict({ ...base, policy, time: 1 })).toBe(policy)
  },
)

test('with lateness up to the horizon no event is late: other partitions may be further behind', () => {
  const labels = { ...base, allowedLatenessMs: null }
  expect(lateVerdict({ ...labels, time: 791 })).toBe('on-time')
  expect(lateVerdict({ ...labels, time: 0 })).toBe('on-time')
  expect(lateVerdict({ ...labels, time: 0, policy: 'dead-letter' })).toBe('on-time')
})
