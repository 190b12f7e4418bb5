import { createRequire } from 'node:module'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { encodeRecordBatch, HeaderBytes } from '../../../src/kafka/wire/encode-record-batch.ts'
import { GrowingBuffer } from '../../../src/kafka/wire/growing-buffer.ts'
import { headerEntries, headerText, headerValues } from '../../../src/record/headers.ts'
import type { Headers, HeaderValue } from '../../../src/record/raw-record.ts'
import { originalHeaders } from '../../../src/service/dead-letters/dead-letter.ts'
import { deadLetterHeaders } from '../../../src/sink/headers.ts'
import { input, model } from './fixtures.ts'

type Pair = readonly [name: string, value: Buffer | null]

const require = createRequire(import.meta.url)
const protocol = 'kafkajs/src/protocol'
const Decoder = require(`${protocol}/decoder`) as new (bytes: Buffer) => object
const decodeRecord = require(`${protocol}/recordBatch/record/v0/decoder`) as (
  decoder: object,
  context: object,
) => { readonly headers: Headers }

/** Headers as kafkajs hands them out when these stand on the wire. */
function fetched(pairs: readonly Pair[]): Headers {
  const varint = (value: number): Buffer => {
    const bytes: number[] = []
    let rest = value < 0 ? -2 * value - 1 : 2 * value
    for (; rest > 0x7f; rest >>>= 7) bytes.push((rest & 0x7f) | 0x80)
    return Buffer.from([...bytes, rest])
  }
  const sized = (bytes: Buffer | null): Buffer =>
    bytes === null ? varint(-1) : Buffer.concat([varint(bytes.length), bytes])
  const body = Buffer.concat([
    Buffer.from([0, 0, 0, 1, 1]), // attributes, deltas, no key, no value
    varint(pairs.length),
    ...pairs.flatMap(([name, value]) => [sized(Buffer.from(name)), sized(value)]),
  ])
  return decodeRecord(new Decoder(body), { firstOffset: '0', firstTimestamp: '0' }).headers
}

const facts = { group: 'g', serviceVersion: '1', model, failedAtMs: 0, attempts: 1 }

/** What stands on the wire of the dead letter, own headers only. */
function deadLettered(pairs: readonly Pair[]): readonly Pair[] {
  const raw = input({ headers: fetched(pairs) })
  const headers = deadLetterHeaders(
    { rejected: true, reason: 'DECODE', stage: 'decode', message: 'm', raw },
    facts,
  )
  const output = { kind: 'dead-letter' as const, topic: 't', partition: 0, key: null, value: null, headers }
  const buffer = new GrowingBuffer(Buffer.alloc(64))
  const head = { producerId: 1n, producerEpoch: 0, sequence: 0, timestampMs: 0, compression: 'none' } as const
  void encodeRecordBatch(buffer, [output], head, new HeaderBytes())
  const written = headerEntries(originalHeaders(headers))
  return written.flatMap(([name, values]) => values.map((value) => [name, Buffer.from(value ?? '')] as const))
}

describe('the headers of a dead letter', () => {
  test('keep bytes, order and repetitions', () => {
    const pairs: Pair[] = [
      ['b', Buffer.from([0xff, 0, 0x80])],
      ['a', Buffer.from('1')],
      ['a', Buffer.from('2')],
      ['a', Buffer.from('1')],
      ['', Buffer.from('nameless')],
    ]
    expect(deadLettered(pairs)).toEqual(pairs)
  })

  test.each(['__proto__', 'constructor', 'toString', 'hasOwnProperty', 'valueOf', '__defineGetter__'])(
    'may be called %s, once and twice',
    (name) => {
      const once: Pair[] = [[name, Buffer.from('x')]]
      const twice: Pair[] = [...once, ['other', Buffer.from('y')], [name, Buffer.from('z')]]
      expect(deadLettered(once)).toEqual(once)
      expect(deadLettered(twice)).toEqual([...once, twice[2], twice[1]])
    },
  )

  test('without a value become empty ones, which is all that the client can write', () => {
    const pairs: Pair[] = [
      ['none', null],
      ['some', null],
      ['some', Buffer.from('x')],
    ]
    expect(deadLettered(pairs).map(([name, value]) => [name, String(value)])).toEqual([
      ['none', ''],
      ['some', ''],
      ['some', 'x'],
    ])
  })

  test('whatever they are, are all there, each name with its values in order', () => {
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
    fc.assert(
      fc.property(pairs, (written) => {
        const kept = written.filter(([own]) => !/^(__dlq\.errors|millrace\.dlq)\./.test(own))
        expect(byName(deadLettered(written))).toEqual(byName(kept))
      }),
    )
  })
})

function byName(pairs: readonly Pair[]): ReadonlyMap<string, readonly string[]> {
  const names = new Map<string, string[]>()
  for (const [name, value] of pairs)
    names.set(name, [...(names.get(name) ?? []), String(value?.toString('hex'))])
  return names
}

test('a header is read by its own name only', () => {
  const headers = fetched([
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
