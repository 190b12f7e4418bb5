/** `time:` of a source: which field, in which unit. */
import type { SourceOptions } from '../decode/options.ts'
import type { CodecPlan, TimeFormat } from '../decode/plan.ts'
import type { TopologyDocument } from './document.ts'
import type { Path } from './problem.ts'
import { findField, isUnknown, type FoundField } from './source-fields.ts'

export interface CheckedTime {
  readonly field: string
  readonly format: TimeFormat
  readonly implausible: 'refuse' | 'accept'
}

type WrittenTime = Exclude<SourceOptions['time'], string>
type Unit = NonNullable<WrittenTime['unit']>

const formats = { ms: 'epochMs', s: 'epochS', us: 'epochUs', ns: 'epochNs' } as const satisfies Record<
  Unit,
  TimeFormat
>

const unitsOfAvro: Readonly<Record<string, Unit>> = {
  'timestamp-millis': 'ms',
  'timestamp-micros': 'us',
  'timestamp-nanos': 'ns',
}

/** `codec`: null where it cannot be read, which is a problem of its own. */
export function compileTime(
  document: TopologyDocument,
  path: Path,
  options: SourceOptions['time'],
  codec: CodecPlan | null,
): CheckedTime {
  const isShort = typeof options === 'string'
  const time: WrittenTime = isShort ? { field: options, format: 'epochMs', implausible: 'refuse' } : options
  const fieldPath = isShort ? path : [...path, 'field']
  if (time.format === 'iso' && time.unit !== undefined) {
    document.add([...path, 'unit'], 'ISO text has no unit.', 'Write unit or format: iso, not both.')
  }
  const found = codec === null ? null : findField(codec, time.field)
  const checked = {
    field: time.field,
    format: time.format === 'iso' ? time.format : formats[time.unit ?? 'ms'],
    implausible: time.implausible,
  }
  if (found === null) return checked
  if (isUnknown(found)) {
    document.add(fieldPath, found.problem, found.suggestion)
    return checked
  }
  checkType(document, fieldPath, time, found)
  const unit = time.format === 'iso' ? null : avroUnit(document, path, time, found)
  return unit === null ? checked : { ...checked, format: formats[unit] }
}

function checkType(
  document: TopologyDocument,
  path: Path,
  { field, format, unit }: WrittenTime,
  { type }: FoundField,
): void {
  if (type === 'any' || type === (format === 'iso' ? 'text' : 'number')) return
  if (type === 'text') {
    const expected = unit === undefined ? 'epoch milliseconds are expected' : 'a number is expected'
    document.add(path, `${field} is text, and ${expected}.`, `Write {field: ${field}, format: iso}.`)
  } else if (type === 'number') {
    document.add(
      path,
      `${field} is a number, and ISO text is expected.`,
      `Write time: ${field}, or {field: ${field}, format: epochMs} and its unit.`,
    )
  } else document.add(path, `${field} is of type ${type}.`, 'Name a field of type number or text.')
}

/** The unit that the logical type of Avro says; null: it says none. */
function avroUnit(
  document: TopologyDocument,
  path: Path,
  { field, unit }: WrittenTime,
  { logicalType }: FoundField,
): Unit | null {
  if (logicalType === null) return null
  const said = unitsOfAvro[logicalType]
  if (said !== undefined) {
    if (unit === undefined || unit === said) return said
    document.add(
      [...path, 'unit'],
      `${field} is ${logicalType} in the schema.`,
      `Write unit: ${said}, or leave it out.`,
    )
  } else if (logicalType.startsWith('local-timestamp-')) {
    if (unit !== undefined) return unit
    const suggestion = `If it is meant in UTC, write the unit: {field: ${field}, unit: ${unitsOfAvro[logicalType.slice('local-'.length)] ?? 'ms'}}.`
    document.add(path, `${field} is ${logicalType} in the schema: a time without a zone.`, suggestion)
  } else if (logicalType === 'date' || logicalType.startsWith('time-') || logicalType === 'duration') {
    document.add(
      path,
      `${field} is ${logicalType} in the schema, which is no point in time.`,
      'Name a timestamp.',
    )
  }
  return null
}
