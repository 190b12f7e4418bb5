import { _, str, type FuncKeywordDefinition, type KeywordErrorDefinition } from 'ajv'
import { multipleOf } from './decimal.ts'
import { canonicalValue, valueAt } from './json-numbers.ts'

/**
 * Keywords of JSON Schema for records with whole numbers beyond ±(2^53 − 1), which ajv does not know: it is given
 * stand-ins of the right type (`standIns`), and whatever compares numbers looks the real value up in the exact record,
 * which is the context of the validation.
 */
export const exactKeywords: readonly FuncKeywordDefinition[] = [
  bound('maximum', '<=', (value, limit) => value <= limit),
  bound('minimum', '>=', (value, limit) => value >= limit),
  bound('exclusiveMaximum', '<', (value, limit) => value < limit),
  bound('exclusiveMinimum', '>', (value, limit) => value > limit),
  {
    ...multipleOfError(),
    compile: (divisor: number | bigint) => numberCheck(multipleOf(divisor)),
  },
  {
    keyword: 'const',
    errors: false,
    error: {
      message: 'must be equal to constant',
      params: ({ schemaCode }) => _`{allowedValue: ${schemaCode}}`,
    },
    compile: (allowed: unknown) => equalsOneOf([allowed]),
  },
  {
    keyword: 'enum',
    schemaType: 'array',
    errors: false,
    error: {
      message: 'must be equal to one of the allowed values',
      params: ({ schemaCode }) => _`{allowedValues: ${schemaCode}}`,
    },
    compile: equalsOneOf,
  },
  {
    ...uniqueItemsError(),
    compile: (wanted: boolean) => check((value) => !wanted || !Array.isArray(value) || areUnique(value)),
  },
]

/** Decimal arithmetic in place of ajv's, which divides doubles: 19.99 / 0.01 is not whole. For all records. */
export const decimalMultipleOf: FuncKeywordDefinition = {
  ...multipleOfError(),
  compile: (divisor: number) => multipleOf(divisor),
}

/** In time proportional to the items; ajv compares each with each. */
export const linearUniqueItems: FuncKeywordDefinition = {
  ...uniqueItemsError(),
  compile: (wanted: boolean) => (items: readonly unknown[]) => !wanted || areUnique(items),
}

function areUnique(items: readonly unknown[]): boolean {
  return new Set(items.map(canonicalValue)).size === items.length
}

function uniqueItemsError(): {
  keyword: string
  type: 'array'
  schemaType: 'boolean'
  errors: false
  error: KeywordErrorDefinition
} {
  return {
    keyword: 'uniqueItems',
    type: 'array',
    schemaType: 'boolean',
    errors: false,
    error: { message: 'must NOT have duplicate items' },
  }
}

function multipleOfError(): {
  keyword: string
  type: 'number'
  errors: false
  error: KeywordErrorDefinition
} {
  return {
    keyword: 'multipleOf',
    type: 'number',
    errors: false,
    error: { message: ({ schemaCode }) => str`must be multiple of ${schemaCode}` },
  }
}

interface Place {
  readonly instancePath: string
}
type Check = (this: unknown, data: unknown, place?: Place) => boolean

function check(test: (value: unknown) => boolean): Check {
  return function (data, place) {
    return test(place === undefined ? data : valueAt(this, place.instancePath))
  }
}

function numberCheck(test: (value: number | bigint) => boolean): Check {
  return check((value) => (typeof value !== 'number' && typeof value !== 'bigint') || test(value))
}

function equalsOneOf(allowed: readonly unknown[]): Check {
  const known = new Set(allowed.map(canonicalValue))
  return check((value) => known.has(canonicalValue(value)))
}

function bound(
  keyword: string,
  sign: string,
  holds: (value: number | bigint, limit: number | bigint) => boolean,
): FuncKeywordDefinition {
  return {
    keyword,
    type: 'number',
    errors: false,
    error: { message: ({ schemaCode }) => str`must be ${sign} ${schemaCode}` },
    compile: (limit: number | bigint) => numberCheck((value) => holds(value, limit)),
  }
}

const int64Max = 2n ** 63n - 1n

/** Numbers that ajv takes for what the real ones are: whole or not, and within 64 bits or not. */
export function standIns(value: unknown): unknown {
  if (typeof value === 'bigint') return value > int64Max || value < -int64Max - 1n ? 2 ** 64 : 2 ** 53
  if (typeof value === 'number') return Math.abs(value) > Number.MAX_SAFE_INTEGER ? 0.5 : value
  if (Array.isArray(value)) return value.map(standIns)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, standIns(inner)]))
}

const comparing = new Set(['maximum', 'minimum', 'exclusiveMaximum', 'exclusiveMinimum', 'multipleOf'])
const holdingData = new Set(['const', 'enum'])
const holdingNames = new Set(['properties', 'patternProperties', '$defs', 'definitions', 'dependentSchemas'])

/** A schema whose bigints are where the keywords above read them; elsewhere (`maxLength`) they are numbers. */
export function forExactKeywords(schema: unknown, above: 'schema' | 'names' = 'schema'): unknown {
  if (typeof schema === 'bigint') return Number(schema)
  if (Array.isArray(schema)) return schema.map((inner) => forExactKeywords(inner))
  if (typeof schema !== 'object' || schema === null) return schema
  return Object.fromEntries(
    Object.entries(schema).map(([name, inner]) => {
      if (above === 'names') return [name, forExactKeywords(inner)]
      if (holdingData.has(name) || (comparing.has(name) && typeof inner === 'bigint')) return [name, inner]
      return [name, forExactKeywords(inner, holdingNames.has(name) ? 'names' : 'schema')]
    }),
  )
}
