/** Fields of an event, from its schema: what expressions can name and of which type each is. */
import type { FieldType, VariableType } from '../expression/scope.ts'

export type { FieldType } from '../expression/scope.ts'

export type FieldTypes = ReadonlyMap<string, FieldType>

const anyField: FieldType = { type: 'any', integer: false }
const condition: FieldType = { type: 'boolean', integer: false }
const text: FieldType = { type: 'text', integer: false }

// A schema may name itself; what lies deeper is checked when the expression runs.
const depthMax = 8

/** Null when the schema lists no properties. */
export function fieldsOfJsonSchema(schema: object): FieldTypes | null {
  return membersOf(resolved(schema, schema, 0), schema, 0)
}

function membersOf(
  schema: Readonly<Record<string, unknown>>,
  root: object,
  depth: number,
): FieldTypes | null {
  const found = new Map<string, FieldType>()
  for (const part of [schema, ...listed(schema['allOf']).map((one) => resolved(one, root, 0))]) {
    for (const [name, property] of Object.entries(group(part['properties']) ?? {}))
      found.set(name, jsonType(property, root, depth + 1))
  }
  return found.size === 0 ? null : found
}

function jsonType(property: unknown, root: object, depth: number): FieldType {
  if (depth > depthMax) return anyField
  const schema = resolved(property, root, 0)
  const type = typeOfSchema(schema, root, depth)
  const values = valuesOf(schema)
  return values === null ? type : { ...type, values }
}

function typeOfSchema(schema: Readonly<Record<string, unknown>>, root: object, depth: number): FieldType {
  const variants = listed(schema['anyOf'] ?? schema['oneOf'])
  const written = typesOf(schema).filter((type) => type !== 'null')
  if (written.length === 0 && variants.length > 0)
    return common(
      variants.filter((variant) => !isNull(variant, root)).map((one) => jsonType(one, root, depth)),
    )
  const inherited = listed(schema['allOf'])
  if (written.length === 0 && inherited.length > 0) return inheritedType(schema, inherited, root, depth)
  if (written.length === 0) return fromValues(schema, root, depth)
  return common([...new Set(written)].map((type) => plainType(type, schema, root, depth)))
}

/** `allOf: [{$ref: …}]`, with or without more beside it. */
function inheritedType(
  schema: Readonly<Record<string, unknown>>,
  inherited: readonly unknown[],
  root: object,
  depth: number,
): FieldType {
  const members = membersOf(schema, root, depth)
  if (members !== null) return { type: 'object', integer: false, members }
  const known = inherited.map((one) => jsonType(one, root, depth)).filter(({ type }) => type !== 'any')
  return known.length === 0 ? anyField : common(known)
}

function isNull(variant: unknown, root: object): boolean {
  const schema = resolved(variant, root, 0)
  const types = typesOf(schema)
  if (types.length > 0) return types.every((type) => type === 'null')
  return (
    schema['const'] === null ||
    (Array.isArray(schema['enum']) && schema['enum'].every((value) => value === null))
  )
}

function plainType(
  type: unknown,
  schema: Readonly<Record<string, unknown>>,
  root: object,
  depth: number,
): FieldType {
  switch (type) {
    case 'integer':
      return { type: 'number', integer: true }
    case 'number':
      return { type: 'number', integer: false }
    case 'boolean':
      return condition
    case 'string':
      return text
    case 'array':
      return listType(schema['items'] === undefined ? anyField : jsonType(schema['items'], root, depth + 1))
    case 'object':
      return objectType(schema, root, depth)
    default:
      return anyField
  }
}

/** One that describes members which it does not list may have any. */
function objectType(schema: Readonly<Record<string, unknown>>, root: object, depth: number): FieldType {
  const isOpen = group(schema['additionalProperties']) !== null || schema['patternProperties'] !== undefined
  const members = isOpen ? null : membersOf(schema, root, depth)
  return members === null ? anyField : { type: 'object', integer: false, members }
}

/** What all variants of a field have in common: one type, or any. */
function common(variants: readonly FieldType[]): FieldType {
  const [first, ...rest] = variants
  if (first === undefined) return anyField
  const { type } = first
  if (rest.length === 0) return first
  if (rest.some((other) => other.type !== type)) return { ...anyField, kinds: variants.flatMap(kindsIn) }
  if (type === 'number') return { type, integer: variants.every(({ integer }) => integer) }
  if (type !== 'object') {
    const { values: _, ...open } = first
    return rest.every(({ items }) => items?.type === first.items?.type) ? open : anyField
  }
  const members = new Map<string, FieldType[]>()
  for (const variant of variants) {
    for (const [name, member] of variant.members ?? [])
      members.set(name, [...(members.get(name) ?? []), member])
  }
  return {
    type,
    integer: false,
    members: new Map([...members].map(([name, types]) => [name, common(types)])),
  }
}

/** Those that a field may have. */
function kindsIn({ type, kinds }: FieldType): readonly VariableType[] {
  return type === 'any' ? (kinds ?? ['any']) : [type]
}

/** Null: the schema lists none. */
function valuesOf(schema: Readonly<Record<string, unknown>>): readonly unknown[] | null {
  const listed = 'const' in schema ? [schema['const']] : schema['enum']
  return Array.isArray(listed) ? listed.filter((value) => value !== null) : null
}

/** `enum`, `const`, `properties` and `items` without `type`. */
function fromValues(schema: Readonly<Record<string, unknown>>, root: object, depth: number): FieldType {
  if (group(schema['properties']) !== null) return objectType(schema, root, depth)
  const values = valuesOf(schema) ?? []
  const kinds = new Set(values.map((value) => typeof value))
  if (kinds.size !== 1) return anyField
  if (kinds.has('string')) return text
  if (kinds.has('boolean')) return condition
  return kinds.has('number') ? { type: 'number', integer: values.every(Number.isInteger) } : anyField
}

function typesOf(schema: Readonly<Record<string, unknown>>): readonly unknown[] {
  return listed(schema['type'])
}

function listed(value: unknown): readonly unknown[] {
  return value === undefined ? [] : [value].flat()
}

/** Follows `$ref` into the same document, at most ten times; what stands beside it counts too. */
function resolved(schema: unknown, root: object, depth: number): Readonly<Record<string, unknown>> {
  const found = group(schema) ?? {}
  const reference = found['$ref']
  if (typeof reference !== 'string' || !(reference === '#' || reference.startsWith('#/')) || depth > 10)
    return found
  const steps = reference.split('/').slice(1)
  const target = steps.reduce<unknown>(
    (at, step) => group(at)?.[decodeURIComponent(step).replaceAll('~1', '/').replaceAll('~0', '~')],
    root,
  )
  const { $ref, ...beside } = found
  return $ref === undefined ? beside : { ...resolved(target, root, depth + 1), ...beside }
}

/** Null when the schema is no record. */
export function fieldsOfAvroSchema(schema: object): FieldTypes | null {
  const named = new Map<string, unknown>()
  const { type, members } = avroType(schema, named, 0)
  return type === 'object' ? (members ?? new Map<string, FieldType>()) : null
}

/** `named`: records and enums defined so far; a later field may use one by its name. */
function avroType(written: unknown, named: Map<string, unknown>, depth: number): FieldType {
  if (depth > 2 * depthMax) return anyField
  if (Array.isArray(written)) {
    const branches = written.filter((branch) => branch !== 'null')
    const types = branches.map((branch) => avroType(branch, named, depth + 1))
    return types.length === 1 ? types[0]! : { ...anyField, kinds: types.flatMap(kindsIn) }
  }
  const detailed = group(written)
  if (detailed !== null && typeof detailed['type'] !== 'string')
    return avroType(detailed['type'], named, depth + 1)
  const name = detailed?.['name']
  if (typeof name === 'string') {
    const namespace = detailed?.['namespace']
    named.set(name, detailed)
    if (typeof namespace === 'string') named.set(`${namespace}.${name}`, detailed)
  }
  const type = detailed?.['type'] ?? written
  switch (type) {
    case 'int':
    case 'long':
      return { type: 'number', integer: true }
    case 'float':
    case 'double':
      return { type: 'number', integer: false }
    case 'string':
    case 'bytes': // also decimals: events hold base64 text
    case 'fixed':
      return text
    case 'enum':
      return Array.isArray(detailed?.['symbols']) ? { ...text, values: detailed['symbols'] } : text
    case 'boolean':
      return condition
    case 'array':
      return listType(avroType(detailed?.['items'], named, depth + 1))
    case 'record':
      return recordType(detailed, named, depth)
    default: {
      const definition = typeof type === 'string' ? named.get(type) : undefined
      return definition === undefined || definition === detailed
        ? anyField
        : avroType(definition, named, depth + 1)
    }
  }
}

function recordType(
  record: Readonly<Record<string, unknown>> | null,
  named: Map<string, unknown>,
  depth: number,
): FieldType {
  if (!Array.isArray(record?.['fields'])) return anyField
  const fields = record['fields'].map(group).filter((field) => field !== null)
  const members = new Map(
    fields.map((field) => [String(field['name']), avroType(field['type'], named, depth + 1)]),
  )
  return { type: 'object', integer: false, members }
}

function listType(item: FieldType): FieldType {
  if (item.type === 'text') return { type: 'texts', integer: false, items: item }
  if (item.type === 'number') return { type: 'numbers', integer: false, items: item }
  return { type: 'list', integer: false, items: item }
}

function group(value: unknown): Readonly<Record<string, unknown>> | null {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? (value as Record<string, unknown>)
    : null
}
