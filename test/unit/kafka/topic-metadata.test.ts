import { expect, test } from 'vitest'
import { decodeLives, encodeRequest } from '../../../src/kafka/topic-metadata.ts'

/** A Metadata v12 response of one broker about `a` (2 partitions), `gone` (unknown) and a refused one. */
function response(refused: number): Buffer {
  const text = (value: string): Buffer => Buffer.concat([Buffer.of(value.length + 1), Buffer.from(value)])
  const int16 = (value: number): Buffer => {
    const bytes = Buffer.alloc(2)
    bytes.writeInt16BE(value)
    return bytes
  }
  const tagged = Buffer.of(1, 7, 2, 0xff, 0xff) // one tagged field of two bytes, to be skipped
  const partition = Buffer.concat([
    Buffer.alloc(14),
    Buffer.of(2),
    Buffer.alloc(4),
    Buffer.of(2),
    Buffer.alloc(4, 1),
    Buffer.of(1),
    tagged,
  ])
  const topic = (errorCode: number, name: string, id: Buffer, partitions: Buffer[]): Buffer =>
    Buffer.concat([
      int16(errorCode),
      text(name),
      id,
      Buffer.of(0),
      Buffer.of(partitions.length + 1),
      ...partitions,
      Buffer.alloc(4),
      Buffer.of(0),
    ])
  const broker = Buffer.concat([Buffer.alloc(4), text('localhost'), Buffer.alloc(4), Buffer.of(0), tagged])
  return Buffer.concat([
    tagged,
    Buffer.alloc(4),
    Buffer.of(2),
    broker,
    text('cluster'),
    Buffer.alloc(4),
    Buffer.of(4),
    topic(0, 'a', Buffer.alloc(16, 7), [partition, partition]),
    topic(3, 'gone', Buffer.alloc(16), []),
    topic(refused, 'other', Buffer.alloc(16), [partition]),
    Buffer.of(0),
  ])
}

test('topics are told with id and number of partitions; unknown ones are left out; tagged fields are skipped', () => {
  expect(decodeLives(response(0))).toEqual(
    new Map([
      ['a', { id: Buffer.alloc(16, 7).toString('base64url'), partitions: 2 }],
      ['other', { id: null, partitions: 1 }],
    ]),
  )
})

test('a refused topic is an error that names it', () => {
  expect(() => decodeLives(response(29))).toThrow('other')
})

test('a response that is cut off anywhere is an error, never a wrong answer', () => {
  const whole = response(0)
  for (let length = 0; length < whole.length; length++) {
    expect(() => decodeLives(whole.subarray(0, length))).toThrow(RangeError)
  }
})

test('names longer than 126 bytes are asked for with a two-byte length', () => {
  const name = 'x'.repeat(249)
  const request = encodeRequest([name])
  expect(request.subarray(0, 2)).toEqual(Buffer.of(0, 2))
  expect(request.subarray(18, 20)).toEqual(Buffer.of(0xfa, 0x01))
  expect(request.subarray(20, 20 + 249).toString()).toBe(name)
  expect(request.length).toBe(20 + 249 + 1 + 3)
})
