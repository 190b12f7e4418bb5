import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { FramingError } from '../../faults/wire/dialect.ts'
import { kafkaDialect } from '../../faults/wire/kafka-dialect.ts'
import { KafkaFrames } from '../../faults/wire/kafka-frames.ts'
import { isCommit, kafkaHeader, transactionalIdOf } from '../../faults/wire/kafka-requests.ts'
import { chunked, cutPoints } from './chunks.ts'
import { kafkaReply, kafkaRequest, text } from './kafka-bytes.ts'

const bodies = fc.array(fc.uint8Array({ minLength: 4, maxLength: 40 }), { maxLength: 8 })

describe('cutting a stream into Kafka frames', () => {
  test('gives the same frames for every chunking, and keeps what is not complete', () => {
    fc.assert(
      fc.property(bodies, cutPoints, fc.nat(20), (bodies, cuts, missing) => {
        const frames = bodies.map((body) => framed(Buffer.from(body)))
        const all = Buffer.concat(frames)
        const stream = all.subarray(0, Math.max(0, all.length - missing))
        const splitter = new KafkaFrames()
        const found = chunked(stream, cuts).flatMap((chunk) => splitter.push(chunk))
        expect(found).toEqual(frames.slice(0, found.length))
        expect(Buffer.concat([...found, splitter.rest()])).toEqual(stream)
        expect(splitter.rest().length).toBeLessThan((frames[found.length] ?? [0]).length)
      }),
    )
  })

  test.each([[-1], [3], [0x48545450]])('refuses a length of %i', (length) => {
    const bytes = Buffer.alloc(8)
    bytes.writeInt32BE(length)
    expect(() => new KafkaFrames().push(bytes)).toThrow(FramingError)
  })
})

describe('reading the header of a request', () => {
  test('finds API, version, correlation id, client id and body', () => {
    const frame = kafkaRequest({ key: 26, version: 1, correlationId: 7, clientId: 'me', body: text('tx') })
    expect(kafkaHeader(frame)).toEqual({
      api: 'EndTxn',
      version: 1,
      correlationId: 7,
      clientId: 'me',
      body: text('tx'),
    })
  })

  test('names APIs that are newer than its table by their key', () => {
    expect(kafkaHeader(kafkaRequest({ key: 70 }))?.api).toBe('Api70')
  })

  test('answers null for every frame that is cut short', () => {
    const frame = kafkaRequest({ key: 0, clientId: 'client' })
    for (let length = 0; length < frame.length; length++)
      expect(kafkaHeader(frame.subarray(0, length))).toBeNull()
  })

  test('never throws, whatever the bytes are', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => {
        const frame = Buffer.from(bytes)
        kafkaHeader(frame)
        transactionalIdOf(frame)
        isCommit(frame)
      }),
    )
  })
})

describe('reading transactional requests', () => {
  const endTxn = (committed: number, version = 1): Buffer => {
    const producer = Buffer.alloc(10) // id and epoch
    const body = Buffer.concat([text('app|t|0'), producer, Buffer.from([committed])])
    return kafkaRequest({ key: 26, version, body })
  }

  test('tells a commit from an abort, and from all else', () => {
    expect([1, 0].map((committed) => isCommit(endTxn(committed)))).toEqual([true, false])
    expect(isCommit(kafkaRequest({ key: 0, version: 3, body: text('app|t|0') }))).toBeNull()
  })

  test('finds the transactional id, and none in compact versions, in null or in other APIs', () => {
    expect(transactionalIdOf(endTxn(1))).toBe('app|t|0')
    expect(transactionalIdOf(kafkaRequest({ key: 0, version: 3, body: text('id') }))).toBe('id')
    expect(transactionalIdOf(endTxn(1, 3))).toBeNull()
    expect(transactionalIdOf(kafkaRequest({ key: 0, version: 3, body: text(null) }))).toBeNull()
    expect(transactionalIdOf(kafkaRequest({ key: 12, version: 1, body: text('group') }))).toBeNull()
  })
})

describe('a conversation with a broker', () => {
  test('matches replies by correlation id, and passes over what is never answered', () => {
    const conversation = kafkaDialect.converse()
    const sent = [1, 2, 3, 4].flatMap((correlationId) =>
      conversation.requests(kafkaRequest({ key: correlationId, correlationId })),
    )
    for (const request of sent) conversation.sent(request)
    const [third] = conversation.replies(kafkaReply(3))
    expect(third?.request).toBe(sent[2])
    expect(third?.names).toEqual(['Metadata'])
    expect(conversation.open).toBe(1)
  })

  test('lets a reply that nobody asked for pass without a name', () => {
    expect(kafkaDialect.converse().replies(kafkaReply(9))).toEqual([
      { bytes: kafkaReply(9), request: null, names: [] },
    ])
  })

  test('refuses a frame without a whole header', () => {
    expect(() => kafkaDialect.converse().requests(framed(Buffer.alloc(6)))).toThrow(FramingError)
  })
})

function framed(body: Buffer): Buffer {
  const length = Buffer.alloc(4)
  length.writeInt32BE(body.length)
  return Buffer.concat([length, body])
}
