import { describe, expect, test } from 'vitest'
import { isReject } from '../../../src/record/event.ts'
import type { RegisteredSchema } from '../../../src/registry/registry.ts'
import { decode, encoded, transaction, withField } from './avro-fixtures.ts'
import { transactionAvro } from './fixtures.ts'

describe('a writer schema that only decoding does not need to be right', () => {
  const place = {
    type: 'record',
    name: 'Place',
    aliases: ['not a name'],
    fields: [{ name: 'city', type: ['string', 'null'], default: null, doc: 7, order: 'sideways' }],
  }
  test.each<[string, object, unknown]>([
    ['null as default of a string', { type: ['string', 'null'], default: null }, 'x'],
    ['text as default of an int', { type: 'int', default: 'none' }, 7],
    ['a wrong default in a nested record', { type: place }, { city: 'x' }],
    [
      'a symbol as default that does not exist',
      { type: { type: 'enum', name: 'E', symbols: ['A'], default: 'B' } },
      'A',
    ],
    [
      'an enum default of the field',
      { type: { type: 'enum', name: 'E', symbols: ['A'] }, default: 'B' },
      'A',
    ],
    ['an order and aliases that are none', { type: 'int', order: 'up', aliases: ['a b', 1] }, 7],
    [
      'a logical type that nobody knows',
      { type: { type: 'long', logicalType: 'moon-phase', precision: 'x' } },
      7,
    ],
    ['a decimal without a precision', { type: { type: 'bytes', logicalType: 'decimal' } }, Buffer.from([1])],
    ['an object as default of an array', { type: { type: 'array', items: 'int' }, default: {} }, [1]],
  ])('is read all the same: %s', async (_, field, value) => {
    const right = withField((field as { type: unknown }).type === place ? plainPlace : essentialType(field))
    const writer = { ...transactionAvro, fields: [...transactionAvro.fields, { name: 'extra', ...field }] }
    const bytes = encoded(right, { ...transaction, extra: value })
    const decoded = await decode(bytes, { 1: writer }, { reader: right })
    if (isReject(decoded)) throw new Error(decoded.message)
    const expected = Buffer.isBuffer(value) ? value.toString('base64') : value
    expect(decoded.fields['extra']).toEqual(expected)
  })

  const plainPlace = { type: 'record', name: 'Place', fields: [{ name: 'city', type: ['string', 'null'] }] }

  function essentialType(field: object): unknown {
    const { type } = field as { type: unknown }
    if (typeof type !== 'object' || type === null || Array.isArray(type)) return type
    const { default: _, ...rest } = type as { default?: unknown }
    return rest
  }

  test('may name types of other schemas', async () => {
    const line = {
      type: 'record',
      name: 'shop.Line',
      fields: [{ name: 'cents', type: 'long', default: 'x' }],
    }
    const whole = withField({
      type: 'array',
      items: { ...line, name: 'Line', fields: [{ name: 'cents', type: 'long' }] },
    })
    const writer = withField({ type: 'array', items: 'shop.Line' })
    const registered: RegisteredSchema = {
      kind: 'avro',
      id: 1,
      schema: JSON.stringify(writer),
      references: [JSON.stringify(line)],
    }
    const bytes = encoded(whole, { ...transaction, extra: [{ cents: 5 }] })
    const decoded = await decode(bytes, { 1: registered }, { reader: whole })
    if (isReject(decoded)) throw new Error(decoded.message)
    expect(decoded.fields['extra']).toEqual([{ cents: 5 }])
  })
})

describe('a timestamp of the writer in another unit than that of the reader', () => {
  const of = (logicalType: string): unknown => ({ type: 'long', logicalType })
  test.each([
    ['timestamp-micros', 'timestamp-millis'],
    ['timestamp-millis', 'timestamp-micros'],
    ['local-timestamp-millis', 'timestamp-millis'],
  ])('is not read as it: %s as %s', async (written, read) => {
    const [writer, reader] = [withField(of(written)), withField(['null', of(read)])]
    const decoded = await decode(encoded(writer, { ...transaction, extra: 1 }), { 1: writer }, { reader })
    expect(decoded).toMatchObject({
      reason: 'SCHEMA',
      message: expect.stringContaining(
        `field extra is ${written} there, and ${read} in the reader schema`,
      ) as string,
    })
  })
})
