import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { splitBySize } from '../../../src/commit/record-batch.ts'
import { recordBytes } from '../../../src/record/output-size.ts'
import type { OutputRecord } from '../../../src/record/output.ts'

function output(topic: string, partition: number, bytes: number): OutputRecord {
  return {
    kind: 'prediction',
    topic,
    partition,
    key: Buffer.from('k'),
    value: 'v'.repeat(bytes),
    headers: [
      ['a', 'bc'],
      ['many', Buffer.from('1')],
      ['many', '2'],
    ],
  }
}

describe('splitting outputs over record batches', () => {
  test('nothing is lost, the order is kept, and no partition gets more than fits into a batch', () => {
    const outputs = fc.array(
      fc.record({ topic: fc.constantFrom('a', 'b'), partition: fc.nat(2), bytes: fc.nat(300) }),
      { maxLength: 60 },
    )
    fc.assert(
      fc.property(outputs, fc.integer({ min: 500, max: 3_000 }), (specs, bytesMax) => {
        const records = specs.map(({ topic, partition, bytes }) => output(topic, partition, bytes))
        const parts = splitBySize(records, bytesMax)
        expect(parts.flat()).toEqual(records)
        for (const part of parts) {
          const sizes = new Map<string, number>()
          for (const record of part) {
            const place = `${record.topic}:${record.partition}`
            sizes.set(place, (sizes.get(place) ?? 61) + recordBytes(record))
          }
          for (const size of sizes.values()) expect(size).toBeLessThanOrEqual(bytesMax)
        }
      }),
    )
  })

  test('a record that fits nowhere goes alone, so that the broker can name the problem', () => {
    const parts = splitBySize([output('a', 0, 10), output('a', 0, 5_000), output('a', 0, 10)], 1_000)
    expect(parts.map((part) => part.length)).toEqual([1, 1, 1])
  })

  test('few outputs go in one request', () => {
    expect(splitBySize([output('a', 0, 10), output('b', 1, 10)], 1_000)).toHaveLength(1)
    expect(splitBySize([], 1_000)).toHaveLength(0)
  })
})
