import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { encodeRecordBatch, HeaderBytes } from '../../../src/kafka/wire/encode-record-batch.ts'
import { GrowingBuffer } from '../../../src/kafka/wire/growing-buffer.ts'
import { readFetched } from '../../../src/kafka/fetched.ts'
import { headerText, headerValues } from '../../../src/record/headers.ts'
import type { Headers, HeaderValue, RawRecord } from '../../../src/record/raw-record.ts'
import { deadLetterHeaders, originalHeaders } from '../../../src/sink/headers.ts'
import { plainBatch } from '../../support/record-batches.ts'
import { model } from './fixtures.ts'

type Pair = readonly [name: string | Buffer, value: Buffer | null]

/** Headers as they are read when these stand on the wire. */
async function fetched(headers: readonly Pair[]): Promise<RawRecord> {
  const bytes = plainBatch([{ offset: 0, timestamp: 0, key: null, value: null, headers }])
  const { records } = await readFetched({ topic: 't', partition: 0 }, { bytes, aborted: null }, 0)
  return records[0]!
}

const facts = { group: 'g', serviceVersion: '1', model, failedAtMs: 0, attempts: 1 }

/** The dead letter's headers: its own, and as they come back when it is replayed. */
async function deadLettered(pairs: readonly Pair[]): Promise<Headers> {
  const raw = await fetched(pairs)
  const headers = deadLetterHeaders(
    { rejected: true, reason: 'DECODE', stage: 'decode', message: 'm', raw },
    facts,
  )
  const output = { kind: 'dead-letter' as const, topic: 't', partition: 0, key: null, value: null, headers }
  const buffer = new GrowingBuffer(Buffer.alloc(64))
  const head = { producerId: 1n, producerEpoch: 0, sequence: 0, timestampMs: 0, compression: 'none' } as const
  void encodeRecordBatch(buffer, [output], head, new HeaderBytes())
  const bytes = Buffer.from(buffer.bytes.subarray(0, buffer.at))
  const { records } = await readFetched({ topic: 't', partition: 0 }, { bytes, aborted: null }, 0)
  return originalHeaders(records[0]!.headers)
}

describe('the headers of a dead letter', () => {
  test('keep bytes, order, repetitions and missing values', async () => {
    const pairs: Pair[] = [
      ['b', Buffer.from([0xff, 0, 0x80])],
      ['a', Buffer.from('1')],
      ['a', Buffer.from('2')],
      ['a', Buffer.from('1')],
      ['', Buffer.from('nameless')],
      [Buffer.of(0xff, 0xfe), Buffer.from('a name that is no text')],
      ['none', null],
    ]
    expect(await deadLettered(pairs)).toEqual(pairs)
  })

  test.each(['__proto__', 'constructor', 'toString', 'hasOwnProperty', 'valueOf', '__defineGetter__'])(
    'may be called %s, once and twice',
    async (name) => {
      const once: Pair[] = [[name, Buffer.from('x')]]
      const twice: Pair[] = [...once, ['other', Buffer.from('y')], [name, Buffer.from('z')]]
      expect(await deadLettered(once)).toEqual(once)
      expect(await deadLettered(twice)).toEqual(twice)
    },
  )

  test('whatever they are, are all there, in order', async () => {
    const name = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.constantFrom('__proto__', 'constructor', '1', '0', 'é'),
    )
    const value = fc.uint8Array({ maxLength: 5 }).map((bytes) => Buffer.from(bytes))
    const pairs = fc.array(
      fc.tuple(
        name.map((text) => text.toWellFormed()),
        value,
      ),
      { maxLength: 6 },
    )
    await fc.assert(
      fc.asyncProperty(pairs, async (written) => {
        const kept = written.filter(([own]) => !/^(__dlq\.errors|millrace\.dlq)\./.test(own))
        expect(await deadLettered(written)).toEqual(kept)
      }),
    )
  })
})

test('a header is read by its own name only', async () => {
  const { headers } = await fetched([
    ['constructor', Buffer.from('x')],
    ['none', null],
  ])
  const all: readonly (HeaderValue | null)[] = headerValues(headers, 'constructor')
  expect(all).toEqual([Buffer.from('x')])
  expect(headerText(headers, 'constructor')).toBe('x')
  expect(headerText(headers, 'none')).toBe('')
  expect(headerText(headers, 'toString')).toBeNull()
  expect(headerText(headers, '__proto__')).toBeNull()
})
