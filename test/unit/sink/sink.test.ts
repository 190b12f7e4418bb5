import { createHash } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import type { Reject } from '../../../src/record/event.ts'
import type { OutputRecord } from '../../../src/record/output.ts'
import { headersOf, headerValues } from '../../../src/record/headers.ts'
import type { Headers } from '../../../src/record/raw-record.ts'
import { compileAvroEncode } from '../../../src/sink/avro-encoder.ts'
import { murmur2 } from '../../../src/sink/murmur2.ts'
import { sampleAlert, samplePrediction } from '../../../src/sink/sample.ts'
import { deadLetterTopic, jsonOnly } from '../../../src/sink/sink.ts'
import { input, model, sinkOf, sinkPlan, violation } from './fixtures.ts'

function accepted(output: OutputRecord | Reject): OutputRecord {
  if ('rejected' in output) throw new Error(output.message)
  return output
}

function textHeaders(headers: Headers | undefined): Record<string, string> {
  return Object.fromEntries((headers ?? []).map(([name, value]) => [String(name), String(value)]))
}

describe('a prediction record', () => {
  test('has the JSON of the prediction, the key of the input and its topic', () => {
    const raw = input()
    const record = accepted(sinkOf().prediction(samplePrediction, raw))
    expect(record).toMatchObject({ kind: 'prediction', topic: 'card.predictions', key: raw.key })
    expect(record.value).toBe(JSON.stringify(samplePrediction))
  })

  test('names the model in its headers and passes the trace on, nothing else', () => {
    const traceparent = Buffer.from('00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01')
    const sink = sinkOf()
    const traced = accepted(
      sink.prediction(samplePrediction, input({ headers: headersOf({ traceparent, other: 'x' }) })),
    )
    const names = {
      'millrace.model.name': model.name,
      'millrace.model.version': model.version,
      'millrace.model.digest': model.digest,
    }
    expect(textHeaders(traced.headers)).toEqual({ ...names, traceparent: traceparent.toString() })
    const untraced = accepted(sink.alert(sampleAlert, input()))
    expect(textHeaders(untraced.headers)).toEqual(names)
  })

  test.each([
    ['too long', 'x'.repeat(1_000_000)],
    ['not hexadecimal', '00-4bf92f3577b34da6a3ce929d0e0e473g-00f067aa0ba902b7-01'],
    ['in capitals', '00-4BF92F3577B34DA6A3CE929D0E0E4736-00F067AA0BA902B7-01'],
    ['of an invalid version', 'ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01'],
    ['without a trace', '00-00000000000000000000000000000000-00f067aa0ba902b7-01'],
    ['without a parent', '00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01'],
    ['with a line behind it', '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b-01\n'],
    ['empty', ''],
  ])('passes no traceparent on that is %s', (_, text) => {
    for (const traceparent of [text, Buffer.from(text)]) {
      const record = accepted(
        sinkOf().prediction(samplePrediction, input({ headers: [['traceparent', traceparent]] })),
      )
      expect(headerValues(record.headers ?? [], 'traceparent')).toEqual([])
    }
  })

  test('never holds NaN or Infinity', () => {
    const features = { missing: NaN, endless: Infinity }
    const record = accepted(sinkOf().prediction({ ...samplePrediction, features }, input()))
    expect(record.value).toContain('"features":{"missing":null,"endless":null}')
  })
})

describe('the partition of an output', () => {
  test('is the number of the input partition when both topics have as many', () => {
    expect(accepted(sinkOf().prediction(samplePrediction, input({ partition: 5 }))).partition).toBe(5)
  })

  test('follows the key as Java producers do when they differ', () => {
    const key = Buffer.from('c00042')
    const { partition } = accepted(sinkOf().alert(sampleAlert, input({ key })))
    expect(partition).toBe((murmur2(key) & 0x7fffffff) % 4)
  })

  test('follows the input partition when there is no key', () => {
    expect(accepted(sinkOf().alert(sampleAlert, input({ key: null, partition: 5 }))).partition).toBe(1)
  })

  test('always exists, also when partitions were added to the input after the start', () => {
    const { partition } = accepted(sinkOf().prediction(samplePrediction, input({ partition: 6 })))
    expect(partition).toBeLessThan(6)
  })

  test('of an unknown topic is an error that names it', () => {
    const sink = sinkOf({ partitionCounts: new Map() })
    expect(() => sink.prediction(samplePrediction, input())).toThrow('card.predictions')
  })
})

describe('a prediction that does not fit the schema of its topic', () => {
  const encoders = {
    ...jsonOnly,
    predictions: compileAvroEncode<object>(
      {
        type: 'record',
        name: 'P',
        fields: [
          { name: 'id', type: 'string' },
          { name: 'region', type: 'string' },
        ],
      },
      3,
    ),
  }

  test('becomes a reject with reason OUTPUT that names the place', () => {
    const raw = input()
    const reject = sinkOf({ encoders }).prediction(samplePrediction, raw)
    expect(reject).toMatchObject({ rejected: true, reason: 'OUTPUT', stage: 'sink', raw })
    expect((reject as Reject).message).toMatch(/card\.predictions: at region: .*string/)
  })
})

describe('an output larger than its topic takes', () => {
  test.each(['prediction', 'alert'] as const)('a %s becomes a reject with reason OUTPUT', (kind) => {
    const raw = input({ key: Buffer.alloc(40_000, 'k') })
    const bytesMax = new Map([
      ['card.predictions', 40_000],
      ['card.alerts', 40_000],
    ])
    const sink = sinkOf({ bytesMax })
    const reject = kind === 'alert' ? sink.alert(sampleAlert, raw) : sink.prediction(samplePrediction, raw)
    expect(reject).toMatchObject({ rejected: true, reason: 'OUTPUT', stage: 'sink', raw })
    expect((reject as Reject).message).toMatch(
      new RegExp(`^the ${kind} takes \\d+ bytes, card.${kind}s takes at most 40000`),
    )
  })

  test('a topic that takes not even a stub is an error that names the record', () => {
    const sink = sinkOf({ bytesMax: new Map([['dlq.card.transactions', 100]]) })
    const reject: Reject = {
      rejected: true,
      reason: 'SCHEMA',
      stage: 'decode',
      message: 'wrong',
      raw: input(),
    }
    expect(() => sink.deadLetter(reject, { failedAtMs: 0, attempts: 1 })).toThrow(
      /card\.transactions:3 offset 123456 .*dlq\.card\.transactions takes at most 100/,
    )
  })
})

describe('what does not fit into its topic', () => {
  const info = { failedAtMs: 0, attempts: 1 }
  const small = sinkOf({
    bytesMax: new Map([
      ['card.predictions', 1_000],
      ['card.alerts', 1_000],
      ['dlq.card.transactions', 3_000],
    ]),
  })
  const rejectOf = (raw: ReturnType<typeof input>): Reject => ({
    rejected: true,
    reason: 'OVERSIZE',
    stage: 'decode',
    message: 'too large',
    raw,
  })

  test('is, of a dead letter, a stub that does: place, reason, size and digest, no value and no own headers', () => {
    const raw = input({ value: Buffer.alloc(5_000, 'x'), headers: [['own', Buffer.from('1')]] })
    const { key, value, headers } = small.deadLetter(rejectOf(raw), info)
    expect([String(key), value]).toEqual(['c00001', null])
    const texts = textHeaders(headers)
    expect(texts).toMatchObject({
      '__dlq.errors.offset': '123456',
      'millrace.dlq.reason': 'OVERSIZE',
      'millrace.dlq.content': 'stub',
      'millrace.dlq.size': '5012',
      'millrace.dlq.digest': `sha256:${createHash('sha256').update(raw.value!).digest('hex')}`,
    })
    expect(texts).not.toHaveProperty('own')
    expect(violation('dead-letter', texts)).toBeNull()
    expect(small.deadLetter(rejectOf(input({ key: Buffer.alloc(5_000) })), info).key).toBeNull()
    expect(small.deadLetter(rejectOf(input()), info).value).not.toBeNull()
  })

  test('is also what has more than 1000 headers, without decoding them', () => {
    const fetched = { ...input(), headerSize: { count: 1_001, bytes: 9_000 } }
    const raw = Object.defineProperty(fetched, 'headers', {
      get: () => {
        throw new Error('decoded')
      },
    })
    expect(textHeaders(sinkOf().deadLetter(rejectOf(raw), info).headers)).toMatchObject({
      'millrace.dlq.content': 'stub',
    })
  })

  test('records that cannot be read leave a pointer: range, size and digest of their batch', () => {
    const digest = `sha256:${'0b'.repeat(32)}`
    const unreadable = { lastOffset: 123_460, bytes: 77, digest, message: 'wrong checksum', isDoubtful: true }
    const raw = input({ key: null, value: null, unreadable })
    const texts = textHeaders(sinkOf().deadLetter({ ...rejectOf(raw), reason: 'UNREADABLE' }, info).headers)
    expect(texts).toMatchObject({
      '__dlq.errors.offset': '123456',
      'millrace.dlq.reason': 'UNREADABLE',
      'millrace.dlq.content': 'pointer',
      'millrace.dlq.last-offset': '123460',
      'millrace.dlq.size': '77',
      'millrace.dlq.digest': digest,
    })
    expect(violation('dead-letter', texts)).toBeNull()
  })
})

describe('a dead letter', () => {
  const info = { failedAtMs: Date.UTC(2026, 0, 31, 10, 20, 30, 123), attempts: 2 }

  function rejectOf(raw = input(), overrides: Partial<Reject> = {}): Reject {
    return { rejected: true, reason: 'SCHEMA', stage: 'decode', message: 'at /a: wrong', raw, ...overrides }
  }

  test('has the bytes of key and value untouched, also when there are none', () => {
    const raw = input({ key: Buffer.of(0xff, 0), value: Buffer.of(0, 0xff) })
    const record = sinkOf().deadLetter(rejectOf(raw), info)
    expect(record).toMatchObject({ kind: 'dead-letter', topic: 'dlq.card.transactions', partition: 0 })
    expect(record.key).toBe(raw.key)
    expect(record.value).toBe(raw.value)
    const empty = sinkOf().deadLetter(rejectOf(input({ key: null, value: null })), info)
    expect([empty.key, empty.value]).toEqual([null, null])
  })

  test('says where it was, why it is here and who gave it up', () => {
    const { headers } = sinkOf().deadLetter(rejectOf(input(), { schemaId: 7 }), info)
    expect(textHeaders(headers)).toEqual({
      '__dlq.errors.topic': 'card.transactions',
      '__dlq.errors.partition': '3',
      '__dlq.errors.offset': '123456',
      '__dlq.errors.group': 'card-fraud',
      '__dlq.errors.delivery.count': '2',
      '__dlq.errors.message': 'at /a: wrong',
      'millrace.dlq.reason': 'SCHEMA',
      'millrace.dlq.stage': 'decode',
      'millrace.dlq.failed-at': '2026-01-31T10:20:30.123Z',
      'millrace.dlq.attempts': '2',
      'millrace.dlq.schema-id': '7',
      'millrace.dlq.model': `card-fraud/1@${model.digest}`,
      'millrace.dlq.service-version': '0.1.0',
    })
    expect(violation('dead-letter', textHeaders(headers))).toBeNull()
  })

  test('keeps the headers of the record as they are: order, repetitions, missing values, bytes', () => {
    const own: Headers = [
      ['tag', Buffer.from('a')],
      ['constructor', 'x'],
      [Buffer.of(0xff), null],
      ['tag', 'b'],
    ]
    const { headers } = sinkOf().deadLetter(rejectOf(input({ headers: own })), info)
    expect(headers?.slice(0, 4)).toEqual(own)
  })

  test('that was replayed and failed again tells its last failure only', () => {
    const headers = headersOf({
      'millrace.dlq.schema-id': '3',
      'millrace.dlq.reason': 'LATE',
      '__dlq.errors.topic': 'old',
    })
    const record = sinkOf().deadLetter(rejectOf(input({ headers })), info)
    expect(textHeaders(record.headers)).toMatchObject({
      'millrace.dlq.reason': 'SCHEMA',
      '__dlq.errors.topic': 'card.transactions',
    })
    expect(textHeaders(record.headers)).not.toHaveProperty(['millrace.dlq.schema-id'])
  })

  test('goes to the topic of the pattern, whatever the input is called', () => {
    expect(deadLetterTopic({ ...sinkPlan, deadLetterTopic: 'dlq.{topic}.{topic}' }, "a$&b$'")).toBe(
      "dlq.a$&b$'.a$&b$'",
    )
  })
})
