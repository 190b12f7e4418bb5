import { describe, expect, test } from 'vitest'
import { createDecoder } from '../../../src/decode/decoder.ts'
import type { SourcePlan } from '../../../src/decode/plan.ts'
import { isReject, type Event, type Reject } from '../../../src/record/event.ts'
import type { RegisteredSchema } from '../../../src/registry/registry.ts'
import { manualClock } from '../../../src/time/manual-clock.ts'
import { frame, registryOf, signal } from './avro-fixtures.ts'
import { avroCodec, jsonCodec, jsonRecord, rawRecord, sourcePlan, transaction } from './fixtures.ts'

const json = JSON.stringify(transaction)

function decode(value: string | Buffer, key = 'c00001', overrides: Partial<SourcePlan> = {}): Event | Reject {
  const record = rawRecord(value, { key: Buffer.from(key) })
  return createDecoder(sourcePlan(overrides), null, manualClock()).decode(record)
}

function messageOf(decoded: Event | Reject): string {
  if (!isReject(decoded)) throw new Error('accepted')
  return decoded.message
}

describe('bytes in front of JSON', () => {
  test('may be a byte order mark', () => {
    expect(decode(`\ufeff${json}`)).toMatchObject({ id: transaction.id })
  })

  test.each([
    ['two byte order marks', Buffer.from(`\ufeff\ufeff${json}`), 'not JSON'],
    ['UTF-16', Buffer.from(`\ufeff${json}`, 'utf16le'), 'looks like UTF-16'],
    ['gzip', Buffer.from([0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3]), 'looks like gzip'],
    ['the frame of a registry', frame(7, json), 'schema-registry framing (id 7)'],
    ['the frame with a large id', frame(0x7fffffff, json), 'schema-registry framing (id 2147483647)'],
    ['the frame of a registry around Avro', frame(300, Buffer.from([2, 0x61])), 'codec: {avro: …}'],
  ])('are named when they are %s', (_, value, hint) => {
    expect(decode(value)).toMatchObject({ reason: 'DECODE' })
    expect(messageOf(decode(value))).toContain(hint)
  })
})

const schemas: Record<number, RegisteredSchema> = {
  1: { kind: 'json', id: 1, schema: '{"type":"object"}' },
  2: { kind: 'avro', id: 2, schema: '"string"' },
  3: { kind: 'unusable', id: 3, why: 'it is Protobuf, which millrace does not read' },
}

async function decodeFramed(value: Buffer, giveUpIds: readonly number[] = []): Promise<Event | Reject> {
  const codec = { ...jsonCodec(), framed: { giveUpIds } } as SourcePlan['codec']
  const decoder = createDecoder(sourcePlan({ codec }), registryOf(schemas), manualClock())
  const record = rawRecord(value)
  await decoder.prepare([record], signal)
  return decoder.decode(record)
}

describe('JSON behind a schema registry', () => {
  test('is read, and checked against the schema of the topology', async () => {
    expect(await decodeFramed(frame(1, json))).toMatchObject({ id: transaction.id, fields: transaction })
    const wrong = frame(1, JSON.stringify({ ...transaction, amountCents: -1 }))
    expect(await decodeFramed(wrong)).toMatchObject({ reason: 'SCHEMA', schemaId: 1 })
  })

  test.each([
    ['an Avro schema', frame(2, json), 'schema id 2 is no JSON Schema: it is Avro'],
    ['Protobuf', frame(3, Buffer.from([0, 10, 1])), 'schema id 3 is no JSON Schema: it is Protobuf'],
  ])('is not what the id of %s stands for', async (_, value, message) => {
    expect(await decodeFramed(value)).toMatchObject({
      reason: 'SCHEMA',
      message: expect.stringContaining(message) as string,
    })
  })

  test('without the frame is refused with a hint', async () => {
    expect(messageOf(await decodeFramed(Buffer.from(json)))).toContain(
      'it looks like JSON: write codec: {json: …}',
    )
  })

  test('may begin with a byte order mark behind the frame', async () => {
    expect(await decodeFramed(frame(1, `\ufeff${json}`))).toMatchObject({ id: transaction.id })
  })

  test('with a byte order mark in front of the frame is refused with a hint', async () => {
    const value = Buffer.concat([Buffer.from('\ufeff'), frame(1, json)])
    expect(messageOf(await decodeFramed(value))).toContain('a byte order mark stands in front of the frame')
  })

  test('with an id that was given up is not waited for', async () => {
    expect(await decodeFramed(frame(99, json), [99])).toMatchObject({ reason: 'SCHEMA' })
  })

  test('needs a registry', () => {
    const codec = { ...jsonCodec(), framed: { giveUpIds: [] } } as SourcePlan['codec']
    expect(() => createDecoder(sourcePlan({ codec }), null, manualClock())).toThrow('registry.url')
  })
})

test.each([
  ['JSON', json],
  ['JSON with a line break behind it', `${json}\n`],
  ['JSON over several lines', `\n${JSON.stringify(transaction, null, 2)}\n`],
  ['JSON with a byte order mark', `\ufeff${json}`],
])('%s where the topology says Avro is refused with a hint', (_, value) => {
  const decoder = createDecoder(sourcePlan({ codec: avroCodec() }), registryOf({}), manualClock())
  expect(decoder.decode(rawRecord(value))).toMatchObject({
    message: expect.stringContaining('it looks like JSON') as string,
  })
})

describe('a record key that only is written in another way than the key field', () => {
  const long = Buffer.alloc(8)
  long.writeBigInt64BE(9_007_199_254_740_993n)
  test.each<[string, unknown, string | Buffer, string]>([
    ['NFD and NFC', 'Zoë'.normalize('NFC'), 'Zoë'.normalize('NFD'), 'another Unicode normal form'],
    ['NFC and NFD', '가'.normalize('NFD'), '가'.normalize('NFC'), 'another Unicode normal form'],
    ['quotes', 'c00001', '"c00001"', 'written as JSON text, in quotes'],
    ['spaces', 'c00001', ' c00001', 'only spaces'],
    ['case', 'c00001', 'C00001', 'only upper and lower case'],
    ['a byte order mark', 'c00001', '\ufeffc00001', 'byte order mark'],
    ['an int of Java', 42, Buffer.from([0, 0, 0, 42]), 'binary number'],
    ['a long of Java', 9_007_199_254_740_993n, long, 'binary number'],
    ['a frame', 'c00001', frame(7, 'c00001'), 'framed by a schema registry'],
  ])('is refused with a reason that says so: %s', (_, field, key, how) => {
    const value = JSON.stringify({ ...transaction, customer: '?' }).replace(
      '"?"',
      typeof field === 'bigint' ? String(field) : JSON.stringify(field),
    )
    const record = rawRecord(value, { key: Buffer.from(key as string) })
    const decoded = createDecoder(sourcePlan({ codec: jsonCodec({}) }), null, manualClock()).decode(record)
    expect(decoded).toMatchObject({ reason: 'VALIDATION' })
    expect(messageOf(decoded)).toContain(how)
  })

  test('says nothing more when the keys are two', () => {
    const record = jsonRecord(transaction, { key: Buffer.from('c00002') })
    const decoded = createDecoder(sourcePlan(), null, manualClock()).decode(record)
    expect(messageOf(decoded)).toMatch(/differs from the record key "c00002"$/)
  })
})

describe('names of fields', () => {
  const nested = {
    after: { id: 'a', customer: 'c00001', '@at': transaction.ts },
    'payload.ts': transaction.ts,
    '@id': 'b',
    'user-id': 'c00001',
  }
  const source = (idField: string, keyField: string, timeField: string): SourcePlan =>
    sourcePlan({ codec: jsonCodec({}), idField, keyField, timeField })
  const read = (value: unknown, plan: SourcePlan): Event | Reject =>
    createDecoder(plan, null, manualClock()).decode(jsonRecord(value))

  test('may lead into nested objects, hold dots themselves, or be no names of expressions', () => {
    const event = { id: 'a', key: 'c00001', time: transaction.ts }
    expect(read(nested, source('after.id', 'after.customer', 'payload.ts'))).toMatchObject(event)
    expect(read(nested, source('@id', 'user-id', 'after.@at'))).toMatchObject({ ...event, id: 'b' })
  })

  test('that stand in the event as they are go before the way into another', () => {
    const both = { ...nested, 'after.id': 'top' }
    expect(read(both, source('after.id', 'user-id', 'payload.ts'))).toMatchObject({ id: 'top' })
  })

  test.each([
    ['after.ident', 'at /after/ident: expected text or a whole number, found nothing'],
    ['before.id', 'at /before/id: expected text or a whole number, found nothing (/before is no object)'],
    ['after.id.x', 'at /after/id/x: expected text or a whole number, found nothing (/after/id is no object)'],
    ['nowhere', 'at /nowhere: expected text or a whole number, found nothing'],
    ['constructor.name', 'found nothing (/constructor is no object)'],
    ['after', 'at /after: expected text or a whole number, found an object'],
    ['__proto__', 'at /__proto__: expected text or a whole number, found nothing'],
  ])('that lead nowhere are told with the way: %s', (idField, message) => {
    expect(messageOf(read(nested, source(idField, 'user-id', 'payload.ts')))).toContain(message)
  })

  test('of the time are told as well', () => {
    expect(
      messageOf(read({ ...nested, 'payload.ts': undefined }, source('@id', 'user-id', 'payload.ts'))),
    ).toContain('at /payload/ts: expected whole epoch milliseconds, found nothing (/payload is no object)')
  })
})
