import { lateVerdict } from '../features/lateness.ts'
import type { FeatureRow, Layout, PartLog, PartView } from '../features/compiled.ts'
import type { FailureSink } from '../expression/failure.ts'
import type { Event, Reject } from '../record/event.ts'
import type { PredictionFlag } from '../record/prediction.ts'
import type { SourcePlan } from '../decode/plan.ts'
import type { Plan } from '../topology/plan.ts'
import { EventFailures, expressionReject } from './event-failures.ts'
import type { HeldPart, PartitionMemory } from './partition-memory.ts'
import type { EventStamp } from './peers.ts'
import { latenessMs, scoredSource } from './partition-context.ts'

/** A scored event with its features. */
export interface AppliedRow {
  readonly event: Event
  readonly row: FeatureRow
  readonly flags: readonly PredictionFlag[]
  /** What it saw of other partitions' parts; absent: it read none. */
  readonly stamp?: EventStamp
  /** Flagged `unaligned`: as in the prediction. */
  readonly behind?: Readonly<Record<string, number>>
}

/** How one partition's events change state. Made once per takeover; state transitions are a function of the log alone. */
export interface Applier {
  /** Layouts the events of this partition are inserted into. */
  readonly fed: readonly Layout[]
  /**
   * Applies one event to the memory (its parts must be held) and, for a scored source, computes its row.
   * A late event may be a reject by policy.
   */
  apply(event: Event, foreign: ForeignParts | null): AppliedRow | Reject | null
  /** State only: replay. */
  replay(event: Event): void
}

/** Other partitions' parts of this event's merged entities. */
export interface ForeignParts {
  of(layout: number, entityKey: string): readonly PartLog[]
  /** Events at or before this time may miss deleted records there; null: none are missing. */
  gapUntil(event: Event): number | null
  /** Event time before which an event may miss what has expired. */
  readonly keptSince: number
}

export interface ApplierOptions {
  readonly plan: Plan
  readonly source: SourcePlan
  readonly memory: PartitionMemory
  /** Largest event time of the committed prefix, and of the slowest reader of merged parts; null: do not trim. */
  readonly committedTime: () => number | null
  readonly slowestReaderTime: () => number | null
  /** Events below this offset are in the store already, for this entity's bucket. */
  readonly storedBelow: (entityKey: string) => number
  readonly gapUntil: number | null
  /** The layouts it keeps; absent: all that events of the source feed. */
  readonly fed?: readonly Layout[]
  /** Hears of expressions in error on events that are applied; absent: nobody does. */
  readonly failed?: (place: string, message: string) => void
}

const noParts: readonly PartLog[] = []

export function createApplier(options: ApplierOptions): Applier {
  const { plan, source, memory } = options
  const { features } = plan
  const ofSource = features.layoutsFedBy(source.name)
  const { fed = ofSource } = options
  const horizonMs = Math.max(0, ...ofSource.map((layout) => layout.horizonMs))
  const scored = scoredSource(plan)
  const trimBehindMs = scored.outOfOrderMs + latenessMs(scored, features.horizonMs)

  const trimUntil = (layout: Layout): number | null => {
    const own = options.committedTime()
    if (own === null) return null
    if (!layout.shared) return own - trimBehindMs - layout.horizonMs
    const slowest = options.slowestReaderTime()
    return slowest === null ? null : Math.min(own, slowest) - trimBehindMs - layout.horizonMs
  }
  const verdictOf = (event: Event): ReturnType<typeof lateVerdict> =>
    lateVerdict({
      time: event.time,
      maxTimeBefore: memory.maxTime ?? -Infinity,
      outOfOrderMs: source.outOfOrderMs,
      allowedLatenessMs: source.allowedLatenessMs,
      horizonMs,
      policy: source.late,
    })
  const failures = new EventFailures(options.failed ?? (() => undefined))
  const view = new RowView(plan, memory)
  const insert = (event: Event, heard?: FailureSink): void => {
    for (const layout of fed) {
      const key = features.entityKey(layout, event)
      if (key === null || event.raw.offset < options.storedBelow(key)) continue
      const held = memory.find(layout, key)
      if (held === null) throw new Error(`part ${layout.entity} was not loaded`)
      view.found(event, layout, held)
      memory.insert(layout, held, event, trimUntil(layout), heard)
    }
  }
  // Its windows hold it as every event that is scored: with what is in error missing.
  const refusedFor = (event: Event): Reject | null =>
    failures.first !== null && plan.expressions.onError === 'dead-letter'
      ? expressionReject(event, failures.first, 'feature')
      : null

  return {
    fed,
    replay(event) {
      if (inserts(verdictOf(event))) insert(event)
      memory.observe(event)
    },
    apply(event, foreign) {
      const verdict = verdictOf(event)
      const lateBeforeMs =
        (memory.maxTime ?? -Infinity) - source.outOfOrderMs - latenessMs(source, features.horizonMs)
      failures.begin()
      if (inserts(verdict)) insert(event, failures)
      memory.observe(event)
      if (verdict === 'dead-letter') return lateReject(event, source, lateBeforeMs)
      if (source.role === 'state') return refusedFor(event)
      view.show(event, foreign, lateBeforeMs)
      const row = features.row(event, view, failures)
      const refused = refusedFor(event)
      if (refused !== null) return refused
      const flags: PredictionFlag[] = []
      if (verdict !== 'on-time') flags.push('late')
      if (row.capped) flags.push('capped')
      const isGap = isWithin(options.gapUntil, event) || isWithin(foreign?.gapUntil(event), event)
      // A late event looks back no further than the oldest one that is on time.
      const isExpired = foreign !== null && Math.max(event.time, lateBeforeMs) < foreign.keptSince
      if (isGap || isExpired) flags.push('gap')
      if (failures.first !== null) flags.push('expression-error')
      return { event, row, flags }
    },
  }
}

function isWithin(gapUntil: number | null | undefined, { time }: Event): boolean {
  return gapUntil !== null && gapUntil !== undefined && time <= gapUntil
}

function inserts(verdict: ReturnType<typeof lateVerdict>): boolean {
  return verdict === 'on-time' || verdict === 'late-score-insert'
}

function lateReject(event: Event, source: SourcePlan, lateBeforeMs: number): Reject {
  const iso = (ms: number): string => new Date(ms).toISOString()
  return {
    rejected: true,
    reason: 'LATE',
    stage: 'feature',
    message: `event time ${iso(event.time)} is before ${iso(lateBeforeMs)} (watermark − allowedLateness of source ${source.name}, late: dead-letter)`,
    raw: event.raw,
  }
}

/** One view reused for every event: rows are computed one after another. */
class RowView implements PartView {
  lateBeforeMs = -Infinity
  readonly #plan: Plan
  readonly #memory: PartitionMemory
  #event: Event | null = null
  #foreign: ForeignParts | null = null
  /** By layout: what the event was inserted into. */
  readonly #inserted: (HeldPart | null)[]
  #insertedFor: Event | null = null

  constructor(plan: Plan, memory: PartitionMemory) {
    this.#plan = plan
    this.#memory = memory
    this.#inserted = plan.features.layouts.map(() => null)
  }
  /** Saves looking for it again. */
  found(event: Event, { index }: Layout, held: HeldPart): void {
    if (this.#insertedFor !== event) this.#inserted.fill(null)
    this.#insertedFor = event
    this.#inserted[index] = held
  }
  show(event: Event, foreign: ForeignParts | null, lateBeforeMs: number): void {
    this.#event = event
    this.#foreign = foreign
    this.lateBeforeMs = lateBeforeMs
  }
  own(index: number): PartLog | null {
    const inserted = this.#insertedFor === this.#event ? this.#inserted[index] : null
    const held = inserted ?? this.#held(index)
    return held === null ? null : held.log
  }
  foreign(index: number): readonly PartLog[] {
    const key = this.#key(index)
    return key === null || this.#foreign === null ? noParts : this.#foreign.of(index, key)
  }
  #held(index: number): HeldPart | null {
    const layout = this.#plan.features.layouts[index]
    const key = this.#key(index)
    return layout === undefined || key === null ? null : this.#memory.find(layout, key)
  }
  #key(index: number): string | null {
    const layout = this.#plan.features.layouts[index]
    if (layout === undefined || this.#event === null) return null
    return this.#plan.features.entityKey(layout, this.#event)
  }
}
