/** Which members of its events a topology reads, so that decoding can leave out the others. */
import type { DecidePlan } from '../decide/plan.ts'
import type { SourcePlan } from '../decode/plan.ts'
import type { EventExpression, EventPredicate, FeaturesSpec } from '../features/spec.ts'
import { ruleWords } from './expressions.ts'

type Reader = EventExpression | EventPredicate

/** Sources that no feature reads stay as they are: whoever asks for their labels names a field then. */
export function withFieldsRead(source: SourcePlan, spec: FeaturesSpec, decide: DecidePlan): SourcePlan {
  const readers = readersOf(source, spec)
  if (readers === null) return source
  const ways = [
    source.idField,
    source.keyField,
    source.timeField,
    ...spec.entities.flatMap(({ keys }) => keys),
  ]
  // A name with dots is a member of that name, or else the way through the first.
  const tops = ways.flatMap((name) => [name, name.split('.')[0]!])
  const read = namesOf(readers)
  const decided = source.name === spec.scored ? fieldsDecided(spec, decide) : []
  const fieldsRead = read === null || decided === null ? null : [...new Set([...tops, ...read, ...decided])]
  return { ...source, fieldsRead }
}

/** Expressions over events of the source; null: nothing is computed from them. */
function readersOf(
  { name }: SourcePlan,
  { scored, values, features }: FeaturesSpec,
): readonly Reader[] | null {
  const reading = features.flatMap((feature) =>
    feature.kind === 'ratio' || feature.from !== name ? [] : [feature],
  )
  if (reading.length === 0 && name !== scored) return null
  const own = name === scored ? values.map(({ expression }) => expression) : []
  const windowed = reading.flatMap(({ where, value }) => [where, value])
  return [...own, ...windowed.filter((reader) => reader !== null)]
}

/** Null: one of them may read any member. */
function namesOf(readers: readonly Reader[]): readonly string[] | null {
  const known = readers.every(({ references, isOpen }) => references !== undefined && isOpen === false)
  return known ? readers.flatMap(({ references = [] }) => references.map(fieldOf)) : null
}

/** Of what outcomes and rules name, the fields. A value never has the name of one. */
function fieldsDecided({ values }: FeaturesSpec, { references }: DecidePlan): readonly string[] | null {
  if (references === null || references === undefined) return null
  const others = new Set<string>([...ruleWords, ...values.map(({ name }) => name)])
  return references.filter((name) => !others.has(name) && !/^(values|features)\./.test(name)).map(fieldOf)
}

function fieldOf(reference: string): string {
  return reference.replace(/^event\./, '')
}
