import { describe, expect, test } from 'vitest'
import { murmur2, partitionOfKey } from '../../../src/sink/murmur2.ts'

describe('murmur2', () => {
  // UtilsTest.testMurmur2 of Apache Kafka
  test.each([
    ['21', -973932308],
    ['foobar', -790332482],
    ['a-little-bit-long-string', -985981536],
    ['a-little-bit-longer-string', -1486304829],
    ['lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8', -58897971],
    ['abc', 479470107],
  ])('of %s is what Kafka says', (text, hash) => {
    expect(murmur2(Buffer.from(text))).toBe(hash)
  })

  test('takes bytes above 0x7f as Java does', () => {
    expect(murmur2(Buffer.from([0x80, 0xff, 0xfe, 0x81, 0xf0]))).toBe(-1560084352)
  })

  test('gives a partition that exists, also for negative hashes', () => {
    expect(partitionOfKey(Buffer.from('21'), 6)).toBe((-973932308 & 0x7fffffff) % 6)
    const partitions = Array.from({ length: 200 }, (_, i) => partitionOfKey(Buffer.from(`key-${i}`), 7))
    expect(new Set(partitions)).toEqual(new Set([0, 1, 2, 3, 4, 5, 6]))
  })
})
