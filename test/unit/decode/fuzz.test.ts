import avsc from 'avsc'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { createDecoder, type Decoder } from '../../../src/decode/decoder.ts'
import { isReject, rejectReasons } from '../../../src/record/event.ts'
import type { RawRecord } from '../../../src/record/raw-record.ts'
import { compileAvroEncode } from '../../../src/sink/avro-encoder.ts'
import { manualClock } from '../../../src/time/manual-clock.ts'
import { at, avroCodec, jsonCodec, jsonRecord, rawRecord, sourcePlan, transaction } from './fixtures.ts'

/** Every shape of Avro: what the walk over the bytes has to get right. */
const schema = {
  type: 'record',
  name: 'Everything',
  fields: [
    { name: 'id', type: 'string' },
    { name: 'customer', type: 'string' },
    { name: 'ts', type: 'long' },
    { name: 'flag', type: 'boolean' },
    { name: 'small', type: 'int' },
    { name: 'ratio', type: 'double' },
    { name: 'note', type: ['null', 'string'] },
    { name: 'tags', type: { type: 'array', items: 'string' } },
    { name: 'counts', type: { type: 'map', values: 'long' } },
    {
      name: 'place',
      type: { type: 'record', name: 'Place', fields: [{ name: 'inner', type: ['null', 'Place'] }] },
    },
    { name: 'kind', type: { type: 'enum', name: 'Kind', symbols: ['A', 'B'] } },
  ],
}
const encode = compileAvroEncode<object>(schema, 1)

const wellFormed = fc.string({ unit: 'binary' }).map((text) => text.toWellFormed())
// what avsc can write: the zigzag form of a negative long beyond it needs 54 bits
const writableLong = fc.integer({ min: -(2 ** 52), max: 2 ** 52 })

const everything = fc.record(
  {
    id: wellFormed.filter((id) => id !== ''),
    customer: wellFormed.filter((key) => key !== ''),
    ts: fc.integer({ min: 0, max: at }),
    flag: fc.boolean(),
    small: fc.integer(),
    ratio: fc.double({ noNaN: true }),
    note: fc.option(wellFormed),
    tags: fc.array(wellFormed),
    counts: fc.dictionary(
      wellFormed.filter((name) => name !== '__proto__'),
      writableLong,
      { noNullPrototype: true },
    ),
    place: fc.constantFrom({ inner: null }, { inner: { inner: null } }),
    kind: fc.constantFrom('A', 'B'),
  },
  { noNullPrototype: true },
)

async function avroDecoder(): Promise<Decoder> {
  const registry = {
    url: 'http://registry',
    writerSchema: (id: number) =>
      Promise.resolve({ kind: 'avro' as const, id, schema: JSON.stringify(schema) }),
    latestId: () => Promise.resolve(null),
    schemaFor: () => Promise.resolve(null),
  }
  const decoder = createDecoder(sourcePlan({ codec: avroCodec({ reader: schema }) }), registry, manualClock())
  await decoder.prepare([rawRecord(Buffer.of(0, 0, 0, 0, 1))], new AbortController().signal)
  return decoder
}

/** An event whose parts keep their promises, or a reject with a reason of the table. */
function expectEventOrReject(decoder: Decoder, record: RawRecord): void {
  const decoded = decoder.decode(record)
  if (isReject(decoded)) {
    expect(rejectReasons).toContain(decoded.reason)
    expect(decoded.message.length).toBeLessThanOrEqual(400)
    return
  }
  expect(decoded.id).not.toBe('')
  expect(Buffer.from(decoded.key).equals(record.key ?? Buffer.alloc(0))).toBe(true)
  expect(Number.isSafeInteger(decoded.time)).toBe(true)
}

const schemaless = (): Decoder => createDecoder(sourcePlan({ codec: jsonCodec({}) }), null, manualClock())

test('any bytes give an event or a reject as JSON', () => {
  const decoder = schemaless()
  const bytes = fc.uint8Array({ maxLength: 200 })
  fc.assert(
    fc.property(bytes, bytes, (key, value) =>
      expectEventOrReject(decoder, rawRecord(Buffer.from(value), { key: Buffer.from(key) })),
    ),
  )
})

test('any JSON gives an event or a reject', () => {
  const decoder = schemaless()
  const part = fc.jsonValue()
  const event = fc.record({ id: part, customer: part, ts: part, __proto__: part }, { requiredKeys: [] })
  fc.assert(
    fc.property(fc.oneof(part, event), (value) => {
      expectEventOrReject(decoder, jsonRecord(value))
    }),
  )
})

test('a JSON event with a character changed gives an event or a reject', () => {
  const decoder = createDecoder(sourcePlan(), null, manualClock())
  const text = JSON.stringify(transaction)
  fc.assert(
    fc.property(fc.nat(text.length - 1), fc.nat(255), (index, byte) => {
      const bytes = Buffer.from(text)
      bytes[index] = byte
      expectEventOrReject(decoder, rawRecord(bytes))
    }),
  )
})

test('an Avro event is read as it was written', async () => {
  const decoder = await avroDecoder()
  fc.assert(
    fc.property(everything, (event) => {
      const decoded = decoder.decode(rawRecord(encode(event), { key: Buffer.from(event.customer) }))
      if (isReject(decoded)) throw new Error(decoded.message)
      expect({ ...decoded.fields }).toStrictEqual(event)
      expect(decoded).toMatchObject({ id: event.id, key: event.customer, time: event.ts })
    }),
  )
})

test('an Avro event with bytes changed, cut or added gives an event or a reject', async () => {
  const decoder = await avroDecoder()
  const changes = fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 4 })
  fc.assert(
    fc.property(
      everything,
      changes,
      fc.nat(3),
      fc.uint8Array({ maxLength: 3 }),
      (event, edits, cut, tail) => {
        const bytes = encode(event)
        // behind the frame: another schema id would be another question
        for (const [index, byte] of edits) bytes[5 + (index % (bytes.length - 5))] = byte
        const value = Buffer.concat([bytes.subarray(0, Math.max(5, bytes.length - cut)), tail])
        expectEventOrReject(decoder, rawRecord(value, { key: Buffer.from(event.customer) }))
      },
    ),
    { numRuns: 1_000 },
  )
})

test('any bytes behind a known schema id give an event or a reject', async () => {
  const decoder = await avroDecoder()
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 60 }), (tail) => {
      expectEventOrReject(decoder, rawRecord(Buffer.concat([Buffer.of(0, 0, 0, 0, 1), tail])))
    }),
    { numRuns: 1_000 },
  )
})

test('the walk over the bytes accepts exactly what avsc writes', async () => {
  // random types of the library itself, so that no shape of schema is forgotten
  const { compileStructureCheck } = await import('../../../src/decode/avro-structure.ts')
  const type = avsc.Type.forSchema(schema as avsc.Schema)
  const check = compileStructureCheck(type)
  fc.assert(
    fc.property(everything, (event) => {
      const bytes = type.toBuffer(event)
      check(bytes, 0)
      expect(() => check(bytes.subarray(0, bytes.length - 1), 0)).toThrow('truncated')
    }),
  )
})
