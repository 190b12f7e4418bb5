import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { multipleOf, wholeOf } from '../../../src/decode/decimal.ts'
import { createDecoder, type Decoder } from '../../../src/decode/decoder.ts'
import { isReject, type Event, type Reject } from '../../../src/record/event.ts'
import { manualClock } from '../../../src/time/manual-clock.ts'
import { at, jsonCodec, rawRecord, sourcePlan } from './fixtures.ts'

const head = `"id":"a","customer":"c00001","ts":${at}`

function decoderOf(property: object): Decoder {
  const schema = { type: 'object', properties: { x: property } }
  return createDecoder(sourcePlan({ codec: jsonCodec(schema) }), null, manualClock())
}

function decode(x: string, property: object | Decoder = {}): Event | Reject {
  const decoder = 'decode' in property ? property : decoderOf(property)
  return decoder.decode(rawRecord(`{${head},"x":${x}}`))
}

function field(x: string): unknown {
  const decoded = decode(x)
  if (isReject(decoded)) throw new Error(decoded.message)
  return decoded.fields['x']
}

describe('a whole number beyond ±(2^53 − 1)', () => {
  test.each<[string, unknown]>([
    ['9007199254740991', 9_007_199_254_740_991],
    ['-9007199254740991', -9_007_199_254_740_991],
    ['9007199254740992', 9_007_199_254_740_992n],
    ['9007199254740993', 9_007_199_254_740_993n],
    ['-9007199254740993', -9_007_199_254_740_993n],
    ['18446744073709551615', 18_446_744_073_709_551_615n],
    ['9007199254740993.0', 9_007_199_254_740_993n],
    ['9.007199254740993e15', 9_007_199_254_740_993n],
    ['90071992547409930e-1', 9_007_199_254_740_993n],
    ['1E+22', 10n ** 22n],
    ['1e300', 10n ** 300n],
    ['1e15', 1e15],
    ['-0', -0],
    ['0.1', 0.1],
  ])('is exact: %s', (written, expected) => {
    expect(field(written)).toBe(expected)
  })

  test('is exact inside objects and arrays, and its neighbours are untouched', () => {
    expect(field('{"a":[1,{"b":9007199254740993}],"c":"9007199254740993","d":1.5}')).toEqual({
      a: [1, { b: 9_007_199_254_740_993n }],
      c: '9007199254740993',
      d: 1.5,
    })
  })

  test('that has a fraction stays a number', () => {
    expect(field('9007199254740993.5')).toBe(9_007_199_254_740_994)
  })

  test('may be an id and a key, to the last digit', () => {
    const decoder = createDecoder(sourcePlan({ codec: jsonCodec({}) }), null, manualClock())
    const value = `{"id":9007199254740993,"customer":-18446744073709551617,"ts":${at}}`
    const record = rawRecord(value, { key: Buffer.from('-18446744073709551617') })
    expect(decoder.decode(record)).toMatchObject({ id: '9007199254740993', key: '-18446744073709551617' })
    const neighbour = rawRecord(value, { key: Buffer.from('-18446744073709551616') })
    expect(decoder.decode(neighbour)).toMatchObject({ reason: 'VALIDATION' })
  })

  test('keeps a member called __proto__ what it is', () => {
    const found = field('{"__proto__":9007199254740993}') as object
    expect(Object.getOwnPropertyDescriptor(found, '__proto__')?.value).toBe(9_007_199_254_740_993n)
    expect(Object.getPrototypeOf(found)).toBe(Object.prototype)
  })

  test('in a value that is nested without end gives a dead letter', () => {
    const deep = '['.repeat(200_000) + '9007199254740993' + ']'.repeat(200_000)
    expect(decode(deep)).toMatchObject({
      reason: 'SCHEMA',
      message: expect.stringContaining('deep') as string,
    })
  })

  // Without escapes: JSON.parse of Node 24 takes a name such as "\n" for "\\" where it has seen that one in its place.
  const memberName = fc.string().filter((name) => JSON.stringify(name) === `"${name}"`)
  const json = fc.letrec((tie) => ({
    number: fc
      .tuple(
        fc.boolean(),
        fc.bigInt({ min: 0n, max: 10n ** 25n }),
        fc.constantFrom('', '.0', '.00', 'e0', 'e3', 'E-1', '.5'),
      )
      .map(([negative, digits, tail]) => `${negative ? '-' : ''}${digits}${tail}`),
    value: fc.oneof(
      { depthSize: 'small' },
      tie('number'),
      fc.string().map((text) => JSON.stringify(text)),
      fc.array(tie('value'), { maxLength: 4 }).map((items) => `[${items.join(', ')}]`),
      fc
        .uniqueArray(fc.tuple(memberName, tie('value')), { maxLength: 4, selector: ([name]) => name })
        .map(
          (members) =>
            `{${members.map(([name, inner]) => `${JSON.stringify(name)}:${inner as string}`).join(',')}}`,
        ),
    ),
  })) as { value: fc.Arbitrary<string> }

  test('is exact wherever it stands in any JSON, as an independent reading of the digits says', () => {
    const decoder = decoderOf({})
    fc.assert(
      fc.property(json.value, (text) => {
        const decoded = decode(text, decoder)
        if (isReject(decoded)) throw new Error(decoded.message)
        expect(written(decoded.fields['x'])).toEqual(written(readByHand(text)))
      }),
    )
  })
})

/** bigints told from numbers, −0 from 0, in a form that toEqual compares. */
function written(value: unknown): unknown {
  if (typeof value === 'bigint') return `bigint ${value}`
  if (typeof value === 'number') return `number ${Object.is(value, -0) ? '-0' : value}`
  if (Array.isArray(value)) return value.map(written)
  if (typeof value !== 'object' || value === null) return value
  return Object.entries(value)
    .map(([name, inner]) => [name, written(inner)])
    .toSorted(([a], [b]) => (String(a) < String(b) ? -1 : 1))
}

/** The oracle: a reader of JSON of its own, whose numbers are fractions of bigints. */
function readByHand(text: string): unknown {
  let i = 0
  const space = (): void => {
    while (text[i] === ' ') i++
  }
  const value = (): unknown => {
    space()
    if (text[i] === '"') {
      const from = i++
      while (text[i] !== '"') i += text[i] === '\\' ? 2 : 1
      return JSON.parse(text.slice(from, ++i)) as string
    }
    if (text[i] === '[') return list(']', value)
    if (text[i] === '{') {
      const members = list('}', () => {
        const name = value() as string
        i++ // the colon
        return [name, value()] as const
      })
      return Object.fromEntries(members)
    }
    const token = /^[-+.\deE]+/.exec(text.slice(i))![0]
    i += token.length
    return numberByHand(token)
  }
  const list = <T>(end: string, item: () => T): T[] => {
    const items: T[] = []
    i++
    for (space(); text[i] !== end; space()) {
      if (text[i] === ',') i++
      else items.push(item())
    }
    i++
    return items
  }
  return value()
}

/** digits / 10^places. */
function fractionOf(token: string): [bigint, bigint] {
  const [, sign = '', whole = '', fraction = '', exponent = '0'] =
    /^(-?)(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?$/.exec(token)!
  const digits = BigInt(sign + whole + fraction)
  const shift = BigInt(exponent) - BigInt(fraction.length)
  return shift >= 0n ? [digits * 10n ** shift, 1n] : [digits, 10n ** -shift]
}

function numberByHand(token: string): number | bigint {
  const [above, below] = fractionOf(token)
  const isWhole = above % below === 0n
  const value = above / below
  return isWhole && (value > 9_007_199_254_740_991n || value < -9_007_199_254_740_991n)
    ? value
    : Number(token)
}

describe('a number that no double can hold', () => {
  test.each(['1e400', '-1e400', '9'.repeat(400)])('is refused and named: %s', (token) => {
    const decoded = decode(`{"a/b":[0,${token}]}`)
    expect(decoded).toMatchObject({
      reason: 'DECODE',
      message: expect.stringContaining('at /x/a~1b/1: ') as string,
    })
    expect((decoded as Reject).message).toContain(token.slice(0, 40))
  })

  test('is refused also where the schema asks for a number', () => {
    expect(decode('1e400', { type: 'number' })).toMatchObject({ reason: 'DECODE' })
  })
})

const big = '9007199254740993'

/** JSON Schema as it stands in a file: numbers in it count to the last digit too. */
function decodeBySchema(x: string, written: string): Event | Reject {
  const schema = JSON.parse(`{"properties":{"x":${written}}}`) as object
  const exactSchema = readByHand(`{"properties":{"x":${written}}}`) as object
  const codec = { kind: 'json' as const, schema, exactSchema, schemaPath: 's.json' }
  return decode(x, createDecoder(sourcePlan({ codec }), null, manualClock()))
}

describe('keywords of the schema judge such a number by its digits', () => {
  test.each<[string, string, boolean]>([
    [`{"maximum":9007199254740992}`, big, false],
    [`{"maximum":${big}}`, big, true],
    [`{"exclusiveMaximum":${big}}`, big, false],
    [`{"exclusiveMaximum":9007199254740994}`, big, true],
    [`{"minimum":9007199254740994}`, big, false],
    [`{"minimum":${big}}`, big, true],
    [`{"exclusiveMinimum":9007199254740992}`, big, true],
    [`{"exclusiveMinimum":${big}}`, big, false],
    [`{"maximum":100}`, big, false],
    [`{"minimum":1}`, big, true],
    [`{"const":${big}}`, big, true],
    [`{"const":9007199254740992}`, big, false],
    [`{"enum":[1,${big}]}`, big, true],
    [`{"enum":[1,9007199254740992]}`, big, false],
    [`{"const":{"a":[${big}],"b":1}}`, `{"b":1.0,"a":[${big}]}`, true],
    [`{"const":{"a":[${big}]}}`, `{"a":[9007199254740992]}`, false],
    [`{"multipleOf":3}`, big, true],
    [`{"multipleOf":2}`, big, false],
    [`{"multipleOf":0.01}`, big, true],
    [`{"multipleOf":${big}}`, '18014398509481986', true],
    [`{"multipleOf":${big}}`, '18014398509481984', false],
    [`{"type":"integer"}`, big, true],
    [`{"type":"integer"}`, `${big}.0`, true],
    [`{"type":"integer"}`, `${big}.5`, false],
    [`{"type":"number"}`, `${big}.5`, true],
    [`{"type":"string"}`, big, false],
    [`{"format":"int32"}`, big, false],
    [`{"format":"int64"}`, '9223372036854775807', true],
    [`{"format":"int64"}`, '9223372036854775808', false],
    [`{"maximum":9223372036854775807}`, '9223372036854775807', true],
    [`{"maximum":9223372036854775807}`, '9223372036854775808', false],
    [`{"maxLength":9223372036854775807}`, big, true],
    [`{"items":{"maximum":9007199254740992}}`, `[1,${big}]`, false],
    [`{"properties":{"maximum":{"maximum":9007199254740992}}}`, `{"maximum":${big}}`, false],
    [`{"anyOf":[{"const":1},{"const":${big}}]}`, big, true],
  ])('%s: %s is accepted: %s', (schema, x, accepted) => {
    expect(isReject(decodeBySchema(x, schema))).toBe(!accepted)
  })

  test('uniqueItems tells neighbours apart', () => {
    expect(isReject(decode(`[${big},9007199254740992]`, { uniqueItems: true }))).toBe(false)
    expect(isReject(decode(`[${big},1,${big}]`, { uniqueItems: true }))).toBe(true)
  })

  test('and the reason shows the digits', () => {
    expect(decodeBySchema(big, '{"maximum":9007199254740992}')).toMatchObject({
      reason: 'SCHEMA',
      message: `at /x: expected to be <= 9007199254740992, found ${big}`,
    })
    expect(decodeBySchema(big, '{"enum":[9007199254740992]}')).toMatchObject({
      message: `at /x: expected one of 9007199254740992, found ${big}`,
    })
  })
})

describe('multipleOf counts in decimal digits', () => {
  test.each<[number, string, boolean]>([
    [0.01, '19.99', true],
    [0.01, '8.69', true],
    [0.01, '0.07', true],
    [0.01, '-0.07', true],
    [0.01, '19.995', false],
    [0.01, '1e15', true],
    [0.1, '0.3', true],
    [0.1, '1.1', true],
    [0.001, '4.35', true],
    [0.001, '1.0005', false],
    [1e-7, '0.0000003', true],
    [1e-7, '3e-7', true],
    [1e-7, '3.5e-7', false],
    [1e-7, '123456.1234567', true],
    [2.5, '7.5', true],
    [2.5, '6', false],
    [3, '9', true],
    [3, '-10', false],
    [0.01, '0', true],
    [1e21, '3e21', true],
    [1e21, '1e20', false],
    [0.3, '0.9', true],
    [1e-20, '1e-19', true],
    [1e-20, '1e-21', false],
  ])('%f: %s is accepted: %s', (divisor, x, accepted) => {
    expect(isReject(decode(x, { multipleOf: divisor }))).toBe(!accepted)
  })

  test('as exact arithmetic on the digits says, for any number of up to 15 digits', () => {
    const decimal = (max: number) =>
      fc
        .tuple(fc.integer({ min: -max, max }), fc.integer({ min: 0, max: 9 }))
        .map(([digits, places]) => `${digits}e-${places}`)
    const divisor = decimal(99_999).filter((token) => Number(token) > 0)
    fc.assert(
      fc.property(
        decimal(2 ** 31),
        divisor,
        fc.integer({ min: -99_999, max: 99_999 }),
        (any, unit, times) => {
          const test = multipleOf(Number(unit))
          const isMultiple = (token: string): boolean => {
            const [a, b] = fractionOf(token)
            const [c, d] = fractionOf(unit)
            return (a * d) % (b * c) === 0n
          }
          expect(test(Number(any))).toBe(isMultiple(any))
          const [above, below] = fractionOf(unit)
          const product = `${above * BigInt(times)}e-${String(below).length - 1}`
          expect(test(Number(product))).toBe(true)
        },
      ),
    )
  })
})

test('whole numbers of many zeros are read in a time that grows with their length only', () => {
  const zeros = '0'.repeat(1_000_000)
  expect(wholeOf(`${zeros}1${zeros}e-1000000`)).toBe(1n)
  expect(wholeOf(`1.${zeros}1`)).toBeNull()
})
