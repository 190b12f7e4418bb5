/** What the model's inputs are computed from: the hash that a model is trained with, and one per input. */
import type { SourcePlan } from '../decode/plan.ts'
import type { AggregateSpec, EventExpression, EventPredicate, FeaturesSpec } from '../features/spec.ts'
import { reachOf } from '../features/window.ts'
import type { ModelPlan } from '../model/plan.ts'
import type { FieldTypes } from './event-types.ts'
import { canonicalJson, hashOf } from './hash.ts'

/**
 * Version of the code that turns events into numbers (aggregates, expressions, late verdicts). Raise it with every
 * change after which the same definition gives other numbers: all models are then refused until trained again.
 */
export const vectorVersion = 1

export interface VectorParts {
  readonly spec: FeaturesSpec
  /** Those that features read, in the order of the file. */
  readonly sources: readonly SourcePlan[]
  readonly fieldsOf: (source: string) => FieldTypes | null
}

export interface VectorHashes {
  /** Names and order of the inputs with all that their numbers are computed from. */
  readonly vectorHash: string
  /** By name of the value or feature, of its definition alone. */
  readonly definitions: Readonly<Record<string, string>>
}

/**
 * Covered is what decides a number. Not covered: names of entities, sources, topics and unused features; how records
 * are encoded, and which of them a schema or a limit refuses (they are no events); the id, and where parts are kept.
 */
export function vectorHashesOf(inputs: ModelPlan['inputs'], parts: VectorParts): VectorHashes {
  const { spec } = parts
  const values = new Map(spec.values.map((value) => [value.name, value]))
  const features = new Map(spec.features.map((feature) => [feature.name, feature]))
  const define = (name: string, depth: number): unknown => {
    const value = values.get(name)
    if (value !== undefined) return { value: expressionOf(value.expression, spec.scored, parts) }
    const feature = features.get(name)
    // Circles are a problem of their own; here they only must end.
    if (feature === undefined || depth > features.size) return null
    if (feature.kind !== 'ratio') return windowedOf(feature, parts)
    const { of, to, default: empty } = feature
    return { ratio: { of: define(of, depth + 1), to: define(to, depth + 1) }, default: empty }
  }
  const names = new Set(inputs.flatMap((input) => input.features))
  const definitions = Object.fromEntries([...names].map((name) => [name, hashOf(define(name, 0))]))
  const vectorHash = hashOf({
    vectorVersion,
    inputs: inputs.map(({ name, features: columns }) => ({
      input: name,
      columns: columns.map((column) => ({ name: column, definition: definitions[column] })),
    })),
  })
  return { vectorHash, definitions }
}

function windowedOf(feature: AggregateSpec, parts: VectorParts): unknown {
  const { spec } = parts
  const { from, where } = feature
  const entity = spec.entities.find(({ name }) => name === feature.over)
  const { reachMs, lagMs, withoutCurrent } = reachOf(feature)
  return {
    // A pair is the same pair from either end. What is merged may see other partitions' events.
    key: entity?.keys.toSorted(),
    merge: entity?.merge,
    events: eventsOf(from, parts),
    rows: eventsOf(spec.scored, parts),
    eventsPerEntityMax: spec.eventsPerEntityMax,
    // What is scored is never in a window over another source.
    window: { reachMs, lagMs, withoutCurrent: withoutCurrent && from === spec.scored },
    where: where === null ? null : expressionOf(where, from, parts),
    default: feature.default,
    ...resultOf(feature, parts),
  }
}

function resultOf({ aggregate, value, divideBy, settings, from }: AggregateSpec, parts: VectorParts): object {
  const { smoothing, ...others } = settings
  // A weight of 0 is no smoothing.
  if (aggregate === 'rate') return { aggregate, smoothing: smoothing?.weight ? smoothing : null }
  return {
    aggregate,
    value: value === null ? null : expressionOf(value, from, parts),
    divideBy,
    ...others,
  }
}

/** The text, and the types of the fields in it: what an operator does depends on them. */
function expressionOf(
  { text, references = [] }: EventExpression | EventPredicate,
  source: string,
  { fieldsOf }: VectorParts,
): unknown {
  const fields = fieldsOf(source)
  return {
    text,
    types: Object.fromEntries(
      references.map((reference) => {
        // `event.x` is the field x.
        const name = fields?.has(reference) === true ? reference : reference.replace(/^event\./, '')
        return [name, fields?.get(name)?.type ?? null]
      }),
    ),
  }
}

/** When a source's events happen, and which of them count: whatever its name is. */
function eventsOf(name: string, { sources, spec }: VectorParts): unknown {
  const source = sources.find((candidate) => candidate.name === name)
  if (source === undefined) return null
  if (name === spec.scored) return { scored: timesOf(source) }
  // Without names, sources that are alike are told apart by their order: a feature may move from one to the other.
  const alike = sources.filter(
    (other) => other.name !== spec.scored && canonicalJson(timesOf(other)) === canonicalJson(timesOf(source)),
  )
  return { state: timesOf(source), place: alike.indexOf(source) }
}

function timesOf({ timeField, timeFormat, outOfOrderMs, allowedLatenessMs, late }: SourcePlan): unknown {
  // Dropped or made a dead letter: either way a late event is in no window.
  return { timeField, timeFormat, outOfOrderMs, allowedLatenessMs, lateCounts: late === 'score' }
}
