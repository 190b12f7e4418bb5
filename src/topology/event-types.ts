/** Fields of an event, from its schema: what expressions can name and of which type each is. */
import type { VariableType } from '../expression/scope.ts'

export interface FieldType {
  readonly type: VariableType
  /** Whole numbers only. */
  readonly integer: boolean
}

export type FieldTypes = ReadonlyMap<string, FieldType>

const anyField: FieldType = { type: 'any', integer: false }

/** Null when the schema lists no properties. */
export function fieldsOfJsonSchema(schema: object): FieldTypes | null {
  const properties = group(resolved(schema, schema, 0)['properties'])
  if (properties === null) return null
  return new Map(Object.entries(properties).map(([name, property]) => [name, jsonType(property, schema)]))
}

function jsonType(property: unknown, root: object): FieldType {
  const schema = resolved(property, root, 0)
  const types = typesOf(schema).filter((type) => type !== 'null')
  if (types.length === 0) return fromValues(schema)
  if (types.every((type) => type === 'integer' || type === 'number')) {
    return { type: 'number', integer: types.every((type) => type === 'integer') }
  }
  if (types.length > 1) return anyField
  switch (types[0]) {
    case 'boolean':
      return { type: 'boolean', integer: false }
    case 'string':
      return { type: 'text', integer: false }
    case 'array': {
      const item = schema['items'] === undefined ? anyField : jsonType(schema['items'], root)
      return listType(item)
    }
    default:
      return anyField
  }
}

/** `enum` and `const` without `type`. */
function fromValues(schema: Readonly<Record<string, unknown>>): FieldType {
  const values = Array.isArray(schema['enum']) ? schema['enum'] : 'const' in schema ? [schema['const']] : []
  const kinds = new Set(values.filter((value) => value !== null).map((value) => typeof value))
  if (kinds.size !== 1) return anyField
  if (kinds.has('string')) return { type: 'text', integer: false }
  if (kinds.has('boolean')) return { type: 'boolean', integer: false }
  return kinds.has('number') ? { type: 'number', integer: values.every(Number.isInteger) } : anyField
}

function typesOf(schema: Readonly<Record<string, unknown>>): readonly unknown[] {
  return schema['type'] === undefined ? [] : [schema['type']].flat()
}

/** Follows `$ref` into the same document, at most ten times. */
function resolved(schema: unknown, root: object, depth: number): Readonly<Record<string, unknown>> {
  const found = group(schema) ?? {}
  const reference = found['$ref']
  if (typeof reference !== 'string' || !reference.startsWith('#/') || depth > 10) return found
  const steps = reference.slice(2).split('/')
  const target = steps.reduce<unknown>(
    (at, step) => group(at)?.[step.replaceAll('~1', '/').replaceAll('~0', '~')],
    root,
  )
  return resolved(target, root, depth + 1)
}

/** Null when the schema is no record. */
export function fieldsOfAvroSchema(schema: object): FieldTypes | null {
  const record = group(schema)
  if (record?.['type'] !== 'record' || !Array.isArray(record['fields'])) return null
  const fields = record['fields'].map(group).filter((field) => field !== null)
  return new Map(fields.map((field) => [String(field['name']), avroType(field['type'])]))
}

function avroType(written: unknown): FieldType {
  if (Array.isArray(written)) {
    const branches = written.filter((branch) => branch !== 'null')
    return branches.length === 1 ? avroType(branches[0]) : anyField
  }
  const detailed = group(written)
  if (detailed !== null && typeof detailed['type'] !== 'string') return avroType(detailed['type'])
  switch (detailed?.['type'] ?? written) {
    case 'int':
    case 'long':
      return { type: 'number', integer: true }
    case 'float':
    case 'double':
      return { type: 'number', integer: false }
    case 'string':
    case 'enum':
      return { type: 'text', integer: false }
    case 'boolean':
      return { type: 'boolean', integer: false }
    case 'array':
      return listType(avroType(detailed?.['items']))
    default:
      return anyField
  }
}

function listType(item: FieldType): FieldType {
  if (item.type === 'text') return { type: 'texts', integer: false }
  return item.type === 'number' ? { type: 'numbers', integer: false } : anyField
}

function group(value: unknown): Readonly<Record<string, unknown>> | null {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? (value as Record<string, unknown>)
    : null
}
