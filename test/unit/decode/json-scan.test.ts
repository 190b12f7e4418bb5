import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { createDecoder } from '../../../src/decode/decoder.ts'
import { Fault } from '../../../src/decode/fault.ts'
import { compileJsonCodec } from '../../../src/decode/json-codec.ts'
import { compileJsonScan, type JsonScan } from '../../../src/decode/json-scan.ts'
import { holdsLarge } from '../../../src/decode/json-numbers.ts'
import { isReject, type Fields } from '../../../src/record/event.ts'
import { manualClock } from '../../../src/time/manual-clock.ts'
import { loadTopology } from '../../../src/topology/load.ts'
import { at, jsonCodec, rawRecord, sourcePlan } from './fixtures.ts'
import { scanCase } from './scan-cases.ts'

type Parse = ReturnType<typeof compileJsonCodec>

const parserOf = (schema: object): Parse =>
  compileJsonCodec({ kind: 'json', schema, schemaPath: 'schema.json' })

/** What the scanner says of the bytes where it says anything: as the whole parser, less what is not wanted. */
function checkAgreement(scan: JsonScan, parse: Parse, wanted: readonly string[], bytes: Buffer): boolean {
  const scanned = scan(bytes)
  if (scanned === null) return false
  const parsed = parse(bytes)
  if (parsed instanceof Fault)
    throw new Error(`taken, and refused by the parser: ${parsed.message}: ${bytes.toString()}`)
  expect(scanned).toStrictEqual(only(parsed, wanted))
  return true
}

function only(fields: Fields, wanted: readonly string[]): Fields {
  return Object.fromEntries(Object.entries(fields).filter(([name]) => wanted.includes(name)))
}

/** How many texts were valid and how many the scanner took; `scanOf`: the scanner under test. */
function compareAll(
  scanOf: typeof compileJsonScan,
  more: { readonly seed?: number } = {},
): { valid: number; taken: number } {
  const seen = { valid: 0, taken: 0 }
  const property = fc.property(scanCase, ({ schema, wanted, texts }) => {
    const scan = scanOf(schema, wanted)
    if (scan === null) return
    const parse = parserOf(schema)
    for (const { bytes } of texts) {
      seen.valid += parse(bytes) instanceof Fault ? 0 : 1
      if (checkAgreement(scan, parse, wanted, bytes)) seen.taken++
    }
  })
  fc.assert(property, { numRuns: 60, endOnFailure: true, ...more })
  return seen
}

describe('the scanner agrees with the parser or abstains', () => {
  test.each([
    ['^\\s$', '\u00a0'],
    ['^\\s$', ' '],
    ['(?i)^ab$', 'AB'],
    ['\\Aab\\z', 'ab'],
    ['^(a+)+$', `${'a'.repeat(20_000)}!`],
  ])('for the pattern %s, in time in proportion to the text', (pattern, text) => {
    const schema = { type: 'object', properties: { name: { type: 'string', pattern } } }
    const scan = compileJsonScan(schema, ['name'])!
    const bytes = Buffer.from(JSON.stringify({ name: text }))
    const isValid = !(parserOf(schema)(bytes) instanceof Fault)
    expect(checkAgreement(scan, parserOf(schema), ['name'], bytes)).toBe(isValid)
  })

  test('for any schema and any text, valid or not', { timeout: 120_000 }, () => {
    const { valid, taken } = compareAll(compileJsonScan)
    expect(taken).toBeGreaterThan(500)
    expect(taken / valid).toBeGreaterThan(0.6)
  })

  const wanted = ['id', 'ts']
  const scan = compileJsonScan({}, wanted)!
  const parse = parserOf({})

  test('for any bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 80 }), (bytes) => {
        checkAgreement(scan, parse, wanted, Buffer.from(bytes))
        checkAgreement(scan, parse, wanted, Buffer.concat([Buffer.from('{"id":"'), bytes, Buffer.from('"}')]))
      }),
      { numRuns: 2_000 },
    )
  })

  test('for any number, however it is written', () => {
    const digits = fc.stringMatching(/^[0-9]{1,25}$/)
    const number = fc
      .tuple(
        fc.constantFrom('', '-'),
        digits,
        fc.option(digits),
        fc.option(fc.integer({ min: -330, max: 330 })),
      )
      .map(([sign, whole, part, power]) =>
        [sign, whole, part === null ? '' : `.${part}`, power === null ? '' : `e${power}`].join(''),
      )
    fc.assert(
      fc.property(fc.oneof(number, fc.double().map(String), fc.integer().map(String)), (text) => {
        const bytes = Buffer.from(`{"ts":${text}}`)
        checkAgreement(scan, parse, wanted, bytes)
        if (!isJson(bytes)) return
        const isLarge = holdsLarge(JSON.parse(bytes.toString()))
        expect(scan(bytes) === null).toBe(isLarge)
      }),
      { numRuns: 3_000 },
    )
  })
})

function isJson(bytes: Buffer): boolean {
  try {
    JSON.parse(bytes.toString())
    return true
  } catch {
    return false
  }
}

test('an event or reject of a decoder with a scanner is that of one without', { timeout: 120_000 }, () => {
  const always = ['id', 'customer', 'ts']
  fc.assert(
    fc.property(scanCase, fc.boolean(), ({ schema, wanted, texts }, isOther) => {
      const plan = sourcePlan({ codec: jsonCodec(schema) })
      const fieldsRead = [...new Set([...always, ...wanted])]
      const parsing = createDecoder(plan, null, manualClock())
      const scanning = createDecoder({ ...plan, fieldsRead }, null, manualClock())
      for (const { bytes, customer } of texts) {
        const record = rawRecord(bytes, { key: Buffer.from(isOther ? 'other' : customer) })
        const [parsed, scanned] = [parsing.decode(record), scanning.decode(record)]
        if (isReject(parsed) || isReject(scanned)) expect(scanned).toStrictEqual(parsed)
        else {
          const without = { ...parsed, fields: only(parsed.fields, fieldsRead) }
          expect({ ...scanned, fields: only(scanned.fields, fieldsRead) }).toStrictEqual(without)
        }
      }
    }),
    { numRuns: 20 },
  )
})

const valid = { id: 'tx-1', customer: 'c1', terminal: 't1', amountCents: 1234, ts: at }

test('no valid event of the bench topology is left to the parser', async () => {
  const plan = await loadTopology('bench/topology.yaml', {}, { model: 'optional' })
  const { codec, fieldsRead } = plan.sources[0]!
  if (codec.kind !== 'json') throw new Error('not JSON')
  expect(fieldsRead?.toSorted()).toEqual(['amountCents', 'customer', 'id', 'ts'])
  const scan = compileJsonScan(codec.schema, fieldsRead!)!
  const text = fc.string({
    unit: fc.constantFrom('a', 'Z', '0', '9', '-', '.', ' ', 'ä', '漢', '🚲'),
    minLength: 1,
    maxLength: 200,
  })
  const event = fc.record({
    id: text,
    customer: text,
    terminal: text,
    amountCents: fc.integer({ min: 0, max: 100_000_000_000 }),
    ts: fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER }),
  })
  fc.assert(
    fc.property(event, fc.shuffledSubarray(Object.keys(valid), { minLength: 5 }), (made, order) => {
      const members = order.map((name) => [name, made[name as keyof typeof made]] as const)
      const { terminal, ...read } = made
      expect(terminal).not.toBe('')
      expect(scan(Buffer.from(JSON.stringify(Object.fromEntries(members))))).toEqual(read)
    }),
  )
})

test('the shipped schemas are understood', () => {
  for (const file of ['transaction', 'label']) {
    const schema = JSON.parse(readFileSync(`schemas/${file}.schema.json`, 'utf8')) as object
    expect(compileJsonScan(schema, ['id', 'ts'])).not.toBeNull()
  }
})

describe('the scanner abstains from', () => {
  const schema = { type: 'object', properties: { id: { type: 'string' }, ts: { type: 'integer' } } }
  const scan = compileJsonScan(schema, ['id', 'ts'])!

  test.each<[string, string | Buffer]>([
    ['a member that is written twice', '{"id":"a","id":"b"}'],
    ['a name with an escape', '{"\\u0069d":"a"}'],
    ['a text with an escape', '{"id":"a\\n"}'],
    ['a text with a control character', '{"id":"a\u0001"}'],
    ['a number beyond 2^53 − 1', '{"ts":9007199254740992}'],
    ['such a number where nobody looks', '{"x":{"y":[9007199254740992]}}'],
    ['a number that begins with 0', '{"ts":01}'],
    ['a number without digits behind its point', '{"ts":1.}'],
    ['a byte order mark', '\ufeff{"id":"a"}'],
    ['bytes of a schema registry', Buffer.from([0, 0, 0, 0, 7, ...Buffer.from('{"id":"a"}')])],
    ['text that is not UTF-8', Buffer.from([...Buffer.from('{"id":"'), 0xff, ...Buffer.from('"}')])],
    ['such text where nobody looks', Buffer.from([...Buffer.from('{"x":"'), 0xc0, ...Buffer.from('"}')])],
    ['something behind the object', '{"id":"a"}x'],
    ['half an object', '{"id":"a"'],
    ['half a text', '{"id":"a'],
    ['a comma too many', '{"id":"a",}'],
    ['nesting deeper than it follows', `{"x":${'['.repeat(40)}${']'.repeat(40)}}`],
    ['an array', '[]'],
    ['what the schema refuses', '{"ts":1.5}'],
    ['nothing', ''],
  ])('%s', (_, bytes) => {
    expect(scan(Buffer.from(bytes))).toBeNull()
  })
})

describe('no scanner is made for', () => {
  test.each<[string, object]>([
    ['a reference', { properties: { id: { $ref: '#/$defs/id' } }, $defs: { id: { type: 'string' } } }],
    ['a choice', { properties: { id: { anyOf: [{ type: 'string' }, { type: 'null' }] } } }],
    ['a keyword that it does not know', { properties: { id: { type: 'string', nullable: true } } }],
    ['a keyword of the whole event that it does not know', { minProperties: 1 }],
    ['a format that it does not know', { properties: { id: { format: 'card-number' } } }],
    ['an object among the allowed values', { properties: { id: { enum: [{ a: 1 }] } } }],
    ['a member that every object seems to have', { properties: { constructor: { type: 'string' } } }],
    ['a name that JSON can write only with escapes', { properties: { 'a"b': { type: 'string' } } }],
    ['a schema that takes no object', { type: 'array' }],
  ])('%s', (_, schema) => {
    expect(compileJsonScan(schema, ['id'])).toBeNull()
  })
})

function disagreement(scanOf: typeof compileJsonScan): string {
  try {
    compareAll(scanOf, { seed: 1 })
    return ''
  } catch (error) {
    return String((error as Error).cause ?? error)
  }
}

describe('the comparison notices a scanner that', () => {
  /** As if it did not know of the keyword. */
  const without = (keyword: string): typeof compileJsonScan => {
    const lax = (schema: object): object =>
      JSON.parse(JSON.stringify(schema), (name, value: unknown) =>
        name === keyword ? undefined : value,
      ) as object
    return (schema, wanted) => compileJsonScan(lax(schema), wanted)
  }
  test.each([
    ['takes too much: minimum is forgotten', without('minimum')],
    ['takes too much: maxLength is forgotten', without('maxLength')],
    ['takes too much: required is forgotten', without('required')],
    ['takes too much: members may be written twice', firstOfTwo],
    ['leaves out a member', leaveOut],
    ['takes one member for another', swapTwo],
  ])('%s', { timeout: 120_000 }, (_, scanOf) => {
    expect(disagreement(scanOf)).toMatch(/refused by the parser|to strictly equal/)
  })
})

const firstOfTwo: typeof compileJsonScan = (schema, wanted) => {
  const scan = compileJsonScan(schema, wanted)
  return scan && ((bytes) => scan(bytes) ?? scan(Buffer.from(bytes.toString().replace('"id":"again",', ''))))
}

const leaveOut: typeof compileJsonScan = (schema, wanted) => compileJsonScan(schema, wanted.slice(1))

const swapTwo: typeof compileJsonScan = (schema, wanted) => {
  const scan = compileJsonScan(schema, wanted)
  return (
    scan &&
    ((bytes) => {
      const fields = scan(bytes)
      const { id, note } = fields ?? {}
      return fields === null || id === undefined || note === undefined
        ? fields
        : { ...fields, id: note, note: id }
    })
  )
}
