import { describe, expect, test } from 'vitest'
import { createDecoder } from '../../../src/decode/decoder.ts'
import { isReject, type Event, type Reject } from '../../../src/record/event.ts'
import type { RawRecord } from '../../../src/record/raw-record.ts'
import type { RegisteredSchema } from '../../../src/registry/registry.ts'
import { manualClock } from '../../../src/time/manual-clock.ts'
import {
  decode,
  decoderOf,
  encoded,
  frame,
  registryOf,
  signal,
  transaction,
  withField,
  zigzag,
} from './avro-fixtures.ts'
import { at, avroCodec, rawRecord, sourcePlan, transactionAvro } from './fixtures.ts'

async function fieldOf(type: unknown, value: unknown): Promise<unknown> {
  const schema = withField(type)
  const decoded = await decode(
    encoded(schema, { ...transaction, extra: value }),
    { 1: schema },
    { reader: schema },
  )
  if (isReject(decoded)) throw new Error(decoded.message)
  return decoded.fields['extra']
}

/** The field as read that holds `long` in the way its type asks for. */
async function longField(type: unknown, long: bigint): Promise<unknown> {
  const schema = withField(type)
  const wrap = (inner: unknown): Buffer => {
    if (inner === 'long') return zigzag(long)
    if (Array.isArray(inner)) return Buffer.concat([Buffer.of(2 * inner.indexOf('long')), zigzag(long)])
    const { items, values } = inner as { items?: unknown; values?: unknown }
    const one = items === undefined ? Buffer.concat([Buffer.of(2, 0x61), wrap(values)]) : wrap(items)
    return Buffer.concat([Buffer.of(2), one, Buffer.of(0)])
  }
  const bytes = Buffer.concat([encoded(transactionAvro, transaction), wrap(type)])
  const decoded = await decode(bytes, { 1: schema }, { reader: schema })
  if (isReject(decoded)) throw new Error(decoded.message)
  return decoded.fields['extra']
}

/** 2^levels records without a byte. */
function doubled(levels: number): object {
  const type = levels === 0 ? { type: 'record', name: 'R0', fields: [] } : doubled(levels - 1)
  const fields = [
    { name: 'a', type },
    { name: 'b', type: `R${levels - 1}` },
  ]
  return levels === 0 ? type : { type: 'record', name: `R${levels}`, fields }
}

describe('an Avro record', () => {
  test('becomes an event', async () => {
    const decoded = await decode(encoded(transactionAvro, transaction))
    expect(decoded).toMatchObject({ id: 'tx-1', key: 'c00001', time: at })
    expect({ ...(decoded as Event).fields }).toEqual(transaction)
  })

  test('of an older or newer writer is seen as the reader schema says', async () => {
    const older = {
      ...transactionAvro,
      namespace: 'old',
      fields: transactionAvro.fields.slice(0, 2).concat({ name: 'at', type: 'long' }),
    }
    const newer = withField({ type: 'array', items: 'string' })
    const reader = {
      ...transactionAvro,
      fields: [
        { name: 'id', type: 'string' },
        { name: 'customer', type: 'string' },
        { name: 'ts', type: 'long', aliases: ['at'] },
        { name: 'currency', type: 'string', default: 'EUR' },
      ],
    }
    const schemas = { 1: older, 2: newer }
    const first = await decode(encoded(older, { id: 'a', customer: 'c00001', at }), schemas, { reader })
    const second = await decode(encoded(newer, { ...transaction, extra: ['x', 'y'] }, 2), schemas, { reader })
    expect({ ...(first as Event).fields }).toEqual({ id: 'a', customer: 'c00001', ts: at, currency: 'EUR' })
    expect({ ...(second as Event).fields }).toEqual({
      id: 'tx-1',
      customer: 'c00001',
      ts: at,
      currency: 'EUR',
    })
  })

  test('with an int where the reader says long or double is promoted', async () => {
    const writer = withField('int')
    const reader = withField('double')
    const decoded = await decode(encoded(writer, { ...transaction, extra: 7 }), { 1: writer }, { reader })
    expect((decoded as Event).fields['extra']).toBe(7)
  })

  test.each<[string, unknown, unknown, unknown]>([
    ['bytes are base64 text', 'bytes', Buffer.from([1, 2, 255]), 'AQL/'],
    ['fixed is base64 text', { type: 'fixed', name: 'F', size: 2 }, Buffer.from([1, 2]), 'AQI='],
    ['an optional value is the value', ['null', 'string'], 'x', 'x'],
    ['an absent value is null', ['null', 'string'], null, null],
    ['optional bytes are base64 text', ['null', 'bytes'], Buffer.from([0]), 'AA=='],
    ['a union of look-alikes is the value', ['null', 'int', 'double'], { double: 1.5 }, 1.5],
    ['an enum is its symbol', { type: 'enum', name: 'E', symbols: ['A', 'B'] }, 'B', 'B'],
    ['a map is an object', { type: 'map', values: 'bytes' }, { a: Buffer.from([0]) }, { a: 'AA==' }],
    [
      'an array is an array',
      { type: 'array', items: ['null', 'bytes'] },
      [null, Buffer.from([0])],
      [null, 'AA=='],
    ],
    [
      'a record is a plain object',
      {
        type: 'record',
        name: 'R',
        fields: [
          { name: 'a', type: 'int' },
          { name: 'b', type: 'bytes' },
        ],
      },
      { a: 1, b: Buffer.from([0]) },
      { a: 1, b: 'AA==' },
    ],
  ])('has plain values: %s', async (_, type, value, expected) => {
    const found = await fieldOf(type, value)
    expect(found).toStrictEqual(expected)
  })

  test('may hold many records side by side', async () => {
    const line = { type: 'record', name: 'Line', fields: [{ name: 'cents', type: 'int' }] }
    const lines = Array.from({ length: 500 }, (_, cents) => ({ cents }))
    expect(await fieldOf({ type: 'array', items: line }, lines)).toStrictEqual(lines)
  })

  test('may hold records within records', async () => {
    const node = { type: 'record', name: 'Node', fields: [{ name: 'next', type: ['null', 'Node'] }] }
    expect(await fieldOf(node, { next: { next: null } })).toStrictEqual({ next: { next: null } })
  })

  test.each([
    9_007_199_254_740_991n,
    -9_007_199_254_740_991n,
    -4_503_599_627_370_497n,
    0n,
    -1n,
    134_217_728n,
    268_435_456n,
    -268_435_457n,
  ])('reads the long %s exactly', async (long) => {
    const bytes = Buffer.concat([
      encoded({ ...transactionAvro, fields: transactionAvro.fields.slice(0, 2) }, transaction),
      zigzag(long),
      zigzag(BigInt(at)),
    ])
    const decoded = await decode(bytes)
    expect((decoded as Event).fields['amountCents']).toBe(Number(long))
  })

  test.each([
    9_007_199_254_740_992n,
    9_007_199_254_740_993n,
    -9_007_199_254_740_992n,
    -9_007_199_254_740_993n,
    2n ** 63n - 1n,
    -(2n ** 63n),
  ])('reads the long %s, which a number cannot hold, as a bigint', async (long) => {
    expect(await longField('long', long)).toBe(long)
    expect(await longField(['null', 'long'], long)).toBe(long)
    expect(await longField({ type: 'array', items: 'long' }, long)).toEqual([long])
    expect(await longField(['null', 'int', 'long'], long)).toBe(long)
    expect(await longField({ type: 'map', values: ['null', 'long', 'string'] }, long)).toEqual({ a: long })
  })

  test.each(['double', 'float', ['null', 'double']])(
    'rounds such a long where the reader says %s',
    async (type) => {
      const writer = withField(Array.isArray(type) ? ['null', 'long'] : 'long')
      for (const long of [2n ** 60n, -(2n ** 60n), -(2n ** 52n), 2n ** 53n + 1n]) {
        const tail = Array.isArray(type) ? Buffer.concat([Buffer.of(2), zigzag(long)]) : zigzag(long)
        const bytes = Buffer.concat([encoded(transactionAvro, transaction), tail])
        const decoded = await decode(bytes, { 1: writer }, { reader: withField(type) })
        expect((decoded as Event).fields['extra']).toBe(Number(long))
      }
    },
  )

  test('may have ids and keys that are such longs', async () => {
    const schema = {
      ...transactionAvro,
      fields: transactionAvro.fields.map((field) =>
        field.name === 'ts' ? field : { ...field, type: 'long' },
      ),
    }
    const [id, key] = [9_007_199_254_740_993n, -9_007_199_254_740_995n]
    const bytes = frame(1, Buffer.concat([zigzag(id), zigzag(key), zigzag(1n), zigzag(BigInt(at))]))
    const codec = avroCodec({ reader: schema })
    const decoder = createDecoder(sourcePlan({ codec }), registryOf({ 1: schema }), manualClock())
    const record = rawRecord(bytes, { key: Buffer.from(String(key)) })
    await decoder.prepare([record], signal)
    expect(decoder.decode(record)).toMatchObject({ id: String(id), key: String(key) })
  })

  test('may hold any long in a field that nobody reads', async () => {
    const writer = withField('long')
    const bytes = Buffer.concat([encoded(transactionAvro, transaction), zigzag(2n ** 63n - 1n)])
    expect(isReject(await decode(bytes, { 1: writer }))).toBe(false)
  })
})

describe('bytes that are no Avro record', () => {
  const whole = encoded(transactionAvro, transaction)

  test.each([
    ['are truncated', whole.subarray(0, whole.length - 1), 'truncated'],
    ['go on behind the last field', Buffer.concat([whole, Buffer.of(0)]), '1 bytes behind the last field'],
    ['have no frame', Buffer.of(0, 0, 0), '3 bytes in all'],
    ['have another magic byte', Buffer.from('{"id":1}'), 'magic byte 0'],
    ['have a negative schema id', frame(-1, whole.subarray(5)), 'found -1'],
    ['hold a length below zero', frame(1, Buffer.of(1)), 'a length of -1'],
    ['hold text that is not UTF-8', frame(1, Buffer.of(2, 0xff)), 'not valid UTF-8'],
    [
      'hold a number without end',
      Buffer.concat([whole.subarray(0, whole.length - 6), Buffer.alloc(12, 0xff)]),
      '64 bits',
    ],
  ])('are refused when they %s', async (_, value, message) => {
    const decoded = await decode(Buffer.from(value))
    expect(decoded).toMatchObject({ reason: 'DECODE', message: expect.stringContaining(message) as string })
  })

  test.each<[string, unknown, Buffer, string]>([
    ['a union branch that does not exist', ['null', 'int'], Buffer.of(8), 'union branch 4 of 2'],
    [
      'an enum symbol that does not exist',
      { type: 'enum', name: 'E', symbols: ['A'] },
      Buffer.of(2),
      'enum symbol 1 of 1',
    ],
    ['a boolean of 2', 'boolean', Buffer.of(2), 'a boolean of 2'],
    ['an int of 33 bits', 'int', zigzag(2n ** 31n), '32 bits'],
    ['an array longer than the record', { type: 'array', items: 'int' }, zigzag(2n ** 31n), 'items'],
    ['an array of many nothings', { type: 'array', items: 'null' }, zigzag(2n ** 40n), 'items'],
    ['a million items of nothing', { type: 'array', items: 'null' }, zigzag(10n ** 6n), 'items'],
    ['forty records of twice the next', doubled(40), Buffer.of(), 'more fields and items'],
    ['a block with a wrong size', { type: 'array', items: 'int' }, Buffer.of(1, 4, 2, 0), 'another length'],
    [
      'a map key that would be a prototype',
      { type: 'map', values: { type: 'map', values: 'int' } },
      Buffer.concat([Buffer.of(2, 18), Buffer.from('__proto__'), Buffer.of(0, 0)]),
      '__proto__',
    ],
  ])('are refused when they hold %s', async (_, type, tail, message) => {
    const schema = withField(type)
    const bytes = Buffer.concat([encoded(transactionAvro, transaction), tail])
    const decoded = await decode(bytes, { 1: schema }, { reader: schema })
    expect(decoded).toMatchObject({
      reason: 'DECODE',
      schemaId: 1,
      message: expect.stringContaining(message) as string,
    })
  })

  test('are refused when they nest records without end', async () => {
    const schema = withField({
      type: 'record',
      name: 'Node',
      fields: [{ name: 'next', type: ['null', 'Node'] }],
    })
    const bytes = Buffer.concat([encoded(transactionAvro, transaction), Buffer.alloc(9_000, 2), Buffer.of(0)])
    const decoded = await decode(bytes, { 1: schema }, { reader: schema })
    expect(decoded).toMatchObject({ reason: 'DECODE', message: expect.stringContaining('deep') as string })
  })
})

describe('the writer schema of a record', () => {
  test('that the reader schema cannot read gives dead letters with its id', async () => {
    const writer = { ...transactionAvro, fields: transactionAvro.fields.slice(0, 3) }
    const decoded = await decode(encoded(writer, transaction, 12), { 12: writer })
    expect(decoded).toMatchObject({
      reason: 'SCHEMA',
      schemaId: 12,
      message: expect.stringContaining('ts') as string,
    })
  })

  test('that is not Avro gives dead letters with its id', async () => {
    const unusable: RegisteredSchema = { kind: 'unusable', id: 12, why: 'schema id 12 is not Avro' }
    const decoded = await decode(frame(12, Buffer.of(0)), { 12: unusable })
    expect(decoded).toMatchObject({
      reason: 'SCHEMA',
      schemaId: 12,
      message: expect.stringContaining('not Avro') as string,
    })
  })

  test('that was given up gives dead letters without asking for it', async () => {
    const decoded = await decode(frame(99, Buffer.of(0)), {}, { giveUpIds: [99] })
    expect(decoded).toMatchObject({
      reason: 'SCHEMA',
      schemaId: 99,
      message: expect.stringContaining('giveUpIds') as string,
    })
  })

  test('is not asked for by records that are refused anyway', async () => {
    const decoder = decoderOf({})
    const records: RawRecord[] = [rawRecord(null), rawRecord('x'), rawRecord(Buffer.alloc(2_000_000))]
    await decoder.prepare(records, signal)
    expect(records.map((record) => (decoder.decode(record) as Reject).reason)).toEqual([
      'VALIDATION',
      'DECODE',
      'OVERSIZE',
    ])
  })
})

describe('the Avro codec', () => {
  test('needs a registry', () => {
    expect(() => createDecoder(sourcePlan({ codec: avroCodec() }), null, manualClock())).toThrow(
      'registry.url',
    )
  })

  test.each([
    ['is none', { type: 'nonsense' }, 'no Avro schema'],
    ['is no record', { type: 'string' }, 'events are records'],
  ])('refuses a reader schema that %s', (_, reader, message) => {
    expect(() => decoderOf({}, { reader })).toThrow(message)
  })
})
