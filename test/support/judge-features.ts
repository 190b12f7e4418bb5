import type { SourcePlan } from '../../src/decode/plan.ts'
import type { FeaturesSpec } from '../../src/features/spec.ts'
import type { Event } from '../../src/record/event.ts'
import type { Prediction } from '../../src/record/prediction.ts'
import type { Plan } from '../../src/topology/plan.ts'
import type { LoggedInput } from './card-world.ts'
import { oracleRow, type LoggedEvent } from './feature-oracle.ts'
import { placeOf, positionOf, type CheckOptions, type Outputs } from './evidence.ts'

export interface AppliedEvent extends LoggedEvent {
  /** Changed state. */
  readonly applied: boolean
  readonly late: boolean
  readonly lateBeforeMs: number
}

/** I9: features as the oracle has them, over what was visible. */
export function featureProblems(
  plan: Plan,
  history: History,
  { predictions }: Outputs,
  options: CheckOptions,
): string[] {
  const related = indexByEntity(plan.featuresSpec, [...history.values()])
  const problems: string[] = []
  for (const { value } of predictions) {
    if (options.otherFeatures?.(value.position) === true) continue
    const at = history.get(positionOf(value.position))
    if (at === undefined) {
      problems.push(`I9: ${positionOf(value.position)} is no event`)
      continue
    }
    problems.push(...rowProblems(plan, value, at, related(at), options))
  }
  return problems
}

/** Events of the source logs by position. */
export type History = ReadonlyMap<string, AppliedEvent>

/** Which events change state and which are late, from the log alone: by partition, in offset order. */
export function fold(
  input: readonly LoggedInput[],
  plan: Plan,
  unseen: (input: LoggedInput) => boolean,
): History {
  const history = new Map<string, AppliedEvent>()
  const partitions = Map.groupBy(
    input.filter((one) => !unseen(one)),
    placeOf,
  )
  for (const records of partitions.values()) {
    let maxTime = -Infinity
    for (const record of records.toSorted((a, b) => a.offset - b.offset)) {
      if (record.event === null) continue
      const source = plan.sources.find(({ name }) => name === record.source)!
      const judged = judge(plan.featuresSpec, source, record.event.time, maxTime)
      history.set(positionOf(record), { source: record.source, event: eventOf(record), ...judged })
      maxTime = Math.max(maxTime, record.event.time)
    }
  }
  return history
}

function judge(
  spec: FeaturesSpec,
  source: SourcePlan,
  time: number,
  maxTime: number,
): { applied: boolean; late: boolean; lateBeforeMs: number } {
  const watermark = maxTime - source.outOfOrderMs
  const visible = time > watermark - reach(spec, source.name)
  const lateBeforeMs = watermark - (source.allowedLatenessMs ?? reach(spec, source.name))
  const late = source.allowedLatenessMs !== null && time < lateBeforeMs
  return { late, lateBeforeMs, applied: !late || (source.late === 'score' && visible) }
}

function sourceOf(feature: FeaturesSpec['features'][number]): string {
  return feature.kind === 'ratio' ? '' : feature.from
}

/** How far back features over `source` look, ms. */
function reach(spec: FeaturesSpec, source: string): number {
  const features = spec.features.filter((feature) => feature.kind !== 'ratio' && feature.from === source)
  return Math.max(
    0,
    ...features.map((feature) =>
      feature.kind === 'ratio'
        ? 0
        : feature.windowMs + feature.delayMs + (feature.edges.startsWith('[') ? 1 : 0),
    ),
  )
}

function eventOf({ event, topic, partition, offset, timestampMs }: LoggedInput): Event {
  if (event === null) throw new Error('no event')
  const raw = { topic, partition, offset, timestamp: timestampMs, key: null, value: null, headers: [] }
  return { ...event, raw }
}

/** The events that share an entity with a given one; the oracle looks at all it is given, for every feature. */
function indexByEntity(
  { entities }: FeaturesSpec,
  events: readonly AppliedEvent[],
): (at: AppliedEvent) => AppliedEvent[] {
  const names = ({ event }: AppliedEvent): string[] =>
    entities.map(({ name, keys }) => `${name}|${keys.map((key) => String(event.fields[key])).join('|')}`)
  const index = new Map<string, AppliedEvent[]>()
  for (const event of events) {
    for (const name of names(event)) {
      const list = index.get(name)
      if (list === undefined) index.set(name, [event])
      else list.push(event)
    }
  }
  return (at) => [...new Set(names(at).flatMap((name) => index.get(name) ?? []))]
}

/** Without the events that no window reaches: the oracle is slow. With so few that the cap cannot matter. */
function inSight(
  spec: FeaturesSpec,
  at: AppliedEvent,
  events: readonly AppliedEvent[],
): readonly AppliedEvent[] {
  if (events.length > spec.eventsPerEntityMax) return events
  const from = at.event.time - Math.max(...spec.features.map((feature) => reach(spec, sourceOf(feature))))
  return events.filter(({ event }) => event.time >= from && event.time <= at.event.time)
}

function rowProblems(
  plan: Plan,
  prediction: Prediction,
  at: AppliedEvent,
  events: readonly AppliedEvent[],
  { complete = false, gapless = false }: CheckOptions,
): string[] {
  const name = positionOf(prediction.position)
  const question = {
    spec: plan.featuresSpec,
    events: inSight(plan.featuresSpec, at, events),
    at,
    applied: (logged: LoggedEvent) => (logged as AppliedEvent).applied,
    lateBeforeMs: at.lateBeforeMs,
  }
  const visible = new Map(Object.entries(prediction.watermarks ?? {}))
  const visibleTo = prediction.entityWatermarks ?? {}
  const row = oracleRow({ ...question, visible, visibleTo })
  const problems = compare(name, prediction, row.numbers)
  if (gapless && prediction.flags.includes('gap')) problems.push(`I9: ${name} says gap`)
  if (complete && prediction.flags.includes('unaligned')) problems.push(`I9: ${name} is unaligned`)
  if (complete) {
    const all = new Map([...visible.keys()].map((input) => [input, Infinity]))
    problems.push(
      ...compare(`${name} (complete)`, prediction, oracleRow({ ...question, visible: all }).numbers),
    )
  }
  if (prediction.flags.includes('late') !== at.late) problems.push(`I9: ${name} late: ${!at.late}`)
  if (prediction.flags.includes('capped') !== row.capped) problems.push(`I9: ${name} capped: ${!row.capped}`)
  if (prediction.id !== at.event.id) problems.push(`I9: ${name} has id ${prediction.id}`)
  return problems
}

function compare(
  name: string,
  { features = {}, values = {} }: Prediction,
  expected: ReadonlyMap<string, number | null>,
): string[] {
  const published: Readonly<Record<string, number | null>> = { ...values, ...features }
  const problems: string[] = []
  for (const [feature, number] of expected) {
    const actual = published[feature]
    const same =
      actual === number ||
      (typeof actual === 'number' &&
        typeof number === 'number' &&
        !Number.isInteger(number) &&
        Math.abs(actual - number) <= 1e-9 * Math.abs(number))
    if (!same) problems.push(`I9: ${name} ${feature} is ${actual}, expected ${number}`)
  }
  return problems
}
