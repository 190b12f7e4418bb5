/** What `replay --labels` names: a field of a source, checked against its schema before anything is read. */
import type { SourcePlan } from '../decode/plan.ts'
import { MillraceError } from '../errors.ts'
import { didYouMean } from '../expression/nearest.ts'
import type { Plan } from '../topology/plan.ts'
import { findField, isUnknown } from '../topology/source-fields.ts'

/** A field of a source; `field` may go on into objects, with dots. */
export interface LabelField {
  readonly source: string
  readonly field: string
}

/** True and false are written as 1 and 0. */
export type Label = boolean | number | string

/** `SOURCE.FIELD`; names of sources have no dots. */
export function parseLabelField(text: string): LabelField {
  const [, source, field] = /^([^.]+)\.(.+)$/.exec(text) ?? []
  if (source !== undefined && field !== undefined) return { source, field }
  throw new MillraceError('USAGE', `--labels ${text}: write SOURCE.FIELD, for example labels.fraud`)
}

/** Finds the source; throws USAGE when there is none, or when its schema says that the field is no label. */
export function labelSourceOf(plan: Plan, { source: name, field }: LabelField): SourcePlan {
  const sources = [...plan.sources, ...plan.labelSources]
  const source = sources.find((candidate) => candidate.name === name)
  const refuse = (why: string): MillraceError =>
    new MillraceError('USAGE', `--labels ${name}.${field}: ${why}`)
  if (source === undefined) {
    const names = sources.map((candidate) => candidate.name)
    throw refuse(`the topology has no source ${name}. ${didYouMean(name, names)}`)
  }
  const found = findField(source.codec, field)
  if (isUnknown(found))
    throw refuse(`${found.problem.replace('the schema ', `the schema of ${name} `)} ${found.suggestion}`)
  if (lists.has(found.type)) {
    throw refuse(`${field} is a list; a label is a number, true or false, or text. Name another field.`)
  }
  if (found.type === 'object') {
    const inside = [...(found.members?.keys() ?? [])].map((member) => `${name}.${field}.${member}`)
    throw refuse(`${field} is an object. Name one of its fields: ${inside.slice(0, 12).join(', ')}.`)
  }
  return source
}

const lists: ReadonlySet<string> = new Set(['texts', 'numbers', 'list'])

/** Whether labels are text, as the schema says: a field that may be anything is written as text. */
export function isTextLabel(plan: Plan, label: LabelField): boolean {
  const found = findField(labelSourceOf(plan, label).codec, label.field)
  return isUnknown(found) || found.type === 'text' || found.type === 'any'
}

/** The label in an event's fields; null: none. Throws USAGE when it is no number, truth or text. */
export function labelIn(
  fields: Readonly<Record<string, unknown>>,
  label: LabelField,
  where: string,
): Label | null {
  const value = Object.hasOwn(fields, label.field) ? fields[label.field] : within(fields, label.field)
  if (value === undefined || value === null) return null
  if (typeof value === 'boolean' || typeof value === 'string') return value
  if (typeof value === 'number') return Number.isFinite(value) ? value : null
  if (typeof value === 'bigint') return Number.isSafeInteger(Number(value)) ? Number(value) : String(value)
  const { source, field } = label
  if (Array.isArray(value) || typeof value !== 'object') {
    throw new MillraceError('USAGE', `--labels ${source}.${field}: it is a list in ${where}, not one value`)
  }
  const inside = Object.keys(value).map((name) => `${source}.${field}.${name}`)
  const suggestion = inside.length === 0 ? '' : `; name one of its fields: ${inside.slice(0, 12).join(', ')}`
  throw new MillraceError('USAGE', `--labels ${source}.${field}: it is an object in ${where}${suggestion}`)
}

function within(fields: Readonly<Record<string, unknown>>, path: string): unknown {
  return path.split('.').reduce<unknown>((at, name) => {
    if (typeof at !== 'object' || at === null || !Object.hasOwn(at, name)) return undefined
    return (at as Record<string, unknown>)[name]
  }, fields)
}

/** What became of the records that may hold labels. */
export interface LabelCounts {
  readonly records: number
  /** No valid events. */
  readonly rejected: number
  /** Published too late for `--as-of`. */
  readonly later: number
  /** Events without the field. */
  readonly without: number
  /** Ids that have a label. */
  readonly ids: number
  /** One of them, to compare with the rows' ids. */
  readonly sampleId: string | null
}
