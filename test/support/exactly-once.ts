import { expect } from 'vitest'
import type { FeaturesSpec } from '../../src/features/spec.ts'
import type { SourcePlan } from '../../src/decode/plan.ts'
import { parseMetadata } from '../../src/pipeline/metadata.ts'
import type { Event } from '../../src/record/event.ts'
import type { Alert, Prediction } from '../../src/record/prediction.ts'
import type { Plan } from '../../src/topology/plan.ts'
import { oracleRow, type LoggedEvent } from './feature-oracle.ts'
import { readCommitted, type RefereeRecord } from './referee.ts'
import { alertFrom } from './service-topology.ts'
import { brokers } from './servers.ts'
import type { LoggedInput, ServiceWorld } from './service-world.ts'

/*
 * Judges a run from the logs alone, as an outsider: inputs as written, outputs as Kafka's own consumer shows them, features
 * by the brute-force oracle. Knows the rules of exactly-once.md, not the code that keeps them.
 */
export interface Outputs {
  readonly predictions: readonly Published<Prediction>[]
  readonly alerts: readonly Published<Alert>[]
  readonly deadLetters: readonly RefereeRecord[]
}

export interface Published<T> {
  readonly record: RefereeRecord
  readonly value: T
}

export interface CheckOptions {
  /** Also compare delayed features with all there is, not only with what was visible: nothing was scored too early. */
  readonly complete?: boolean
  /** Inputs the model throws on. */
  readonly poison?: (input: LoggedInput) => boolean
  /** Inputs that were passed over: they gave nothing. */
  readonly skipped?: (input: LoggedInput) => boolean
  /** Inputs that state was not built from. */
  readonly unseen?: (input: LoggedInput) => boolean
  /** Predictions whose features are not looked at (made with another topology, or other state). */
  readonly otherFeatures?: (at: Prediction['position']) => boolean
}

export async function readOutputs({ topics }: ServiceWorld): Promise<Outputs> {
  const [predictions, alerts, deadLetters] = await Promise.all([
    readCommitted(brokers(), topics.predictions),
    readCommitted(brokers(), topics.alerts),
    readCommitted(brokers(), topics.deadLetters),
  ])
  const parsed = <T>(records: readonly RefereeRecord[]): Published<T>[] =>
    records.map((record) => ({ record, value: JSON.parse(record.value ?? 'null') as T }))
  return { predictions: parsed(predictions), alerts: parsed(alerts), deadLetters }
}

/** Asserts I1, I2, I3 and exact features over everything the world's group has committed. Returns what it read. */
export async function checkExactlyOnce(world: ServiceWorld, options: CheckOptions = {}): Promise<Outputs> {
  const committed = new Map((await world.positions()).map((one) => [placeOf(one), one]))
  for (const [place, { offset, metadata }] of committed) {
    expect(parseMetadata(metadata)?.offset, `metadata of ${place} names its own offset`).toBe(offset)
  }
  const outputs = await readOutputs(world)
  const inputs = world.input.filter(({ source }) => source === 'transactions')
  const problems = [
    ...coverage(inputs, outputs, (place) => committed.get(place)?.offset ?? 0, options),
    ...alertProblems(outputs),
    ...order(outputs.predictions.map(({ record, value }) => ({ record, position: value.position }))),
    ...order(outputs.alerts.map(({ record, value }) => ({ record, position: value.position }))),
    ...order(outputs.deadLetters.map((record) => ({ record, position: deadLetterPosition(record) }))),
    ...featureProblems(world, outputs, options),
  ]
  expect(summary(problems)).toEqual([])
  return outputs
}

function summary(problems: readonly string[]): string[] {
  return problems.length <= 12 ? [...problems] : [...problems.slice(0, 12), `… ${problems.length} in all`]
}

function placeOf({ topic, partition }: { topic: string; partition: number }): string {
  return `${topic}:${partition}`
}

function positionOf(at: { topic: string; partition: number; offset: number }): string {
  return `${at.topic}:${at.partition}:${at.offset}`
}

export function deadLetterPosition({ headers }: RefereeRecord): Prediction['position'] {
  return {
    topic: headers['__dlq.errors.topic'] ?? '',
    partition: Number(headers['__dlq.errors.partition']),
    offset: Number(headers['__dlq.errors.offset']),
  }
}

/** I1: every record below the committed offset gave exactly one prediction or dead letter of the right kind. */
function coverage(
  inputs: readonly LoggedInput[],
  { predictions, deadLetters }: Outputs,
  committed: (place: string) => number,
  { poison, skipped }: CheckOptions,
): string[] {
  const problems: string[] = []
  const found = new Map<string, string[]>()
  const add = (position: Prediction['position'], what: string): void => {
    const name = positionOf(position)
    const before = found.get(name)
    if (before === undefined) found.set(name, [what])
    else before.push(what)
  }
  for (const { value } of predictions) add(value.position, 'prediction')
  for (const record of deadLetters) {
    add(deadLetterPosition(record), record.headers['millrace.dlq.reason'] ?? 'no reason')
  }
  for (const input of inputs) {
    const name = positionOf(input)
    const outcome = found.get(name) ?? []
    found.delete(name)
    const due = input.offset < committed(placeOf(input)) && skipped?.(input) !== true
    const expected = !due ? [] : poison?.(input) === true ? ['INFERENCE'] : [input.becomes]
    if (outcome.join() !== expected.join()) {
      problems.push(`I1: ${name} gave [${outcome.join()}], expected [${expected.join()}]`)
    }
  }
  for (const [name, what] of found) problems.push(`I1: ${what.join()} for ${name}, which is no input`)
  return problems
}

/** I2: exactly the predictions whose score reaches the rule have an alert, once, saying the same. */
function alertProblems({ predictions, alerts }: Outputs): string[] {
  const problems: string[] = []
  const due = new Map(
    predictions
      .filter(({ value }) => value.score >= alertFrom)
      .map(({ value }) => [positionOf(value.position), value]),
  )
  const ids = new Set<string>()
  for (const { value } of alerts) {
    const name = positionOf(value.position)
    const prediction = due.get(name)
    due.delete(name)
    if (ids.has(value.alertId)) problems.push(`I2: alert id ${value.alertId} twice`)
    ids.add(value.alertId)
    if (prediction === undefined) problems.push(`I2: alert for ${name} twice, or without its prediction`)
    else if (prediction.id !== value.id || prediction.score !== value.score)
      problems.push(`I2: alert for ${name} and its prediction differ`)
  }
  for (const name of due.keys()) problems.push(`I2: the alert for ${name} is lost`)
  return problems
}

/** I3: outputs lie in their input's partition, in its order. */
function order(
  outputs: readonly { readonly record: RefereeRecord; readonly position: Prediction['position'] }[],
): string[] {
  const problems: string[] = []
  const last = new Map<number, number>()
  for (const { record, position } of outputs) {
    const name = `${record.topic}:${record.partition}:${record.offset}`
    if (record.partition !== position.partition) problems.push(`I3: ${name} is of ${positionOf(position)}`)
    const before = last.get(record.partition) ?? -1
    if (position.offset <= before)
      problems.push(`I3: ${name} is of ${positionOf(position)}, behind ${before}`)
    last.set(record.partition, position.offset)
  }
  return problems
}

// --- features -------------------------------------------------------------------------------------------------------

interface AppliedEvent extends LoggedEvent {
  /** Changed state. */
  readonly applied: boolean
  readonly late: boolean
  readonly lateBeforeMs: number
}

function featureProblems(world: ServiceWorld, { predictions }: Outputs, options: CheckOptions): string[] {
  const { plan } = world
  const history = fold(world.input, plan, options.unseen ?? (() => false))
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

/** Which events change state and which are late, from the log alone: by partition, in offset order. */
function fold(
  input: readonly LoggedInput[],
  plan: Plan,
  unseen: (input: LoggedInput) => boolean,
): ReadonlyMap<string, AppliedEvent> {
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
  const late = source.allowedLatenessMs === null ? !visible : time < lateBeforeMs
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
  const raw = { topic, partition, offset, timestamp: timestampMs, key: null, value: null, headers: {} }
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
  { complete = false }: CheckOptions,
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
  const row = oracleRow({ ...question, visible })
  const problems = compare(name, prediction, row.numbers)
  if (complete && !prediction.flags.includes('unaligned')) {
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
