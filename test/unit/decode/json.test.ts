import { describe, expect, test } from 'vitest'
import { createDecoder, type Decoder } from '../../../src/decode/decoder.ts'
import type { SourcePlan } from '../../../src/decode/plan.ts'
import { isReject, type RejectReason } from '../../../src/record/event.ts'
import type { RawRecord } from '../../../src/record/raw-record.ts'
import { manualClock } from '../../../src/time/manual-clock.ts'
import { at, jsonCodec, jsonRecord, rawRecord, sourcePlan, transaction } from './fixtures.ts'

function decoderOf(overrides: Partial<SourcePlan> = {}): Decoder {
  return createDecoder(sourcePlan(overrides), null, manualClock())
}

function rejected(record: RawRecord, overrides: Partial<SourcePlan> = {}): [RejectReason, string] {
  const decoded = decoderOf(overrides).decode(record)
  if (!isReject(decoded)) throw new Error(`accepted: ${JSON.stringify(decoded.fields)}`)
  expect(decoded.stage).toBe('decode')
  expect(decoded.raw).toBe(record)
  return [decoded.reason, decoded.message]
}

describe('a JSON record', () => {
  test('becomes an event with its id, key, time and fields', async () => {
    const record = jsonRecord(transaction)
    const decoder = decoderOf()
    await decoder.prepare([record], new AbortController().signal)
    expect(decoder.decode(record)).toEqual({
      id: 'tx-00000001',
      key: 'c00001',
      time: at,
      fields: transaction,
      raw: record,
    })
  })

  test('may have ids and keys that are whole numbers: they become decimal text', () => {
    const record = jsonRecord({ ...transaction, id: 42, customer: -7 }, { key: Buffer.from('-7') })
    expect(decoderOf().decode(record)).toMatchObject({ id: '42', key: '-7' })
  })

  test('may have keys beyond ASCII', () => {
    const record = jsonRecord({ ...transaction, customer: 'Zoë 🚲' }, { key: Buffer.from('Zoë 🚲') })
    expect(decoderOf().decode(record)).toMatchObject({ key: 'Zoë 🚲' })
  })

  test.each<[string, RawRecord, RejectReason, string]>([
    ['has no value', rawRecord(null), 'VALIDATION', 'tombstone'],
    ['is not UTF-8', rawRecord(Buffer.from([0x22, 0xff, 0x22])), 'DECODE', 'UTF-8'],
    ['is no JSON', rawRecord('{"id":'), 'DECODE', 'not JSON'],
    ['has bytes behind the JSON', rawRecord(`${JSON.stringify(transaction)}x`), 'DECODE', 'not JSON'],
    ['is empty', rawRecord(''), 'DECODE', 'not JSON'],
    ['is an array', rawRecord('[]'), 'SCHEMA', 'at /: expected object, found an array of 0'],
    ['is null', rawRecord('null'), 'SCHEMA', 'at /: expected object, found null'],
    [
      'lacks a property',
      jsonRecord({ id: 'a', ts: at }),
      'SCHEMA',
      'expected property "customer", found none',
    ],
    [
      'has a property of another type',
      jsonRecord({ ...transaction, amountCents: '12,50' }),
      'SCHEMA',
      'at /amountCents: expected integer, found "12,50"',
    ],
    [
      'has a value out of range',
      jsonRecord({ ...transaction, amountCents: -1 }),
      'SCHEMA',
      'at /amountCents: expected to be >= 0, found -1',
    ],
    [
      'has a value outside an enumeration',
      jsonRecord({ ...transaction, currency: 'XXX' }),
      'SCHEMA',
      'at /currency: expected one of "EUR", "USD", found "XXX"',
    ],
    [
      'has text of another format',
      jsonRecord({ ...transaction, email: 'nobody' }),
      'SCHEMA',
      'at /email: expected to match format "email", found "nobody"',
    ],
    [
      'fits no alternative',
      jsonRecord({ ...transaction, amount: 'x' }),
      'SCHEMA',
      'at /amount: expected one of the alternatives of anyOf, found "x"',
    ],
    ['has an empty id', jsonRecord({ ...transaction, id: '' }), 'VALIDATION', 'at /id'],
    ['has null as id', jsonRecord({ ...transaction, id: null }), 'VALIDATION', 'at /id'],
    ['has an id with a fraction', jsonRecord({ ...transaction, id: 1.5 }), 'VALIDATION', 'at /id'],
    [
      'has an id with half a surrogate pair',
      jsonRecord({ ...transaction, id: '\ud800' }),
      'VALIDATION',
      'at /id',
    ],
    ['has an object as key', jsonRecord({ ...transaction, customer: {} }), 'VALIDATION', 'at /customer'],
    ['has no record key', jsonRecord(transaction, { key: null }), 'VALIDATION', 'no key'],
    [
      'has another record key',
      jsonRecord(transaction, { key: Buffer.from('c00002') }),
      'VALIDATION',
      '"c00001" differs from the record key "c00002"',
    ],
    [
      'has a longer record key',
      jsonRecord(transaction, { key: Buffer.from('c000011') }),
      'VALIDATION',
      'differs',
    ],
    [
      'has a shorter record key',
      jsonRecord(transaction, { key: Buffer.from('c0000') }),
      'VALIDATION',
      'differs',
    ],
    [
      'has a key that only looks the same once its bytes are repaired',
      jsonRecord({ ...transaction, customer: '\ufffd' }, { key: Buffer.from([0xff, 0xfe, 0xfd]) }),
      'VALIDATION',
      'differs',
    ],
    ['has a time with a fraction', jsonRecord({ ...transaction, ts: at + 0.5 }), 'TIMESTAMP', 'at /ts'],
    ['has text as time', jsonRecord({ ...transaction, ts: `${at}` }), 'TIMESTAMP', 'at /ts'],
    ['has null as time', jsonRecord({ ...transaction, ts: null }), 'TIMESTAMP', 'at /ts'],
    ['lies before 1970', jsonRecord({ ...transaction, ts: -1 }), 'TIMESTAMP', 'from 1970 to 9999'],
    [
      'has microseconds as time',
      jsonRecord({ ...transaction, ts: at * 1000 }),
      'TIMESTAMP',
      'from 1970 to 9999',
    ],
  ])('that %s is refused', (_, record, reason, message) => {
    const [found, text] = rejected(record)
    expect(found).toBe(reason)
    expect(text).toContain(message)
  })

  test('may be as late as the record and a little later, not more', () => {
    const limits = sourcePlan().limits
    const latest = jsonRecord({ ...transaction, ts: at + limits.futureMaxMs })
    expect(decoderOf().decode(latest)).toMatchObject({ time: at + limits.futureMaxMs })
    const [reason, message] = rejected(jsonRecord({ ...transaction, ts: at + limits.futureMaxMs + 1 }))
    expect(reason).toBe('TIMESTAMP')
    expect(message).toContain('300001 ms later')
  })

  test('is refused beyond the limit of key, value and headers together, before anything else is looked at', () => {
    const record = rawRecord('{'.repeat(94)) // 94 and a key of 6
    const limits = { recordMaxBytes: 99, futureMaxMs: 0 }
    expect(rejected(record, { limits })[0]).toBe('OVERSIZE')
    expect(rejected(record, { limits: { ...limits, recordMaxBytes: 100 } })[0]).toBe('DECODE')
    const headed = { ...record, headers: [['h', Buffer.alloc(10)] as const] } // 13 bytes more
    expect(rejected(headed, { limits: { ...limits, recordMaxBytes: 112 } })[0]).toBe('OVERSIZE')
    expect(rejected(headed, { limits: { ...limits, recordMaxBytes: 113 } })[0]).toBe('DECODE')
  })

  test('is refused with more than 1000 headers, and when it stands for records that cannot be read', () => {
    const headers = Array.from({ length: 1_001 }, () => ['', null] as const)
    expect(rejected({ ...rawRecord('{'), headers })[0]).toBe('OVERSIZE')
    expect(rejected({ ...rawRecord('{'), headers: headers.slice(1) })[0]).toBe('DECODE')
    const unreadable = { lastOffset: 9, bytes: 70, digest: 'sha256:00', message: 'no sum', isDoubtful: true }
    const place = { ...rawRecord('{'), key: null, value: null, unreadable }
    expect(rejected(place)).toEqual(['UNREADABLE', 'no sum'])
  })

  test('with repeated keys counts the last, as JSON.parse does', () => {
    const text = JSON.stringify(transaction).replace('{', '{"id":"first",')
    expect(decoderOf().decode(rawRecord(text))).toMatchObject({ id: 'tx-00000001' })
  })

  test('with __proto__ among its keys changes no prototype and hides no missing field', () => {
    const codec = jsonCodec({ type: 'object' })
    const text = `{"__proto__":{"id":"x","polluted":true},"customer":"c00001","ts":${at}}`
    expect(rejected(rawRecord(text), { codec })[0]).toBe('VALIDATION')
    expect('polluted' in {}).toBe(false)
  })

  test('never takes an inherited property for a field', () => {
    const record = jsonRecord(transaction)
    expect(rejected(record, { idField: 'constructor' })[0]).toBe('VALIDATION')
    expect(rejected(record, { timeField: 'toString' })[0]).toBe('TIMESTAMP')
  })

  test('nested deeper than the stack is refused, not fatal', () => {
    const schema = { type: 'object', properties: { next: { $ref: '#' } } }
    const depth = 50_000
    const text = `${'{"next":'.repeat(depth)}{}${'}'.repeat(depth)}`
    expect(rejected(rawRecord(text), { codec: jsonCodec(schema) })[0]).toBe('SCHEMA')
  })

  test('gives a message of one bounded line, whatever it holds', () => {
    const codec = jsonCodec({ additionalProperties: { type: 'integer' } })
    const long = `\n${'x'.repeat(9_000)}`
    const [, message] = rejected(jsonRecord({ [long]: long }), { codec })
    expect(message.length).toBe(400)
    expect(message).not.toMatch(/\n/)
  })
})

describe('the JSON Schema of a codec', () => {
  test('may be of draft 07, and say nothing of its draft', () => {
    for (const $schema of ['http://json-schema.org/draft-07/schema#', undefined]) {
      const codec = jsonCodec({ ...($schema && { $schema }), type: 'object', required: ['absent'] })
      expect(rejected(jsonRecord(transaction), { codec })[0]).toBe('SCHEMA')
    }
  })

  test('may carry annotations of its own', () => {
    const codec = jsonCodec({ type: 'object', 'x-owner': 'payments', properties: { ts: { 'x-unit': 'ms' } } })
    expect(isReject(decoderOf({ codec }).decode(jsonRecord(transaction)))).toBe(false)
  })

  test.each([
    ['of another draft', { $schema: 'http://json-schema.org/draft-04/schema#' }, 'drafts 2020-12 and 07'],
    ['that is none', { type: 'nonsense' }, 'not a usable JSON Schema'],
    ['that refers to another document', { $ref: 'other.json' }, 'not a usable JSON Schema'],
    ['that asks the world', { $async: true, type: 'object' }, 'not a usable JSON Schema'],
  ])('%s is refused at start, by file', (_, schema, message) => {
    const create = (): Decoder => decoderOf({ codec: jsonCodec(schema) })
    expect(create).toThrow(message)
    expect(create).toThrow('schemas/transaction.schema.json')
  })
})

describe('a time as text', () => {
  const timeOf = (at: string): unknown => {
    const record = jsonRecord({ ...transaction, at }, { timestamp: 253_402_300_799_999 })
    const decoded = decoderOf({ timeField: 'at', timeFormat: 'iso' }).decode(record)
    return isReject(decoded) ? decoded.reason : decoded.time
  }

  test.each([
    ['2026-01-31T10:20:30Z', Date.UTC(2026, 0, 31, 10, 20, 30)],
    ['2026-01-31t10:20:30.5z', Date.UTC(2026, 0, 31, 10, 20, 30, 500)],
    ['2026-01-31T10:20:30.123456789+02:00', Date.UTC(2026, 0, 31, 8, 20, 30, 123)],
    ['2024-02-29T23:59:59-12:00', Date.UTC(2024, 2, 1, 11, 59, 59)],
    ['1970-01-01T00:00:00Z', 0],
  ])('%s is read', (text, expected) => {
    expect(timeOf(text)).toBe(expected)
  })

  test.each([
    '2026-01-31T10:20:30', // no zone: whose clock?
    '2026-01-31',
    '2026-02-30T00:00:00Z',
    '2026-13-01T00:00:00Z',
    '2026-01-31T24:00:00Z',
    '2026-01-31T10:20:60Z',
    '2026-01-31T10:20:30+25:00',
    '1969-12-31T23:59:59Z',
    'Jan 31, 2026',
    '',
  ])('%j is refused', (text) => {
    expect(timeOf(text)).toBe('TIMESTAMP')
  })
})

describe('a schema with patterns and unique items', () => {
  const schema = {
    ...(sourcePlan({}).codec as { readonly schema: object }).schema,
    properties: { name: { pattern: '^(a+)+$' }, items: { uniqueItems: true } },
    patternProperties: { '^(x+x+)+y$': { type: 'integer' } },
  }
  const codec = { kind: 'json' as const, schema, schemaPath: 'x.json' }

  // An engine that tries all ways, or a comparison of each item with each, takes minutes to hours for these.
  test.each([
    ['a text that nearly fits', { name: `${'a'.repeat(20_000)}!` }, 'at /name'],
    ['a name that nearly fits', { ['x'.repeat(5_000)]: 1, name: '!' }, 'at /name'],
    [
      'many objects, the last one twice',
      { items: [...Array.from({ length: 20_000 }, (_, n) => ({ n })), { n: 19_999 }] },
      'at /items',
    ],
  ])('reads %s in proportion to its length', (_, fields, message) => {
    const [reason, text] = rejected(jsonRecord({ ...transaction, ...fields }), { codec })
    expect([reason, text]).toEqual(['SCHEMA', expect.stringContaining(message)])
  })

  test('with a pattern that cannot be had in linear time is refused at start', () => {
    const bad = { ...schema, properties: { name: { pattern: '(?=a)b' } } }
    expect(() => decoderOf({ codec: { ...codec, schema: bad } })).toThrow(
      /x\.json: not a usable JSON Schema: .*without look-around/,
    )
  })
})
