import { createRequire } from 'node:module'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { crc32c } from '../../../../src/kafka/wire/crc32c.ts'

const kafkajsCrc32c = createRequire(import.meta.url)('kafkajs/src/protocol/recordBatch/crc32C') as (
  bytes: Buffer,
) => number

test('the checksum is the one of RFC 3720', () => {
  expect(crc32c(Buffer.from('123456789'))).toBe(0xe3069283)
  expect(crc32c(Buffer.alloc(32))).toBe(0x8a9136aa)
  expect(crc32c(Buffer.alloc(32, 0xff))).toBe(0x62a8ab43)
  expect(crc32c(Buffer.alloc(0))).toBe(0)
})

test('any part of any bytes has the checksum that kafkajs gives it, short or long', () => {
  const cases = fc.tuple(fc.uint8Array({ maxLength: 700 }), fc.nat(700), fc.nat(700))
  fc.assert(
    fc.property(cases, ([array, a, b]) => {
      const bytes = Buffer.from(array)
      const start = Math.min(a, bytes.length)
      const end = Math.max(start, Math.min(b, bytes.length))
      expect(crc32c(bytes, start, end)).toBe(kafkajsCrc32c(bytes.subarray(start, end)) >>> 0)
    }),
    { numRuns: 1_000 },
  )
})
