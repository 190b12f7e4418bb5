import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { createDecoder, type Decoder } from '../../../src/decode/decoder.ts'
import type { TimeFormat } from '../../../src/decode/plan.ts'
import { isReject } from '../../../src/record/event.ts'
import { manualClock } from '../../../src/time/manual-clock.ts'
import { at, jsonCodec, rawRecord, sourcePlan } from './fixtures.ts'

/** Decoders by format: they are costly to make. */
const decoders = new Map<string, Decoder>()

function decoderOf(timeFormat: TimeFormat, implausibleTime: 'refuse' | 'accept'): Decoder {
  const name = `${timeFormat} ${implausibleTime}`
  const limits = { ...sourcePlan().limits, implausibleTime }
  const source = sourcePlan({ codec: jsonCodec({}), timeFormat, limits })
  const decoder = decoders.get(name) ?? createDecoder(source, null, manualClock())
  decoders.set(name, decoder)
  return decoder
}

/** Event time of a record stamped `recordMs`, or why it is refused. `written`: as it stands in the JSON. */
function timeOf(
  written: string | number | bigint,
  timeFormat: TimeFormat = 'epochMs',
  recordMs = at,
  implausibleTime: 'refuse' | 'accept' = 'refuse',
): number | string {
  const value = `{"id":"a","customer":"c00001","ts":${written}}`
  const decoded = decoderOf(timeFormat, implausibleTime).decode(rawRecord(value, { timestamp: recordMs }))
  if (!isReject(decoded)) return decoded.time
  expect(decoded.reason).toBe('TIMESTAMP')
  return decoded.message
}

describe('a time in another unit than milliseconds', () => {
  test.each<[TimeFormat, string, number]>([
    ['epochMs', '1700000000123', 1_700_000_000_123],
    ['epochMs', '1700000000123.0', 1_700_000_000_123],
    ['epochS', '1700000000', 1_700_000_000_000],
    ['epochS', '1700000000.25', 1_700_000_000_250],
    ['epochS', '1700000000.123', 1_700_000_000_123],
    ['epochS', '1700000000.1239', 1_700_000_000_123],
    ['epochS', '1.70000000025e9', 1_700_000_000_250],
    ['epochS', '0', 0],
    ['epochS', '0.0000001', 0],
    ['epochUs', '1700000000123456', 1_700_000_000_123],
    ['epochUs', '1700000000123999', 1_700_000_000_123],
    ['epochNs', '1700000000123456789', 1_700_000_000_123],
    ['epochNs', '1700000000123999999', 1_700_000_000_123],
    ['epochNs', '1699999999999999999', 1_699_999_999_999],
    ['epochNs', '999999', 0],
  ])('%s: %s', (format, written, expected) => {
    expect(timeOf(written, format, at, 'accept')).toBe(expected)
  })

  test('is the digits cut behind the millisecond, for every unit', () => {
    const seconds = fc.integer({ min: 0, max: 253_402_300_799 })
    const nanos = fc.integer({ min: 0, max: 999_999_999 })
    fc.assert(
      fc.property(seconds, nanos, (s, n) => {
        const expected = s * 1000 + Math.floor(n / 1_000_000)
        const digits = String(n).padStart(9, '0')
        const read = (written: string | bigint, format: TimeFormat) =>
          timeOf(written, format, 253_402_300_799_999, 'accept')
        expect(read(BigInt(s + digits.slice(0, 3)), 'epochMs')).toBe(expected)
        expect(read(BigInt(s + digits.slice(0, 6)), 'epochUs')).toBe(expected)
        expect(read(BigInt(s + digits), 'epochNs')).toBe(expected)
        expect(read(`${s}.${digits.slice(0, 3)}`, 'epochS')).toBe(expected)
      }),
    )
  })

  test.each<[TimeFormat, string]>([
    ['epochMs', '1700000000123.5'],
    ['epochUs', '1700000000123456.5'],
    ['epochNs', '0.5'],
    ['epochS', '-0.5'],
    ['epochS', 'null'],
    ['epochNs', '"1700000000123456789"'],
  ])('%s refuses %s', (format, written) => {
    expect(timeOf(written, format)).toContain('at /ts: expected')
  })

  test.each<[TimeFormat, string]>([
    ['epochS', '-1'],
    ['epochUs', '-1'],
    ['epochNs', '-1'],
    ['epochS', '253402300800'],
    ['epochNs', '253402300800000000000'],
  ])('%s: %s is not from 1970 to 9999', (format, written) => {
    expect(timeOf(written, format)).toContain('from 1970 to 9999')
  })
})

describe('a time in another unit than the topology says is refused with the likely one', () => {
  test.each<[string, TimeFormat, string]>([
    ['1750000000', 'epochMs', 'seconds: write time: {field: ts, unit: s}'],
    ['1750000000.25', 'epochMs', 'seconds: write time: {field: ts, unit: s}'],
    ['1750000000123456', 'epochMs', 'microseconds: write time: {field: ts, unit: us}'],
    ['1750000000123456789', 'epochMs', 'nanoseconds: write time: {field: ts, unit: ns}'],
    ['1750000000123', 'epochS', 'milliseconds: write time: {field: ts, unit: ms}'],
    ['1750000000123456', 'epochS', 'microseconds: write time: {field: ts, unit: us}'],
    ['1750000000', 'epochUs', 'seconds: write time: {field: ts, unit: s}'],
    ['1750000000123', 'epochUs', 'milliseconds: write time: {field: ts, unit: ms}'],
    ['1750000000123456789', 'epochUs', 'nanoseconds: write time: {field: ts, unit: ns}'],
    ['1750000000', 'epochNs', 'seconds: write time: {field: ts, unit: s}'],
    ['1750000000123', 'epochNs', 'milliseconds: write time: {field: ts, unit: ms}'],
    ['1750000000123456', 'epochNs', 'microseconds: write time: {field: ts, unit: us}'],
    ['1750000000', 'iso', 'seconds: write time: {field: ts, unit: s}'],
    ['1750000000123', 'iso', 'milliseconds: write time: {field: ts, unit: ms}'],
    ['"1750000000"', 'epochMs', 'seconds written as text'],
    ['"1750000000123"', 'epochMs', 'milliseconds written as text'],
  ])('%s as %s', (written, format, hint) => {
    expect(timeOf(written, format)).toContain(`it looks like ${hint}`)
  })

  test('also where the events are years older than their upload', () => {
    const year = 365.25 * 86_400
    for (const age of [0, 1, 5, 10, 20, 27]) {
      expect(timeOf(Math.round(at / 1000 - age * year)), `${age} years`).toContain('unit: s}')
    }
  })

  test('which says what it was read as, and how to have it all the same', () => {
    expect(timeOf('1750000000')).toBe(
      "at /ts: 1750000000 is 1970-01-21T06:06:40.000Z, 55 years before the record's timestamp (if that is right, " +
        'write implausible: accept under time); it looks like seconds: write time: {field: ts, unit: s}',
    )
    expect(timeOf('1750000000', 'epochMs', at, 'accept')).toBe(1_750_000_000)
  })
})

describe('a time long before its record is accepted', () => {
  test.each([
    ['yesterday', at - 86_400_000],
    ['ten years ago', at - 10 * 31_557_600_000],
    ['forty years ago', at - 40 * 31_557_600_000],
    ['in 1975', 160_000_000_000],
    ['at the beginning', 0],
    ['in the first minutes of 1970, as made-up streams are', 600_000],
    ['in the first week of 1970', 7 * 86_400_000],
  ])('%s', (_, time) => {
    expect(timeOf(time)).toBe(time)
  })

  test('when the record is as old: made-up streams have made-up timestamps', () => {
    for (const time of [0, 1_000, 86_400_000, 1_750_000_000]) expect(timeOf(time, 'epochMs', time)).toBe(time)
  })

  test('when its record bears no timestamp', () => {
    expect(timeOf(0, 'epochMs', 0)).toBe(0)
  })
})

test.each([
  ['2026-01-31', 'a date without a time of day'],
  ['2026-01-31 10:20:30', 'a space in place of the T, and no time zone'],
  ['2026-01-31 10:20:30.123Z', 'a space in place of the T'],
  ['2026-01-31 10:20:30+01:00', 'a space in place of the T'],
  ['2026-01-31T10:20:30', 'no time zone'],
  ['2026-01-31T10:20', 'no time zone'],
  ['2026-01-31T10:20Z', 'no seconds'],
  ['2026-01-31T10:20:30,5Z', 'a comma'],
  ['2026-01-31T10:20:30+0100', 'its offset is written as +01:00'],
  ['2026-01-31T10:20:30+01', 'its offset is written as +01:00'],
  ['2026-01-31T10:20:30.1234567891Z', 'more than nine digits'],
  ['2026-01-31T10:20:30+01:00[Europe/Berlin]', 'goes on behind the offset'],
  ['2026-02-30T10:20:30Z', 'no such day or time'],
  ['20260131T102030Z', 'no - and : between its parts'],
  ['31.01.2026 10:20', 'RFC 3339'],
])('ISO text %s is refused and the reason says what is wrong', (text, problem) => {
  expect(timeOf(JSON.stringify(text), 'iso')).toContain(problem)
})
