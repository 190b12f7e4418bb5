import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { encodeRecordBatch, HeaderBytes } from '../../../../src/kafka/wire/encode-record-batch.ts'
import { GrowingBuffer } from '../../../../src/kafka/wire/growing-buffer.ts'
import { outputBatches, type OutputBatch } from '../../../../src/kafka/wire/output-batches.ts'
import type { OutputRecord } from '../../../../src/record/output.ts'

function output(topic: string, partition: number, value: string | null): OutputRecord {
  const headers = [
    ['a', 'bc'],
    ['many', Buffer.from('1')],
    ['many', '2'],
  ] as const
  return { kind: 'prediction', topic, partition, key: Buffer.from('k'), value, headers }
}

function split(outputs: readonly OutputRecord[], batchBytesMax: number): readonly (readonly OutputBatch[])[] {
  return outputBatches(outputs, batchBytesMax, new HeaderBytes())
}

const head = { producerId: 1n, producerEpoch: 0, sequence: 0, timestampMs: 1, compression: 'none' } as const

function encodedBytes({ records }: OutputBatch): number {
  const buffer = new GrowingBuffer(Buffer.alloc(16))
  void encodeRecordBatch(buffer, records, head, new HeaderBytes())
  return buffer.at
}

describe('splitting outputs over record batches', () => {
  test('outputs go by topic and partition, in their order', () => {
    const outputs = [
      output('a', 0, '1'),
      output('b', 2, '2'),
      output('a', 0, '3'),
      output('a', 1, null),
      output('b', 2, '4'),
    ]
    const [batches, ...more] = split(outputs, 10_000)
    expect(more).toEqual([])
    expect(
      batches?.map(({ topic, partition, records }) => [
        topic,
        partition,
        ...records.map(({ value }) => value),
      ]),
    ).toEqual([
      ['a', 0, '1', '3'],
      ['b', 2, '2', '4'],
      ['a', 1, null],
    ])
  })

  test('nothing is lost, the order is kept, and no partition gets more than fits into a batch', () => {
    const outputs = fc.array(
      fc.record({ topic: fc.constantFrom('a', 'b'), partition: fc.nat(2), bytes: fc.nat(300) }),
      { maxLength: 60 },
    )
    fc.assert(
      fc.property(outputs, fc.integer({ min: 500, max: 3_000 }), (specs, bytesMax) => {
        const records = specs.map(({ topic, partition, bytes }) =>
          output(topic, partition, 'é'.repeat(bytes / 2)),
        )
        const batches = split(records, bytesMax).flat()
        for (const batch of batches) expect(encodedBytes(batch)).toBeLessThanOrEqual(bytesMax)
        for (const topic of ['a', 'b']) {
          for (const partition of [0, 1, 2]) {
            const isHere = (one: { topic: string; partition: number }): boolean =>
              one.topic === topic && one.partition === partition
            const sent = batches.filter(isHere).flatMap((batch) => batch.records)
            expect(sent).toEqual(records.filter(isHere))
          }
        }
      }),
    )
  })

  test('a request has one batch per partition', () => {
    const outputs = Array.from({ length: 40 }, (_, index) => output('a', index % 3, 'v'.repeat(100)))
    const requests = split(outputs, 500)
    expect(requests.length).toBeGreaterThan(1)
    for (const batches of requests) {
      expect(new Set(batches.map(({ partition }) => partition)).size).toBe(batches.length)
    }
  })

  test('a record that fits nowhere goes alone, so that the broker can name the problem', () => {
    const outputs = [10, 5_000, 10].map((bytes) => output('a', 0, 'v'.repeat(bytes)))
    expect(split(outputs, 1_000).map((batches) => batches.map(({ records }) => records.length))).toEqual([
      [1],
      [1],
      [1],
    ])
  })

  test('few outputs go in one request, none in none', () => {
    expect(split([output('a', 0, 'v'), output('b', 1, 'v')], 1_000)).toHaveLength(1)
    expect(split([], 1_000)).toEqual([])
  })

  test('a request is bounded, however many partitions it goes to', () => {
    const outputs = Array.from({ length: 40 }, (_, partition) =>
      output('a', partition, 'v'.repeat(1_000_000)),
    )
    for (const batches of split(outputs, 1_048_588)) expect(batches.length).toBeLessThanOrEqual(16)
  })
})
