/** Schemas, values that nearly fit them, and changes of their text: for the scanner and the parser to agree on. */
import fc from 'fast-check'

type Schema = Readonly<Record<string, unknown>>

/** Its own text, not a value. */
class Written {
  readonly text: string
  constructor(text: string) {
    this.text = text
  }
}

const text = fc.oneof(
  fc.string({ maxLength: 6 }),
  fc.string({ unit: 'grapheme', maxLength: 5 }),
  fc.constantFrom(
    'a',
    'b',
    'EUR',
    '2026-01-31T00:00:00Z',
    'a@b.de',
    '漢字',
    '🚲🚲',
    '__proto__',
    'constructor',
  ),
)
const number = fc.oneof(
  fc.integer({ min: -20, max: 20 }),
  fc.integer(),
  fc.maxSafeInteger(),
  fc.double({ noNaN: true, noDefaultInfinity: true }),
  fc.constantFrom(0, 0.5, 19.99, 19.995, 1e-7, 2 ** 53 - 1, 2 ** 53, 2 ** 53 + 2, -(2 ** 53)),
  fc
    .constantFrom(
      '-0',
      '1.0',
      '100e-2',
      '1E2',
      '0.10',
      '1e400',
      '1e-400',
      '9007199254740993',
      '123456789012345678',
    )
    .map((text) => new Written(text)),
)
const scalar = fc.oneof(text, number, fc.boolean(), fc.constant(null))
const anything = fc.oneof(
  { weight: 4, arbitrary: scalar },
  { weight: 1, arbitrary: fc.jsonValue({ maxDepth: 2 }) },
)

const bounds = fc.record(
  {
    minimum: fc.constantFrom(-5, 0, 0.5),
    maximum: fc.constantFrom(5, 100, 2 ** 53 - 1),
    exclusiveMinimum: fc.constantFrom(-1, 0),
    exclusiveMaximum: fc.constantFrom(10, 20.5),
    multipleOf: fc.constantFrom(0.01, 5, 2.5, 1),
    format: fc.constant('int64'),
  },
  { requiredKeys: [] },
)
const lengths = fc.record(
  {
    minLength: fc.constantFrom(0, 1, 3),
    maxLength: fc.constantFrom(1, 2, 4, 40),
    // RE2's: to JavaScript a no-break space is \s, (?i) alone is an error, and the last takes for ever.
    pattern: fc.constantFrom('^[a-z]*$', '^.{1,2}$', 'E', '\\s', '(?i)e', '^(a+)+$'),
    format: fc.constantFrom('date-time', 'email', 'date', 'uuid'),
  },
  { requiredKeys: ['maxLength'] },
)
const remarks = fc.record(
  { description: fc.constant('words'), default: scalar.map(plain), examples: fc.constant([1]) },
  { requiredKeys: [] },
)
const allowed = fc.array(scalar.map(plain), { minLength: 1, maxLength: 4 }).filter(isDistinct)
const numeric = fc.constantFrom(
  'integer',
  'number',
  ['number', 'null'],
  ['integer', 'string'],
  ['integer', 'number'],
)
const leaf: fc.Arbitrary<Schema> = fc.oneof(
  ...[
    fc.tuple(fc.record({ type: numeric }), bounds).map(merged),
    fc.tuple(fc.record({ type: fc.constantFrom('string', ['string', 'null']) }), lengths).map(merged),
    fc.tuple(bounds, remarks).map(merged),
    fc.record({ type: fc.constantFrom('boolean', 'null', ['boolean', 'null'], 'object', 'array') }),
    fc.record({ enum: allowed }),
    fc.record({ const: scalar.map(plain) }),
    fc.constant({}),
  ].map((arbitrary) => ({ weight: 6, arbitrary })),
  // Not understood.
  {
    weight: 1,
    arbitrary: fc.constantFrom<Schema>(
      { anyOf: [{ type: 'string' }, { type: 'null' }] },
      { not: { type: 'string' } },
      { type: 'string', nullable: true },
      { type: 'array', uniqueItems: true },
      { type: 'object', minProperties: 1 },
      { propertyNames: { maxLength: 2 } },
    ),
  },
)
const inner = ['x', 'y', 'id']
const nested: fc.Arbitrary<Schema> = fc.oneof(
  { weight: 6, arbitrary: leaf },
  {
    weight: 1,
    arbitrary: fc.record(
      {
        type: fc.constant('object'),
        properties: fc.dictionary(fc.constantFrom(...inner), leaf),
        required: fc.subarray(inner),
        additionalProperties: fc.oneof(fc.boolean(), leaf),
      },
      { requiredKeys: [] },
    ),
  },
  {
    weight: 1,
    arbitrary: fc.record(
      { type: fc.constant('array'), items: leaf, minItems: fc.nat(2), maxItems: fc.nat(3) },
      { requiredKeys: ['type'] },
    ),
  },
)

const members = ['id', 'customer', 'amount', 'ts', 'note', 'place', 'tags', 'größe']
const schema: fc.Arbitrary<Schema> = fc.record(
  {
    type: fc.constantFrom('object', ['object', 'null']),
    properties: fc.dictionary(fc.constantFrom(...members), nested, { noNullPrototype: true }),
    required: fc.subarray(members, { maxLength: 1 }),
    additionalProperties: fc.oneof(
      { weight: 9, arbitrary: fc.constant(true) },
      { weight: 1, arbitrary: fc.oneof(fc.constant(false), leaf) },
    ),
  },
  { requiredKeys: ['properties'] },
)

type Change = (text: string) => Buffer

const snippets = [
  '"',
  '\\',
  '\\n',
  '\\u0061',
  ' ',
  '\n',
  ',',
  ':',
  '{',
  '}',
  '[',
  ']',
  '0',
  '-',
  '.',
  'e5',
  '1e999',
]
const more = [
  '"id":"again",',
  '"ts":1,',
  '"\\u0069d":2,',
  '"x":{"y":[1]},',
  '\u0000',
  '\u007f',
  'ä',
  '\ufeff',
  'null',
  'true',
]

/** Changes of the text of a value: structure first, then bytes. */
const change: fc.Arbitrary<Change> = fc.oneof(
  { weight: 8, arbitrary: fc.constant<Change>((text) => Buffer.from(text)) },
  fc.constant<Change>((text) => Buffer.from(text.replaceAll(/[{}:,[\]]/g, ' $& '))),
  fc.tuple(fc.nat(), fc.constantFrom(...snippets, ...more)).map(([place, snippet]): Change => (text) => {
    const at = place % (text.length + 1)
    return Buffer.from(text.slice(0, at) + snippet + text.slice(at))
  }),
  fc.constantFrom(...more).map(
    (snippet): Change =>
      (text) =>
        Buffer.from(`{${snippet}${text.slice(1)}`),
  ),
  fc.tuple(fc.nat(), fc.nat(255)).map(([place, byte]): Change => (text) => {
    const bytes = Buffer.from(text)
    if (bytes.length > 0) bytes[place % bytes.length] = byte
    return bytes
  }),
  fc.tuple(fc.nat(), fc.integer({ min: 1, max: 3 })).map(([place, cut]): Change => (text) => {
    const bytes = Buffer.from(text)
    const at = place % (bytes.length + 1)
    return Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + cut)])
  }),
  fc.nat().map(
    (place): Change =>
      (text) =>
        Buffer.from(text).subarray(0, place % (text.length + 1)),
  ),
)

/** A schema, and texts of values that fit it more often than not, some of them changed. */
export interface ScanCase {
  readonly schema: Schema
  readonly wanted: readonly string[]
  readonly texts: readonly { readonly bytes: Buffer; readonly customer: string }[]
}

/** Compiling a schema costs more than reading hundreds of events. */
const textsPerSchema = 100

export const scanCase: fc.Arbitrary<ScanCase> = schema.chain((made) => {
  const value = fc.oneof({ weight: 30, arbitrary: objectFor(made) }, { weight: 1, arbitrary: anything })
  const changed = fc.tuple(value, change).map(([one, change]) => ({
    bytes: change(jsonText(one)),
    customer: keyOf((one as Schema | null)?.['customer']),
  }))
  return fc.record({
    schema: fc.constant(made),
    wanted: fc.subarray(members),
    texts: fc.array(changed, { minLength: textsPerSchema, maxLength: textsPerSchema }),
  })
})

function objectFor(made: Schema): fc.Arbitrary<unknown> {
  const properties = Object.entries((made['properties'] ?? {}) as Readonly<Record<string, Schema>>)
  const required = (made['required'] ?? []) as readonly string[]
  const listed = Object.fromEntries([
    ...required.map((name) => [name, anything] as const),
    ...properties.map(([name, one]) => [name, valueFor(one)] as const),
  ])
  const others = fc.dictionary(
    fc.oneof(fc.constantFrom(...members, ...inner, 'other', '__proto__'), text),
    anything,
    {
      maxKeys: 2,
      noNullPrototype: true,
    },
  )
  return fc
    .tuple(
      fc.record(listed, { requiredKeys: [...required], noNullPrototype: true }),
      fc.oneof({ weight: 2, arbitrary: fc.constant({}) }, { weight: 1, arbitrary: others }),
    )
    .map(([own, more]) => ({ ...more, ...own }))
}

function valueFor(made: Schema): fc.Arbitrary<unknown> {
  const type = [made['type']].flat()[0]
  const fitting: fc.Arbitrary<unknown> =
    'enum' in made
      ? fc.constantFrom(...(made['enum'] as unknown[]))
      : 'const' in made
        ? fc.constant(made['const'])
        : type === 'integer'
          ? fc.integer({ min: -10, max: 30 })
          : type === 'number'
            ? number
            : type === 'string'
              ? text
              : type === 'boolean'
                ? fc.boolean()
                : type === 'object'
                  ? objectFor(made)
                  : type === 'array'
                    ? fc.array(valueFor((made['items'] ?? {}) as Schema), { maxLength: 3 })
                    : anything
  return fc.oneof({ weight: 19, arbitrary: fitting }, { weight: 1, arbitrary: anything })
}

/** As JSON, with numbers as they are written. */
function jsonText(value: unknown): string {
  if (value instanceof Written) return value.text
  if (Array.isArray(value)) return `[${value.map(jsonText).join(',')}]`
  if (typeof value !== 'object' || value === null) return JSON.stringify(value)
  return `{${Object.entries(value)
    .map(([name, one]) => `${JSON.stringify(name)}:${jsonText(one)}`)
    .join(',')}}`
}

function keyOf(value: unknown): string {
  return typeof value === 'string' || typeof value === 'number' ? String(value).toWellFormed() : 'none'
}

function plain(value: unknown): unknown {
  return value instanceof Written ? Number(value.text.replace('1e400', '7')) : value
}

function isDistinct(values: readonly unknown[]): boolean {
  return new Set(values.map((value) => JSON.stringify(value))).size === values.length
}

function merged(parts: readonly Schema[]): Schema {
  return Object.assign({}, ...parts) as Schema
}
