import { expect, test } from 'vitest'
import { limitsOf } from '../../../src/source/kafka-source.ts'

const options = { queuedRowsMax: 5_000, queuedBytesMax: 16_000_000 }

test('partitions share what a process may queue, so that more of them take no more memory', () => {
  for (const partitions of [1, 8, 64]) {
    const { queuedBytesMax } = limitsOf(options, partitions)
    expect(queuedBytesMax * partitions).toBeLessThanOrEqual(options.queuedBytesMax)
  }
})

test('an assignment without partitions has limits too', () => {
  expect(limitsOf(options, 0)).toEqual(options)
})
