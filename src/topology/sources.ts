import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import avsc from 'avsc'
import { Fault } from '../decode/fault.ts'
import { compileJsonCodec } from '../decode/json-codec.ts'
import { holdsLarge, parseExact } from '../decode/json-numbers.ts'
import type { SourceOptions } from '../decode/options.ts'
import type { AvroCodecPlan, CodecPlan, DecodeLimits, JsonCodecPlan, SourcePlan } from '../decode/plan.ts'
import type { TopologyDocument } from './document.ts'
import { fieldsOfAvroSchema, fieldsOfJsonSchema } from './event-types.ts'
import type { FieldTypes } from './event-types.ts'
import type { Path } from './problem.ts'
import { findField, isUnknown } from './source-fields.ts'
import { compileTime } from './source-time.ts'
import { reasonOf } from './substitute.ts'

export interface CheckedSource {
  /** Where the file has problems, something stands in; nothing runs from it then. */
  readonly plan: SourcePlan
  /** Null when the schema cannot be read: its fields are unknown, which is one problem and not many. */
  readonly fields: FieldTypes | null
}

const defaultLatenessMs = 3_600_000
const defaultOutOfOrderMs = 60_000

export function compileSource(
  document: TopologyDocument,
  name: string,
  options: SourceOptions,
  limits: DecodeLimits,
  folder: string,
): CheckedSource {
  const path = ['sources', name]
  const read = readCodec(document, path, options.codec, folder)
  const fields = read?.fields ?? null
  const known = read === null || fields === null ? null : read.codec
  if (known !== null) {
    checkField(document, [...path, 'id'], known, options.id)
    checkField(document, [...path, 'key'], known, options.key)
  }
  const time = compileTime(document, [...path, 'time'], options.time, known)
  const start = compileStart(document, [...path, 'start'], options.start)
  const late = compileLate(document, path, options)
  return {
    fields,
    plan: {
      name,
      role: options.role,
      topic: options.topic,
      codec: read?.codec ?? { kind: 'json', schema: {}, schemaPath: '' },
      idField: options.id,
      keyField: options.key,
      timeField: time.field,
      timeFormat: time.format,
      start,
      outOfOrderMs: options.outOfOrder ?? defaultOutOfOrderMs,
      disorderMaxMs: options.outOfOrder ?? (options.role === 'score' ? defaultOutOfOrderMs : null),
      allowedLatenessMs: late.allowedLatenessMs,
      late: late.policy,
      alignMs: options.align,
      limits: { ...limits, implausibleTime: time.implausible },
    },
  }
}

function compileLate(
  document: TopologyDocument,
  path: Path,
  { role, late, allowedLateness }: SourceOptions,
): { policy: SourcePlan['late']; allowedLatenessMs: number | null } {
  if (role === 'score' && allowedLateness === 'horizon') {
    document.add(
      [...path, 'allowedLateness'],
      'horizon is for sources of role state.',
      'Write how long late events still count as on time, for example 1h.',
    )
  }
  if (role === 'state' && late === 'score') {
    document.add(
      [...path, 'late'],
      'a source of role state is never scored.',
      'Write drop-state or dead-letter.',
    )
  }
  const lateness = allowedLateness ?? (role === 'score' ? defaultLatenessMs : 'horizon')
  return {
    policy: late ?? (role === 'score' ? 'score' : 'drop-state'),
    allowedLatenessMs: lateness === 'horizon' ? null : lateness,
  }
}

function compileStart(document: TopologyDocument, path: Path, start: string): SourcePlan['start'] {
  if (start === 'earliest' || start === 'latest') return start
  // Without a zone the time would depend on the machine.
  const time = /(Z|[+-]\d{2}:\d{2})$/.test(start) ? Date.parse(start) : Number.NaN
  if (Number.isSafeInteger(time) && time >= 0) return time
  document.add(
    path,
    `${JSON.stringify(start)} is not a time.`,
    'Write it with a zone, for example 2026-01-31T00:00:00Z.',
  )
  return 'earliest'
}

function readCodec(
  document: TopologyDocument,
  path: Path,
  options: SourceOptions['codec'],
  folder: string,
): { codec: CodecPlan; fields: FieldTypes | null } | null {
  if ('json' in options) {
    const isShort = typeof options.json === 'string'
    const written = typeof options.json === 'string' ? options.json : options.json.schema
    const file = resolve(folder, written)
    const at = [...path, 'codec', 'json', ...(isShort ? [] : ['schema'])]
    const schema = readJson(document, at, file)
    if (schema === null) return null
    const codec = jsonCodecPlan(schema, file, options.json)
    if (!compiles(document, at, file, 'JSON Schema', () => compileJsonCodec(codec))) return null
    const fields = fieldsOfJsonSchema(codec.schema)
    if (fields === null)
      document.add(at, `${file} lists no properties.`, 'List the fields of the event under properties.')
    return { codec, fields }
  }
  const { subject, reader: written, giveUpIds } = options.avro
  const file = resolve(folder, written)
  const at = [...path, 'codec', 'avro', 'reader']
  const reader = readJson(document, at, file)?.value ?? null
  if (reader === null) return null
  const codec: AvroCodecPlan = { kind: 'avro', subject, reader, giveUpIds }
  if (!compiles(document, at, file, 'Avro schema', () => avsc.Type.forSchema(reader as avsc.Schema)))
    return null
  const fields = fieldsOfAvroSchema(reader)
  if (fields === null)
    document.add(at, `${file} is not the schema of a record.`, 'The reader must be a record.')
  return { codec, fields }
}

/** Whole numbers of the schema beyond ±(2^53 − 1) count to their last digit. */
function jsonCodecPlan(
  { value, exact }: ReadJson,
  schemaPath: string,
  options: string | { readonly framing: 'none' | 'registry'; readonly giveUpIds: readonly number[] },
): JsonCodecPlan {
  const isFramed = typeof options !== 'string' && options.framing === 'registry'
  return {
    kind: 'json',
    schema: value,
    schemaPath,
    ...(exact === null ? null : { exactSchema: exact }),
    ...(isFramed ? { framed: { giveUpIds: options.giveUpIds } } : null),
  }
}

function compiles(
  document: TopologyDocument,
  at: Path,
  file: string,
  kind: string,
  compile: () => unknown,
): boolean {
  try {
    compile()
    return true
  } catch (error) {
    document.add(at, `${file} is not a usable ${kind}: ${(error as Error).message.replace(`${file}: `, '')}.`)
    return false
  }
}

interface ReadJson {
  readonly value: object
  /** With bigints; null: no number needs one. */
  readonly exact: object | null
}

function readJson(document: TopologyDocument, at: Path, file: string): ReadJson | null {
  let text: string
  try {
    text = readFileSync(file, 'utf8').replace(/^\ufeff/, '')
  } catch (error) {
    document.add(
      at,
      `${file} cannot be read (${reasonOf(error)}).`,
      'Paths are relative to the topology file.',
    )
    return null
  }
  try {
    const value: unknown = JSON.parse(text)
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
      const exact = holdsLarge(value) ? parseExact(text) : null
      if (!(exact instanceof Fault)) return { value, exact: exact as object | null }
      document.add(at, `${file}: ${exact.message}.`)
      return null
    }
    document.add(at, `${file} does not hold a JSON object.`, 'It must be a schema.')
  } catch (error) {
    document.add(at, `${file} is not JSON: ${(error as Error).message}.`)
  }
  return null
}

function checkField(document: TopologyDocument, path: Path, codec: CodecPlan, name: string): void {
  const field = findField(codec, name)
  if (isUnknown(field)) document.add(path, field.problem, field.suggestion)
  else if (!['any', 'text', 'number'].includes(field.type)) {
    document.add(path, `${name} is of type ${field.type}.`, 'Name a field of type text or number.')
  }
}

/** Exactly one source is scored. */
export function checkRoles(
  document: TopologyDocument,
  roles: ReadonlyMap<string, string>,
  anyFaulty: boolean,
): string | null {
  const scored = [...roles].flatMap(([name, role]) => (role === 'score' ? [name] : []))
  for (const name of scored.slice(1)) {
    document.add(
      ['sources', name, 'role'],
      `${scored[0]} is scored already; one scored source per topology for now.`,
      'Write role: state, or move it to a topology of its own.',
    )
  }
  if (scored.length === 0 && !anyFaulty && !document.broken) {
    document.add(
      ['sources'],
      'no source is scored.',
      'Write role: score for the one whose events get predictions.',
      {
        atKey: true,
      },
    )
  }
  return scored[0] ?? null
}
