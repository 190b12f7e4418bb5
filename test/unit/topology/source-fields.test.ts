import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { SourcePlan } from '../../../src/decode/plan.ts'
import { parseTopology } from '../../../src/topology/load.ts'
import { formatProblem, TopologyError } from '../../../src/topology/problem.ts'

let folder: string
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'millrace-fields-'))
})
afterAll(() => rmSync(folder, { recursive: true }))

interface Written {
  readonly id?: string
  readonly key?: string
  readonly time?: string
  readonly codec?: string
  readonly entity?: string
  readonly registry?: boolean
}

/** A topology of one source whose schema is `schema`. */
function written({
  id = 'id',
  key = 'who',
  time = 'ts',
  codec,
  entity = key,
  registry = false,
}: Written): string {
  return `version: 1
name: fields
kafka: {brokers: localhost:9092}
${registry ? 'registry: {url: "http://localhost:8081"}' : ''}
sources:
  s: {role: score, topic: in, codec: ${codec ?? '{json: s.json}'}, id: ${id}, key: ${key}, time: ${time}}
entities: {e: {key: ${entity}}}
features: {n: {over: e, aggregate: count, window: 1h}}
model: {path: m.onnx, inputs: {x: [n]}, score: y}
sinks: {predictions: {topic: out}, alerts: {topic: alerts}}
`
}

function load(parts: Written, schema: object | string): SourcePlan | string {
  const isAvro = parts.codec?.includes('avro') === true
  const text = typeof schema === 'string' ? schema : JSON.stringify(schema)
  writeFileSync(join(folder, isAvro ? 's.avsc' : 's.json'), text)
  try {
    return parseTopology(written(parts), join(folder, 't.yaml'), {}, { model: 'optional' }).sources[0]!
  } catch (error) {
    if (error instanceof TopologyError) return error.problems.map(formatProblem).join('\n')
    throw error
  }
}

const number = { type: 'integer' }
const text = { type: 'string' }
const schema = {
  $defs: {
    row: { type: 'object', properties: { id: text, who: text, at: number, flag: { type: 'boolean' } } },
  },
  properties: {
    id: text,
    who: text,
    ts: number,
    'user-id': text,
    '@timestamp': number,
    'a.b': text,
    iso: text,
    after: { anyOf: [{ type: 'null' }, { $ref: '#/$defs/row' }] },
    payload: {
      type: 'object',
      properties: { row: { $ref: '#/$defs/row' }, tags: { type: 'array', items: text } },
    },
    anything: { type: 'object' },
  },
}

describe('id, key, time and keys of entities', () => {
  test.each<[string, Written]>([
    ['nested', { id: 'after.id', key: 'after.who', time: 'after.at' }],
    ['nested twice', { id: 'payload.row.id', key: 'payload.row.who', time: '{field: payload.row.at}' }],
    ['with characters that expressions have not', { id: 'user-id', key: 'a.b', time: '"@timestamp"' }],
    [
      'inside what the schema does not describe',
      { id: 'anything.id', key: 'anything.x.y', time: 'anything.ts' },
    ],
  ])('may be %s', (_, parts) => {
    expect(load(parts, schema)).toMatchObject({ idField: parts.id, keyField: parts.key })
  })

  test.each<[string, Written, string]>([
    [
      'a mistyped field inside',
      { id: 'after.idd' },
      'the schema has no field after.idd. Did you mean after.id?',
    ],
    [
      'a mistyped way',
      { key: 'afer.who', entity: 'who' },
      'the schema has no field afer. Did you mean after?',
    ],
    ['a way that goes on', { id: 'who.id' }, 'who is of type text, so there is no who.id.'],
    ['a way into a list', { id: 'payload.tags.0' }, 'payload.tags is of type texts'],
    ['a condition inside', { id: 'after.flag' }, 'after.flag is of type boolean'],
    ['text as time inside', { time: 'after.who' }, 'after.who is text, and epoch milliseconds are expected'],
    ['a key of an entity', { entity: '[who, after.idd]' }, 'source s has no field after.idd, the key of e'],
  ])('%s is explained', (_, parts, problem) => {
    expect(load(parts, schema)).toContain(problem)
  })
})

describe('the unit of time', () => {
  test.each([
    ['ts', 'epochMs'],
    ['{field: ts}', 'epochMs'],
    ['{field: ts, unit: ms}', 'epochMs'],
    ['{field: ts, unit: s}', 'epochS'],
    ['{field: ts, unit: us}', 'epochUs'],
    ['{field: ts, unit: ns}', 'epochNs'],
    ['{field: ts, format: epochMs, unit: s}', 'epochS'],
    ['{field: iso, format: iso}', 'iso'],
  ])('%s is %s', (time, timeFormat) => {
    expect(load({ time }, schema)).toMatchObject({ timeFormat, limits: { implausibleTime: 'refuse' } })
  })

  test('may be what it seems not to be', () => {
    const plan = load({ time: '{field: ts, implausible: accept}' }, schema)
    expect(plan).toMatchObject({ limits: { implausibleTime: 'accept' } })
  })

  test.each([
    ['{field: ts, unit: minutes}', 'unit'],
    ['{field: iso, format: iso, unit: s}', 'ISO text has no unit'],
    ['{field: iso, unit: s}', 'iso is text, and a number is expected'],
  ])('%s is explained', (time, problem) => {
    expect(load({ time }, schema)).toContain(problem)
  })

  const avro = (type: unknown): object => ({
    type: 'record',
    name: 'E',
    fields: [
      { name: 'id', type: 'string' },
      { name: 'who', type: 'string' },
      { name: 'after', type: ['null', { type: 'record', name: 'Row', fields: [{ name: 'ts', type }] }] },
      { name: 'before', type: ['null', 'Row'] },
    ],
  })
  const loadAvro = (logicalType: string, time: string): SourcePlan | string =>
    load(
      { time, codec: '{avro: {subject: s, reader: s.avsc}}', registry: true },
      avro(['null', { type: 'long', logicalType }]),
    )

  test.each([
    ['timestamp-millis', 'after.ts', 'epochMs'],
    ['timestamp-micros', 'after.ts', 'epochUs'],
    ['timestamp-nanos', 'before.ts', 'epochNs'],
    ['timestamp-micros', '{field: after.ts, unit: us}', 'epochUs'],
    ['local-timestamp-micros', '{field: after.ts, unit: us}', 'epochUs'],
    ['of-a-team-of-its-own', '{field: after.ts, unit: s}', 'epochS'],
  ])('of Avro %s, written %s, is %s', (logicalType, time, timeFormat) => {
    expect(loadAvro(logicalType, time)).toMatchObject({ timeFormat })
  })

  test.each([
    ['timestamp-micros', '{field: after.ts, unit: ms}', 'Write unit: us, or leave it out'],
    [
      'local-timestamp-micros',
      'after.ts',
      'a time without a zone. If it is meant in UTC, write the unit: {field: after.ts, unit: us}',
    ],
    ['time-micros', 'after.ts', 'which is no point in time'],
    ['date', 'after.ts', 'which is no point in time'],
  ])('of Avro %s, written %s, is explained', (logicalType, time, problem) => {
    expect(loadAvro(logicalType, time)).toContain(problem)
  })
})

describe('a JSON codec', () => {
  test('may be framed by a registry', () => {
    const codec = '{json: {schema: s.json, framing: registry, giveUpIds: [3]}}'
    expect(load({ codec, registry: true }, schema)).toMatchObject({ codec: { framed: { giveUpIds: [3] } } })
    expect(load({ codec }, schema)).toContain('framing: registry needs a schema registry')
    expect(load({ codec: '{json: {schema: s.json}}' }, schema)).not.toHaveProperty('codec.framed')
  })

  test('may be a file that begins with a byte order mark', () => {
    expect(load({}, `\ufeff${JSON.stringify(schema)}`)).toMatchObject({ idField: 'id' })
  })

  test('keeps numbers of its schema beyond 2^53, and they are part of the state hash', () => {
    const of = (limit: string) => JSON.stringify(schema).replace('"id":{', `"id":{"maximum":${limit},`)
    const hash = (limit: string): string => {
      writeFileSync(join(folder, 's.json'), of(limit))
      return parseTopology(written({}), join(folder, 't.yaml'), {}, { model: 'optional' }).stateHash
    }
    expect(load({}, of('9007199254740993'))).toHaveProperty('codec.exactSchema')
    expect(load({}, of('9007199254740991'))).not.toHaveProperty('codec.exactSchema')
    expect(hash('9007199254740993')).not.toBe(hash('9007199254740992'))
  })

  test('whose schema holds a number that no double can hold is explained', () => {
    expect(load({}, JSON.stringify(schema).replace('"id":{', '"id":{"maximum":1e400,'))).toContain(
      'found 1e400',
    )
  })
})

test('a name that YAML wants in quotes is explained', () => {
  expect(load({ time: '@timestamp' }, schema)).toContain('quotes')
})
