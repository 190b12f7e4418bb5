type Written = Readonly<Record<string, unknown>>

/**
 * What of a writer's schema is needed to read its records: types, names and order. A default never is (it is the reader's
 * that fills a gap), and neither are aliases, sort orders and remarks; avsc refuses a schema where one of them is wrong,
 * which registries and other languages let pass: `["string", "null"]` with default null is the usual case.
 */
export function essential(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(essential)
  if (!isObject(schema)) return schema
  const kept: [string, unknown][] = []
  for (const name of ['type', 'name', 'namespace', 'symbols', 'size', 'items', 'values', 'fields'] as const) {
    if (!Object.hasOwn(schema, name)) continue
    const value = schema[name]
    kept.push([name, ['type', 'items', 'values', 'fields'].includes(name) ? essential(value) : value])
  }
  return Object.fromEntries(kept)
}

/** Differing units of a timestamp would be read as each other: the resolution of Avro sees two longs. */
export function differingTimestamps(reader: unknown, writer: unknown): string | null {
  const written = timestampsOf(writer)
  for (const [field, wanted] of timestampsOf(reader)) {
    const found = written.get(field)
    if (found === undefined || found === wanted) continue
    return `field ${field} is ${found} there, and ${wanted} in the reader schema; one would be read as the other`
  }
  return null
}

function timestampsOf(schema: unknown): ReadonlyMap<string, string> {
  const fields = isObject(schema) && Array.isArray(schema['fields']) ? schema['fields'].filter(isObject) : []
  return new Map(
    fields.flatMap((field): [string, string][] => {
      const logical = logicalTypeOf(field['type'])
      return logical?.includes('timestamp-') ? [[String(field['name']), logical]] : []
    }),
  )
}

/** Of a type or of the one branch of an optional type. */
export function logicalTypeOf(type: unknown): string | null {
  if (Array.isArray(type)) {
    const branches = type.filter((branch) => branch !== 'null')
    return branches.length === 1 ? logicalTypeOf(branches[0]) : null
  }
  if (!isObject(type)) return null
  const logical = type['logicalType']
  return typeof logical === 'string' ? logical : logicalTypeOf(type['type'])
}

function isObject(value: unknown): value is Written {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
