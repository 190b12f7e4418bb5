/** The tables of docs/topology.md, from the JSON Schema of a topology. */

interface Schema {
  readonly type?: string | readonly string[]
  readonly description?: string
  readonly default?: unknown
  readonly enum?: readonly unknown[]
  readonly anyOf?: readonly Schema[]
  readonly items?: Schema
  readonly properties?: Readonly<Record<string, Schema>>
  readonly required?: readonly string[]
  readonly additionalProperties?: Schema | boolean
  readonly pattern?: string
  readonly minimum?: number
  readonly maximum?: number
}

export const referenceBegin = '<!-- reference: written by scripts/generate-schemas.ts -->'
export const referenceEnd = '<!-- end of reference -->'

/** One table per section, in the order of the schema. */
export function topologyReference(schema: Schema): string {
  const sections = Object.entries(schema.properties ?? {})
  const scalars = sections.filter(([, section]) => rowsOf(section, '').length === 0)
  const groups = sections.filter(([, section]) => rowsOf(section, '').length > 0)
  const required = new Set(schema.required)
  const top = table(scalars.map(([name, section]) => row(name, section, required.has(name))))
  const tables = groups.map(([name, section]) => {
    const entries = isEntries(section) ? ' A list of `name: …` entries.' : ''
    const needed = required.has(name) ? ' Required.' : ''
    return `### ${name}\n\n${section.description ?? ''}${entries}${needed}\n\n${table(rowsOf(section, ''))}`
  })
  return [top, ...tables].join('\n\n')
}

/** Puts the tables between the markers of the document. */
export function withReference(document: string, schema: Schema): string {
  const begin = document.indexOf(referenceBegin)
  const end = document.indexOf(referenceEnd)
  if (begin < 0 || end < begin) throw new Error('docs/topology.md lacks the markers of the reference')
  return `${document.slice(0, begin + referenceBegin.length)}\n\n${topologyReference(schema)}\n\n${document.slice(end)}`
}

function table(rows: readonly string[]): string {
  return ['| key | what | written as | default |', '|---|---|---|---|', ...rows].join('\n')
}

function isEntries(schema: Schema): boolean {
  return typeof schema.additionalProperties === 'object'
}

function rowsOf(schema: Schema, prefix: string): string[] {
  const variants = schema.anyOf ?? [schema]
  const rows: string[] = []
  for (const variant of variants) {
    const required = new Set(variant.required)
    for (const [name, member] of Object.entries(variant.properties ?? {})) {
      rows.push(row(`${prefix}${name}`, member, required.has(name)), ...rowsOf(member, `${prefix}${name}.`))
    }
    if (typeof variant.additionalProperties !== 'object') continue
    const entry = variant.additionalProperties
    const below = rowsOf(entry, `${prefix}NAME.`)
    if (below.length > 0) rows.push(...below)
    else if (entry.description !== undefined || entry.type !== undefined)
      rows.push(row(`${prefix}NAME`, entry, true))
  }
  return [...new Set(rows)]
}

function row(name: string, schema: Schema, required: boolean): string {
  const fallback =
    schema.default === undefined || schema.default === ''
      ? required
        ? 'required'
        : '–'
      : code(schema.default)
  return `| \`${name}\` | ${escape(schema.description ?? '')} | ${escape(writtenAs(schema))} | ${escape(fallback)} |`
}

function code(value: unknown): string {
  return `\`${typeof value === 'string' ? value : JSON.stringify(value)}\``
}

function writtenAs(schema: Schema): string {
  if (schema.anyOf !== undefined) {
    const variants = schema.anyOf.filter(({ pattern }) => pattern !== String.raw`^\$\{(env|file):`)
    return [...new Set(variants.map(writtenAs))].filter((text) => text !== '').join(' or ')
  }
  if (schema.enum !== undefined) return schema.enum.map((choice) => code(choice)).join(', ')
  if (schema.pattern?.includes('ms|s|m|h|d') === true) return 'duration'
  if (schema.pattern?.includes('KB|MB|GB') === true) return 'size'
  if (schema.items !== undefined) return `list of ${writtenAs(schema.items) || 'values'}`
  if (Array.isArray(schema.type))
    return schema.type.includes('boolean') ? 'expression' : schema.type.join(' or ')
  switch (schema.type) {
    case 'integer':
    case 'number':
      return `${schema.type === 'integer' ? 'whole number' : 'number'}${range(schema)}`
    case 'string':
      return 'text'
    case 'object':
      return 'group'
    default:
      return String(schema.type ?? '')
  }
}

function range({ minimum, maximum }: Schema): string {
  if (minimum !== undefined && maximum !== undefined)
    return minimum === maximum ? ` ${minimum}` : `, ${minimum} to ${maximum}`
  return minimum === undefined ? '' : `, at least ${minimum}`
}

function escape(text: string): string {
  return text.replaceAll('|', String.raw`\|`)
}
