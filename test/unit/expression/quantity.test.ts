import fc from 'fast-check'
import { expect, test } from 'vitest'
import { formatDuration, formatSize, parseDuration, parseSize } from '../../../src/expression/quantity.ts'

test('every duration that is written is read back as the same number of milliseconds', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 2 ** 45 }), (durationMs) => {
      expect(parseDuration(formatDuration(durationMs))).toBe(durationMs)
    }),
  )
})

test('every size that is written is read back as the same number of bytes', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 2 ** 40 }), (bytes) => {
      expect(parseSize(formatSize(bytes))).toBe(bytes)
    }),
  )
})

test('durations are written in the largest unit that divides them', () => {
  expect([0, 20, 1500, 60_000, 5_400_000, 86_400_000, 604_800_000].map(formatDuration)).toEqual([
    '0ms',
    '20ms',
    '1500ms',
    '1m',
    '90m',
    '1d',
    '7d',
  ])
})

test('fractions are allowed as long as whole milliseconds or bytes come out', () => {
  expect(parseDuration('1.5h')).toBe(5_400_000)
  expect(parseDuration('0.1d')).toBe(8_640_000)
  expect(parseDuration('0.5ms')).toBeNull()
  expect(parseSize('0.5MB')).toBe(524_288)
})

test.each([
  '',
  '1',
  'd',
  '1dd',
  '1 d',
  '-1d',
  '1D',
  '1M',
  '1e3s',
  '.5s',
  '9999999999999999d',
  'toString',
  '1constructor',
])('%j is not a duration', (written) => {
  expect(parseDuration(written)).toBeNull()
})

test.each(['', '1', '1B', '1mb', '1kB', '1TB', '1d'])('%j is not a size', (written) => {
  expect(parseSize(written)).toBeNull()
})
