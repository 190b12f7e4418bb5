import { expect, test } from 'vitest'
import { lagOf } from '../../../src/service/readings.ts'

test('records behind an open transaction are lag, and not what the service could take', () => {
  const stream = { highWatermark: 100, stableEnd: { offset: 60, heldSinceMs: 1_000 } }
  expect(lagOf(stream, 40, 31_000)).toEqual({ lagRecords: 60, lagStableRecords: 20, heldBackMs: 30_000 })
  expect(lagOf(stream, 60, 31_000)).toMatchObject({ lagRecords: 40, lagStableRecords: 0 })
})

test('nothing is held back: the two lags agree; what is unknown is null', () => {
  const stream = { highWatermark: 100, stableEnd: { offset: 100, heldSinceMs: null } }
  expect(lagOf(stream, 40, 31_000)).toEqual({ lagRecords: 60, lagStableRecords: 60, heldBackMs: 0 })
  expect(lagOf({ highWatermark: -1, stableEnd: null }, 40, 31_000)).toEqual({
    lagRecords: null,
    lagStableRecords: null,
    heldBackMs: null,
  })
})
