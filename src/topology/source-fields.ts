/** Fields that `id`, `key`, `time` and keys of entities name, also inside others: found in the schema, with their type. */
import { logicalTypeOf } from '../decode/avro-schema.ts'
import type { CodecPlan } from '../decode/plan.ts'
import { didYouMean } from '../expression/nearest.ts'
import { fieldsOfAvroSchema, fieldsOfJsonSchema, type FieldType, type FieldTypes } from './event-types.ts'

export interface FoundField extends FieldType {
  /** `timestamp-micros` and the like, of Avro. */
  readonly logicalType: string | null
}

/** What the schema lacks, and what was meant perhaps. */
export interface UnknownField {
  readonly problem: string
  readonly suggestion: string
}

/** A record or object of the schema. */
interface Group {
  readonly types: FieldTypes
  readonly logicalType: (name: string) => string | null
  /** Null: the schema does not say what is inside. */
  readonly inside: (name: string) => Group | null
}

/** `name` as `fieldAt` takes it: a field of the event, else the way down to one, with dots. */
export function findField(codec: CodecPlan, name: string): FoundField | UnknownField {
  const root = codec.kind === 'json' ? jsonGroup(codec.schema, codec.schema) : avroRoot(codec.reader)
  const isTop = root?.types.has(name) === true || !name.includes('.')
  const steps = isTop ? [name] : name.split('.')
  const last = steps.pop()!
  let group = root
  let way = ''
  for (const step of steps) {
    const found = group === null ? null : fieldOf(group, step, way)
    if (found === null) return anything
    if ('problem' in found) return found
    way += `${step}.`
    if (found.type !== 'any' && found.type !== 'object') {
      const holder = way.slice(0, -1)
      return {
        problem: `${holder} is of type ${found.type}, so there is no ${name}.`,
        suggestion: `Name ${holder}, or another field.`,
      }
    }
    group = group!.inside(step)
  }
  return group === null ? anything : fieldOf(group, last, way)
}

export function isUnknown(field: FoundField | UnknownField): field is UnknownField {
  return 'problem' in field
}

const anything: FoundField = { type: 'any', integer: false, logicalType: null }

function fieldOf({ types, logicalType }: Group, name: string, way: string): FoundField | UnknownField {
  const type = types.get(name)
  if (type !== undefined) return { ...type, logicalType: logicalType(name) }
  const names = [...types.keys()].map((known) => way + known)
  return { problem: `the schema has no field ${way}${name}.`, suggestion: didYouMean(way + name, names) }
}

function jsonGroup(schema: unknown, root: object): Group | null {
  const found = objectBranch(schema, root, 0)
  // With what references inside it mean.
  const { $defs, definitions } = root as Record<string, unknown>
  const types = found === null ? null : fieldsOfJsonSchema({ ...found, $defs, definitions })
  const properties = asObject(found?.['properties'])
  if (types === null || properties === null) return null
  return { types, logicalType: () => null, inside: (name) => jsonGroup(properties[name], root) }
}

type Written = Readonly<Record<string, unknown>>

/** The schema itself, what it refers to, or its only alternative that is not null. */
function objectBranch(schema: unknown, root: object, depth: number): Written | null {
  const found = asObject(schema)
  if (found === null || depth > 10) return null
  const reference = found['$ref']
  if (typeof reference === 'string') {
    const steps = reference.startsWith('#/') ? reference.slice(2).split('/') : []
    const target = steps.reduce<unknown>(
      (at, step) => asObject(at)?.[step.replaceAll('~1', '/').replaceAll('~0', '~')],
      root,
    )
    return target === root ? null : objectBranch(target, root, depth + 1)
  }
  const alternatives = [found['anyOf'], found['oneOf']].find(Array.isArray)
  if (alternatives === undefined || found['properties'] !== undefined) return found
  const others = alternatives.filter((branch: unknown) => asObject(branch)?.['type'] !== 'null')
  return others.length === 1 ? objectBranch(others[0], root, depth + 1) : null
}

function avroRoot(reader: object): Group | null {
  const named = new Map<string, Written>()
  collectNamed(reader, '', named)
  return avroGroup(reader, named)
}

function avroGroup(type: unknown, named: ReadonlyMap<string, Written>): Group | null {
  const branches = [type].flat().filter((branch) => branch !== 'null')
  if (branches.length !== 1) return null
  const [branch] = branches as [unknown]
  if (typeof branch === 'string') {
    const known = named.get(branch)
    return known === undefined ? null : avroGroup(known, named)
  }
  const found = asObject(branch)
  if (found === null) return null
  if (typeof found['type'] === 'object') return avroGroup(found['type'], named)
  const types = fieldsOfAvroSchema(found)
  if (types === null) return null
  const fields = new Map(objectsOf(found['fields']).map((field) => [field['name'], field['type']]))
  return {
    types,
    logicalType: (name) => logicalTypeOf(fields.get(name)),
    inside: (name) => avroGroup(fields.get(name), named),
  }
}

/** Records by their name, with the namespace and without. */
function collectNamed(type: unknown, namespace: string, named: Map<string, Written>): void {
  if (Array.isArray(type)) for (const branch of type) collectNamed(branch, namespace, named)
  const found = asObject(type)
  if (found === null) return
  const space = typeof found['namespace'] === 'string' ? found['namespace'] : namespace
  if (found['type'] === 'record' && typeof found['name'] === 'string') {
    for (const name of [found['name'], `${space}.${found['name']}`]) named.set(name, found)
    for (const field of objectsOf(found['fields'])) collectNamed(field['type'], space, named)
  }
  for (const inner of [found['type'], found['items'], found['values']]) {
    if (typeof inner === 'object') collectNamed(inner, space, named)
  }
}

function objectsOf(value: unknown): readonly Written[] {
  return Array.isArray(value) ? value.map(asObject).filter((one) => one !== null) : []
}

function asObject(value: unknown): Written | null {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Written) : null
}
