import { expect, test } from 'vitest'
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
    'lists any',
    'place any',
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
    'h any',
    'i text',
    'j numbers',
  ])
  expect(fieldsOfAvroSchema({ type: 'string' })).toBeNull()
})
