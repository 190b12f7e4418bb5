/**
 * Every feature by its definition, over whole arrays: slow, and sharing no code with src/features (only the types of
 * the spec). What it returns is what the service must have computed for an event.
 */
import type { Event } from '../../src/record/event.ts'
import type { AggregateSpec, FeaturesSpec } from '../../src/features/spec.ts'
import { aggregateByDefinition, present } from './aggregate-oracle.ts'

/** An event as it lies in a log; topic, partition and offset are those of `event.raw`. */
export interface LoggedEvent {
  readonly source: string
  readonly event: Event
}

export interface OracleQuestion {
  readonly spec: FeaturesSpec
  /** All events of all inputs, in any order. Leave out those that were not applied (quarantined, invalid). */
  readonly events: readonly LoggedEvent[]
  /** The scored event. */
  readonly at: LoggedEvent
  /**
   * Of every other input (`topic:partition`): the offset below which its events were visible; absent: none were. Of its
   * own partition an event sees what lies before it, and itself.
   */
  readonly visible: ReadonlyMap<string, number>
  /** Entity → the same, where it saw more. */
  readonly visibleTo?: Readonly<Record<string, Readonly<Record<string, number>>>>
  /** Whether an event changed state; false for those the late policy left out. Default: all did. */
  readonly applied?: (logged: LoggedEvent) => boolean
  /** Events older than this were late (event watermark − allowed lateness when `at` was scored). Default: none. */
  readonly lateBeforeMs?: number
}

export interface OracleRow {
  /** Name → number; null: missing. In the order of the topology. */
  readonly numbers: ReadonlyMap<string, number | null>
  readonly capped: boolean
}

export function oracleRow(question: OracleQuestion): OracleRow {
  const { spec, at } = question
  const numbers = new Map<string, number | null>()
  let capped = false
  const compute = (name: string): number | null => {
    const known = numbers.get(name)
    if (known !== undefined) return known
    const value = spec.values.find((candidate) => candidate.name === name)
    if (value !== undefined) return present(value.expression.evaluate(at.event))
    const feature = spec.features.find((candidate) => candidate.name === name)
    if (feature === undefined) throw new Error(`no column ${name}`)
    if (feature.kind === 'ratio') {
      const of = compute(feature.of)
      const to = compute(feature.to)
      return of === null || to === null || to === 0 ? feature.default : of / to
    }
    const seen = look(question, feature)
    if (seen.capped) capped = true
    return aggregateByDefinition(feature, seen.events, at.event)
  }
  for (const { name } of [...spec.values, ...spec.features]) numbers.set(name, compute(name))
  return { numbers, capped }
}

function inputOf({ event }: LoggedEvent): string {
  return `${event.raw.topic}:${event.raw.partition}`
}

function sameRecord(a: LoggedEvent, b: LoggedEvent): boolean {
  return inputOf(a) === inputOf(b) && a.event.raw.offset === b.event.raw.offset
}

/** Texts of the entity's key fields; null when one is missing. */
function identity(keys: readonly string[], event: Event): string[] | null {
  const texts: string[] = []
  for (const key of keys) {
    const value = event.fields[key]
    if (value === null || value === undefined || typeof value === 'object' || Number.isNaN(value)) return null
    texts.push(`${value as string | number | boolean}`)
  }
  return texts
}

interface Seen {
  /** Inside the window; oldest first, log order in a partition, the own partition behind the others at equal times. */
  readonly events: readonly Event[]
  readonly capped: boolean
}

function look(question: OracleQuestion, feature: AggregateSpec): Seen {
  const { spec, at } = question
  const entity = spec.entities.find((candidate) => candidate.name === feature.over)!
  const wanted = identity(entity.keys, at.event)
  if (wanted === null) return { events: [], capped: false }
  const isOwnSource = feature.from === spec.scored
  const parts = new Map<string, LoggedEvent[]>()
  for (const logged of question.events) {
    if (logged.source !== feature.from) continue
    if (question.applied !== undefined && !question.applied(logged)) continue
    const own = isOwnSource && inputOf(logged) === inputOf(at)
    if (isOwnSource && !own && !entity.merge) continue
    const seen = question.visibleTo?.[entity.name]?.[inputOf(logged)] ?? question.visible.get(inputOf(logged))
    const below = own ? at.event.raw.offset + 1 : (seen ?? -1)
    if (logged.event.raw.offset >= below) continue
    const its = identity(entity.keys, logged.event)
    if (its === null || its.some((text, i) => text !== wanted[i])) continue
    parts.set(inputOf(logged), [...(parts.get(inputOf(logged)) ?? []), logged])
  }

  const inWindow = windowTest(feature, at)
  const reach = horizon(spec, feature)
  // A late event sees no further back than an event that is just not late.
  const floor = Math.max(at.event.time, question.lateBeforeMs ?? -Infinity) - reach
  const inside: LoggedEvent[] = []
  let capped = false
  for (const part of parts.values()) {
    part.sort((a, b) => a.event.time - b.event.time || a.event.raw.offset - b.event.raw.offset)
    const hidden = part.slice(0, Math.max(0, part.length - spec.eventsPerEntityMax))
    if (hidden.some(({ event }) => event.time > floor)) capped = true
    inside.push(
      ...part.slice(hidden.length).filter((logged) => logged.event.time > floor && inWindow(logged)),
    )
  }
  const rank = (logged: LoggedEvent): number => (inputOf(logged) === inputOf(at) ? 1 : 0)
  inside.sort(
    (a, b) =>
      a.event.time - b.event.time ||
      rank(a) - rank(b) ||
      a.event.raw.topic.localeCompare(b.event.raw.topic) ||
      b.event.raw.partition - a.event.raw.partition ||
      a.event.raw.offset - b.event.raw.offset,
  )
  return { events: inside.map(({ event }) => event), capped }
}

function windowTest(feature: AggregateSpec, at: LoggedEvent): (logged: LoggedEvent) => boolean {
  const right = at.event.time - feature.delayMs
  const left = right - feature.windowMs
  return (logged) => {
    if (!feature.current && sameRecord(logged, at)) return false
    const { time } = logged.event
    switch (feature.edges) {
      case '(]':
        return time > left && time <= right
      case '[)':
        return time >= left && time < right
      case '[]':
        return time >= left && time <= right
      case '()':
        return time > left && time < right
    }
  }
}

/** How far back the features over the same entity and source look; whole ms, so a closed edge is one more. */
function horizon(spec: FeaturesSpec, of: AggregateSpec): number {
  let furthest = 0
  for (const feature of spec.features) {
    if (feature.kind === 'ratio' || feature.over !== of.over || feature.from !== of.from) continue
    const closed = feature.edges === '[)' || feature.edges === '[]'
    furthest = Math.max(furthest, feature.windowMs + feature.delayMs + (closed ? 1 : 0))
  }
  return furthest
}
