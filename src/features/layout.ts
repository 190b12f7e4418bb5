import { MillraceError } from '../errors.ts'
import type { FailureSink } from '../expression/failure.ts'
import type { Event } from '../record/event.ts'
import { aggregateOf } from './aggregates/table.ts'
import type { Layout } from './compiled.ts'
import { layoutCheck } from './part-codec.ts'
import type { PartFormat } from './part-codec.ts'
import { maskColumn, offsetColumn, openSlot, timeColumn, valueColumn } from './part-log.ts'
import type { Part } from './part-log.ts'
import type { AggregateSpec, EventExpression, EventPredicate, FeaturesSpec } from './spec.ts'
import { reachOf } from './window.ts'

export interface LayoutPlan extends Layout {
  /** The features that read it. */
  readonly features: readonly AggregateSpec[]
  /** The cap counts back from the event that reads, not from the newest one: what is read ahead hides nothing. */
  readonly capByTime: boolean
  readonly keys: readonly string[]
  readonly predicates: readonly EventPredicate[]
  readonly values: readonly EventExpression[]
  readonly format: PartFormat
  /** Where an event's values wait until all are known: an insertion that fails midway leaves no trace in the part. */
  readonly staged: Float64Array
}

// A mask is a non-negative 32-bit integer in the hot loops.
const predicatesMax = 31

/**
 * One layout per (entity, source) pair that some feature reads, in the order of first use. `readAhead`: two where features
 * with and without delay read another source than the scored one.
 */
export function planLayouts(spec: FeaturesSpec, readAhead: boolean): LayoutPlan[] {
  const windowed = spec.features.filter((feature): feature is AggregateSpec => feature.kind !== 'ratio')
  const pairOf = ({ over, from }: AggregateSpec): string => JSON.stringify([over, from])
  const isAhead = ({ from, delayMs }: AggregateSpec): boolean =>
    readAhead && from !== spec.scored && delayMs > 0
  const groups = Map.groupBy(windowed, (feature) => `${pairOf(feature)} ${isAhead(feature)}`)
  // Lateness and the cap look at the horizon of the pair, whoever reads it.
  const horizons = new Map<string, number>()
  for (const feature of windowed) {
    const known = horizons.get(pairOf(feature)) ?? 0
    horizons.set(pairOf(feature), Math.max(known, reachOf(feature).reachMs))
  }
  return [...groups.values()].map((features, index) => {
    const first = features[0]!
    const horizonMs = horizons.get(pairOf(first))!
    return planLayout(spec, { index, features, horizonMs, capByTime: isAhead(first) })
  })
}

function planLayout(
  spec: FeaturesSpec,
  group: Pick<LayoutPlan, 'index' | 'features' | 'horizonMs' | 'capByTime'>,
): LayoutPlan {
  const { features } = group
  const { over, from: source, name } = features[0]!
  const entity = spec.entities.find((candidate) => candidate.name === over)
  if (entity === undefined || entity.keys.length === 0) {
    throw new MillraceError(
      'TOPOLOGY_INVALID',
      `feature ${name}: entity ${over} is not defined with a key; add it under entities`,
    )
  }
  const predicates = distinct(features.map((feature) => feature.where))
  const values = distinct(features.map(valueOf))
  if (predicates.length > predicatesMax) {
    throw new MillraceError(
      'TOPOLOGY_INVALID',
      `features over ${over} from ${source} use ${predicates.length} different conditions, at most ${predicatesMax} ` +
        'fit one entity; define a second entity with the same key for some of them',
    )
  }
  const columns = [
    'time',
    ...values.map((value) => value.text),
    ...predicates.map((predicate) => `where: ${predicate.text}`),
  ]
  return {
    ...group,
    entity: over,
    source,
    merge: entity.merge,
    shared: entity.merge || source !== spec.scored,
    delayed: features.every(({ delayMs }) => delayMs > 0),
    columns,
    keys: entity.keys,
    predicates,
    values,
    format: {
      name: `${over} from ${source}`,
      shape: { masked: predicates.length > 0, valueCount: values.length },
      predicateCount: predicates.length,
      check: layoutCheck(JSON.stringify([over, entity.keys, source, columns])),
      eventsMax: spec.eventsPerEntityMax,
    },
    staged: new Float64Array(values.length),
  }
}

/** The expression whose column a feature reads; null for those that only count events or look at times. */
function valueOf({ aggregate, value }: AggregateSpec): EventExpression | null {
  return aggregateOf(aggregate).value === 'none' ? null : value
}

function distinct<T extends { readonly text: string }>(items: readonly (T | null)[]): T[] {
  const byText = new Map<string, T>()
  for (const item of items) {
    if (item !== null && !byText.has(item.text)) byText.set(item.text, item)
  }
  return [...byText.values()]
}

/** Bit of a predicate in the mask column; 0 for none, which every event satisfies. */
export function predicateBit(layout: LayoutPlan, predicate: EventPredicate | null): number {
  if (predicate === null) return 0
  return 1 << layout.predicates.findIndex((candidate) => candidate.text === predicate.text)
}

/** Column of an expression's value in a part of this layout. */
export function columnOf(layout: LayoutPlan, expression: EventExpression): number {
  const index = layout.values.findIndex((candidate) => candidate.text === expression.text)
  return valueColumn(layout.format.shape, index)
}

/** Inserts an event at its own time, with what the features of this layout need of it. */
export function insertEvent(layout: LayoutPlan, part: Part, event: Event, failures?: FailureSink): void {
  const { predicates, values, staged } = layout
  const { shape, eventsMax } = layout.format
  const { offset } = event.raw
  let mask = 0
  for (let i = 0; i < predicates.length; i++) if (predicates[i]!.test(event, failures)) mask |= 1 << i
  for (let i = 0; i < values.length; i++) staged[i] = finiteOrNaN(values[i]!.evaluate(event, failures))

  const at = openSlot(part, event.time, eventsMax)
  const { data, capacity } = part
  data[timeColumn * capacity + at] = event.time
  data[offsetColumn * capacity + at] = offset
  if (shape.masked) data[maskColumn * capacity + at] = mask
  for (let i = 0; i < values.length; i++) data[valueColumn(shape, i) * capacity + at] = staged[i]!
  if (offset > part.lastOffset) part.lastOffset = offset
}

/** Null, NaN and infinities are one thing: missing. An infinity would poison every sum it is in. */
export function finiteOrNaN(value: number | null): number {
  return value !== null && Number.isFinite(value) ? value : NaN
}
