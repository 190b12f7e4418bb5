import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { RawRecord } from '../../../src/record/raw-record.ts'
import { RecordQueue } from '../../../src/source/record-queue.ts'

function record(offset: number, valueBytes = 10): RawRecord {
  const value = Buffer.alloc(valueBytes)
  return { topic: 't', partition: 0, offset, timestamp: offset, key: null, value, headers: {} }
}

test('records come out once, in the order they went in, however they are taken', () => {
  const steps = fc.array(fc.oneof(fc.constant('push' as const), fc.integer({ min: 1, max: 7 })), {
    maxLength: 80,
  })
  fc.assert(
    fc.property(steps, (plan) => {
      const queue = new RecordQueue()
      let pushed = 0
      let taken = 0
      for (const step of plan) {
        if (step === 'push') queue.push(record(pushed++))
        else for (const { offset } of queue.take(step)) expect(offset).toBe(taken++)
        expect(queue.rows).toBe(pushed - taken)
        expect(queue.first?.offset).toBe(taken < pushed ? taken : undefined)
      }
    }),
  )
})

test('never more than asked for', () => {
  const queue = new RecordQueue()
  for (let offset = 0; offset < 5; offset++) queue.push(record(offset))
  expect(queue.take(3)).toHaveLength(3)
  expect(queue.take(3)).toHaveLength(2)
  expect(queue.take(3)).toHaveLength(0)
})

test('bytes follow what is queued and come back to nothing', () => {
  const queue = new RecordQueue()
  queue.push(record(0, 1_000))
  const one = queue.bytes
  expect(one).toBeGreaterThan(1_000)
  queue.push(record(1, 1_000))
  expect(queue.bytes).toBe(2 * one)
  queue.take(1)
  expect(queue.bytes).toBe(one)
  queue.clear()
  expect([queue.bytes, queue.rows]).toEqual([0, 0])
})
