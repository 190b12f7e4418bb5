import { expect, test } from 'vitest'
import type { FieldType, FieldTypes } from '../../../src/topology/event-types.ts'
import { fieldsOfAvroSchema, fieldsOfJsonSchema } from '../../../src/topology/event-types.ts'

test('types of a JSON Schema become those of expressions', () => {
  const schema = {
    $defs: { money: { type: 'integer' }, 'a/b': { $ref: '#/$defs/money' } },
    properties: {
      cents: { type: 'integer' },
      share: { type: 'number' },
      maybe: { type: ['integer', 'null'] },
      mixed: { type: ['integer', 'number'] },
      either: { type: ['string', 'number'] },
      ok: { type: 'boolean' },
      name: { type: 'string' },
      kind: { enum: ['a', 'b', null] },
      one: { const: 1 },
      half: { enum: [1, 1.5] },
      tags: { type: 'array', items: { type: 'string' } },
      sums: { type: 'array', items: { type: 'number' } },
      lists: { type: 'array' },
      place: { type: 'object', properties: { x: { type: 'number' } } },
      money: { $ref: '#/$defs/a~1b' },
      circle: { $ref: '#/properties/circle' },
      anything: true,
    },
  }
  const types = [...fieldsOfJsonSchema(schema)!].map(
    ([name, { type, integer }]) => `${name} ${type}${integer ? ' whole' : ''}`,
  )
  expect(types).toEqual([
    'cents number whole',
    'share number',
    'maybe number whole',
    'mixed number',
    'either any',
    'ok boolean',
    'name text',
    'kind text',
    'one number whole',
    'half number',
    'tags texts',
    'sums numbers',
    'lists list',
    'place object',
    'money number whole',
    'circle any',
    'anything any',
  ])
})

test('a schema without properties names no fields', () => {
  expect(fieldsOfJsonSchema({ type: 'object' })).toBeNull()
})

test('types of an Avro record become those of expressions', () => {
  const fields = [
    ['a', 'int'],
    ['b', { type: 'long', logicalType: 'timestamp-millis' }],
    ['c', ['null', 'double']],
    ['d', ['string', 'int']],
    ['e', { type: 'enum', name: 'E', symbols: ['x'] }],
    ['f', { type: 'array', items: 'string' }],
    ['g', 'boolean'],
    ['h', 'bytes'],
    ['i', { type: { type: 'string' } }],
    ['j', { type: 'array', items: 'long' }],
  ].map(([name, type]) => ({ name, type }))
  const types = [...fieldsOfAvroSchema({ type: 'record', name: 'R', fields })!].map(
    ([name, { type, integer }]) => `${name} ${type}${integer ? ' whole' : ''}`,
  )
  expect(types).toEqual([
    'a number whole',
    'b number whole',
    'c number',
    'd any',
    'e text',
    'f texts',
    'g boolean',
    'h text', // base64
    'i text',
    'j numbers',
  ])
  expect(fieldsOfAvroSchema({ type: 'string' })).toBeNull()
})

/** `payload.inner.cents`, `items[].price` → its type. */
function typeAt(fields: FieldTypes | null, path: string): string | undefined {
  const [first, ...rest] = path.split('.')
  const found = rest.reduce<FieldType | undefined>(
    (at, step) => (step === '[]' ? at?.items : at?.members?.get(step)),
    fields?.get(first!),
  )
  return found === undefined ? undefined : `${found.type}${found.integer ? ' whole' : ''}`
}

test('what is inside objects and lists of a JSON Schema is typed, whatever stands around it', () => {
  const money = { type: 'object', properties: { cents: { type: 'integer' } } }
  const fields = fieldsOfJsonSchema({
    $defs: {
      money,
      node: { type: 'object', properties: { next: { $ref: '#/$defs/node' }, x: { type: 'number' } } },
    },
    properties: {
      payload: { type: ['object', 'null'], properties: { cents: { type: 'integer' }, inner: money } },
      maybe: { anyOf: [{ $ref: '#/$defs/money' }, { type: 'null' }] },
      mcc: { oneOf: [{ type: 'integer' }, { type: 'null' }] },
      nothing: { anyOf: [{ const: null }, { enum: ['a'] }] },
      either: { anyOf: [{ type: 'integer' }, { type: 'string' }] },
      kinds: {
        oneOf: [
          money,
          { type: 'object', properties: { cents: { type: 'number' }, unit: { type: 'string' } } },
        ],
      },
      beside: { $ref: '#/$defs/money', description: 'x' },
      all: { allOf: [{ $ref: '#/$defs/money' }, { properties: { unit: { type: 'string' } } }] },
      items: { type: 'array', items: money },
      untyped: { properties: { a: { type: 'boolean' } } },
      table: { type: 'object', additionalProperties: { type: 'number' } },
      list: { $ref: '#/$defs/node' },
    },
  })
  const paths = [
    'payload.cents',
    'payload.inner.cents',
    'maybe.cents',
    'mcc',
    'nothing',
    'either',
    'kinds.cents',
  ]
  expect(paths.map((path) => typeAt(fields, path))).toEqual([
    'number whole',
    'number whole',
    'number whole',
    'number whole',
    'text',
    'any',
    'number',
  ])
  const more = [
    'kinds.unit',
    'beside.cents',
    'all.cents',
    'all.unit',
    'items.[].cents',
    'untyped.a',
    'table',
    'list.next.next.x',
  ]
  expect(more.map((path) => typeAt(fields, path))).toEqual([
    'text',
    'number whole',
    'number whole',
    'text',
    'number whole',
    'boolean',
    'any',
    'number',
  ])
})

test('what is inside records of an Avro schema is typed, named ones again', () => {
  const place = { type: 'record', name: 'Place', namespace: 'x', fields: [{ name: 'lat', type: 'double' }] }
  const fields = fieldsOfAvroSchema({
    type: 'record',
    name: 'R',
    fields: [
      { name: 'from', type: ['null', place] },
      { name: 'to', type: 'Place' },
      { name: 'via', type: { type: 'array', items: 'x.Place' } },
      {
        name: 'one',
        type: [
          { type: 'record', name: 'A', fields: [] },
          { type: 'record', name: 'B', fields: [] },
        ],
      },
      { name: 'map', type: { type: 'map', values: 'long' } },
    ],
  })
  expect(['from.lat', 'to.lat', 'via.[].lat', 'one', 'map'].map((path) => typeAt(fields, path))).toEqual([
    'number',
    'number',
    'number',
    'any',
    'any',
  ])
})
