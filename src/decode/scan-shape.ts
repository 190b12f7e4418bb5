import ajvFormats from 'ajv-formats'
import { linearPattern } from '../expression/linear-pattern.ts'
import { multipleOf } from './decimal.ts'

/**
 * What a JSON Schema says of a value, in the form that the scanner checks while it reads: only keywords that are understood
 * to the last case get here.
 */
export interface ValueShape {
  /** Kinds of values that are allowed, as bits (`kinds`). */
  readonly kinds: number
  /** Numbers are whole. */
  readonly whole: boolean
  readonly min: number
  readonly max: number
  readonly above: number
  readonly below: number
  readonly isMultiple: ((value: number) => boolean) | null
  /** In Unicode code points. */
  readonly lengthMin: number
  readonly lengthMax: number
  /** Pattern and format of a text; all must hold. */
  readonly textTests: readonly ((text: string) => boolean)[]
  /** `enum` and `const`: null where any text or number is allowed. */
  readonly texts: readonly Uint8Array[] | null
  readonly numbers: readonly number[] | null
  readonly itemsMin: number
  readonly itemsMax: number
  /** Null: anything. */
  readonly items: ValueShape | null
  readonly object: ObjectShape | null
}

export interface ObjectShape {
  /** Names with the quote that ends them, as they stand in the bytes; shapes and `needed` have the same order. */
  readonly names: readonly Uint8Array[]
  readonly shapes: readonly ValueShape[]
  readonly needed: readonly boolean[]
  /** Of members that are not listed; null: there must be none. */
  readonly others: ValueShape | null
}

export const kinds = { text: 1, number: 2, true: 4, false: 8, null: 16, object: 32, array: 64 } as const

type Written = Readonly<Record<string, unknown>>

/** A keyword, or a use of it, that the scanner does not understand. */
class NotUnderstood extends Error {}

/** Null: some part of the schema is not understood. `wanted`: members that are looked for although the schema lists none. */
export function scanShapeOf(schema: object, wanted: readonly string[]): ObjectShape | null {
  try {
    const root = valueShape(schema, 0)
    return (root.kinds & kinds.object) === 0 ? null : objectShape(checked(schema), wanted, 0)
  } catch (error) {
    if (error instanceof NotUnderstood) return null
    throw error
  }
}

const understood = new Set(
  // Remarks; without a reference, a definition and a name are no more.
  (
    'title description $comment default examples deprecated readOnly writeOnly $schema $id $defs definitions ' +
    'type enum const minimum maximum exclusiveMinimum exclusiveMaximum multipleOf minLength maxLength pattern format ' +
    'properties required additionalProperties items minItems maxItems'
  ).split(' '),
)

/** Schemas within schemas; the scanner goes as deep. */
export const depthMax = 16

const all = Object.values(kinds).reduce<number>((sum, kind) => sum | kind, 0)

/** Of a value that may be anything. */
export const anyShape: ValueShape = {
  kinds: all,
  whole: false,
  min: -Infinity,
  max: Infinity,
  above: -Infinity,
  below: Infinity,
  isMultiple: null,
  lengthMin: 0,
  lengthMax: Infinity,
  textTests: [],
  texts: null,
  numbers: null,
  itemsMin: 0,
  itemsMax: Infinity,
  items: null,
  object: null,
}

function checked(schema: unknown): Written {
  if (schema === true) return {}
  if (typeof schema !== 'object' || schema === null || Array.isArray(schema)) throw new NotUnderstood()
  for (const keyword of Object.keys(schema)) if (!understood.has(keyword)) throw new NotUnderstood()
  return schema as Written
}

function valueShape(written: unknown, depth: number): ValueShape {
  if (depth > depthMax) throw new NotUnderstood()
  const schema = checked(written)
  const { kinds: typed, whole } = typesOf(schema['type'])
  const values = valuesOf(schema)
  const multiple = numberAt(schema, 'multipleOf', Number.NaN)
  const isOpen = !['properties', 'required', 'additionalProperties'].some((name) => name in schema)
  return {
    kinds: typed & values.kinds,
    whole: whole || schema['format'] === 'int64',
    min: numberAt(schema, 'minimum', -Infinity),
    max: numberAt(schema, 'maximum', Infinity),
    above: numberAt(schema, 'exclusiveMinimum', -Infinity),
    below: numberAt(schema, 'exclusiveMaximum', Infinity),
    isMultiple: Number.isNaN(multiple) ? null : multipleOf(multiple),
    lengthMin: numberAt(schema, 'minLength', 0),
    lengthMax: numberAt(schema, 'maxLength', Infinity),
    textTests: textTestsOf(schema),
    texts: values.texts,
    numbers: values.numbers,
    itemsMin: numberAt(schema, 'minItems', 0),
    itemsMax: numberAt(schema, 'maxItems', Infinity),
    items: 'items' in schema ? valueShape(schema['items'], depth + 1) : null,
    object: isOpen ? null : objectShape(schema, [], depth),
  }
}

function objectShape(schema: Written, wanted: readonly string[], depth: number): ObjectShape {
  const properties = schema['properties'] ?? {}
  if (typeof properties !== 'object' || properties === null) throw new NotUnderstood()
  const required = new Set(textsAt(schema, 'required'))
  const additional = schema['additionalProperties']
  const others = additional === false ? null : valueShape(additional ?? true, depth + 1)
  const listed = new Map(Object.entries(properties))
  const names = [...new Set([...listed.keys(), ...required, ...wanted])]
  return {
    names: names.map(nameBytes),
    shapes: names.map((name) =>
      listed.has(name) ? valueShape(listed.get(name), depth + 1) : (others ?? never),
    ),
    needed: names.map((name) => required.has(name)),
    others,
  }
}

const never: ValueShape = { ...anyShape, kinds: 0 }

/** What every object has without owning it counts for ajv as a member that is there. */
function nameBytes(name: string): Uint8Array {
  if (name in Object.prototype || name.includes('"') || name.includes('\\')) throw new NotUnderstood()
  return Buffer.from(`${plainText(name)}"`, 'utf8')
}

/** Text that JSON can hold as it is, without escapes. */
function plainText(text: string): string {
  if (!text.isWellFormed() || /[\u0000-\u001f]/.test(text)) throw new NotUnderstood()
  return text
}

const kindsOfType: Readonly<Record<string, number>> = {
  string: kinds.text,
  number: kinds.number,
  integer: kinds.number,
  boolean: kinds.true | kinds.false,
  null: kinds.null,
  object: kinds.object,
  array: kinds.array,
}

function typesOf(type: unknown): { readonly kinds: number; readonly whole: boolean } {
  if (type === undefined) return { kinds: all, whole: false }
  let allowed = 0
  const names: readonly unknown[] = Array.isArray(type) ? type : [type]
  for (const name of names) {
    const kind = typeof name === 'string' && Object.hasOwn(kindsOfType, name) ? kindsOfType[name] : undefined
    if (kind === undefined) throw new NotUnderstood()
    allowed |= kind
  }
  return { kinds: allowed, whole: names.includes('integer') && !names.includes('number') }
}

function valuesOf(schema: Written): Pick<ValueShape, 'kinds' | 'texts' | 'numbers'> {
  const isOne = 'const' in schema
  if (!isOne && !('enum' in schema)) return { kinds: all, texts: null, numbers: null }
  const values: unknown = isOne ? [schema['const']] : schema['enum']
  if (!Array.isArray(values) || (isOne && 'enum' in schema)) throw new NotUnderstood()
  const texts: Uint8Array[] = []
  const numbers: number[] = []
  let allowed = 0
  for (const value of values as readonly unknown[]) {
    if (typeof value === 'string') texts.push(Buffer.from(plainText(value), 'utf8'))
    else if (typeof value === 'number') numbers.push(value)
    else if (value !== null && typeof value !== 'boolean') throw new NotUnderstood()
    allowed |=
      typeof value === 'string'
        ? kinds.text
        : typeof value === 'number'
          ? kinds.number
          : value === null
            ? kinds.null
            : kinds[`${value}`]
  }
  return { kinds: allowed, texts, numbers }
}

function numberAt(schema: Written, keyword: string, otherwise: number): number {
  if (!(keyword in schema)) return otherwise
  const value = schema[keyword]
  if (typeof value !== 'number' || Number.isNaN(value)) throw new NotUnderstood()
  return value
}

function textsAt(schema: Written, keyword: string): readonly string[] {
  const values: unknown = schema[keyword] ?? []
  if (!Array.isArray(values) || !values.every((value) => typeof value === 'string')) throw new NotUnderstood()
  return values
}

/** Those of ajv-formats that are for texts and mean the same in all drafts. */
const textFormats = ['date-time', 'date', 'time', 'email', 'uuid', 'uri', 'hostname', 'ipv4', 'ipv6'] as const

/** The very tests that ajv makes. */
function textTestsOf({ pattern, format }: Written): readonly ((text: string) => boolean)[] {
  const tests: ((text: string) => boolean)[] = []
  if (pattern !== undefined) {
    if (typeof pattern !== 'string') throw new NotUnderstood()
    const compiled = linearPattern(pattern)
    tests.push((text) => compiled.test(text))
  }
  // Of numbers, and no test of texts.
  if (format !== undefined && format !== 'int64') tests.push(formatTest(format))
  return tests
}

function formatTest(format: unknown): (text: string) => boolean {
  const known = textFormats.find((name) => name === format)
  const found = known === undefined ? true : ajvFormats.default.get(known)
  const test = typeof found === 'object' && 'validate' in found ? found.validate : found
  if (test instanceof RegExp) return (text) => test.test(text)
  if (typeof test !== 'function') throw new NotUnderstood()
  return (text) => (test as (text: string) => unknown)(text) === true
}
