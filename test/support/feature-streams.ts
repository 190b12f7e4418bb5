import type { CompiledFeatures, Layout, PartLog, PartView } from '../../src/features/compiled.ts'
import { compileFeatures } from '../../src/features/compile.ts'
import { eventWatermark, lateVerdict } from '../../src/features/lateness.ts'
import type { LatePolicy } from '../../src/features/lateness.ts'
import type { FeaturesSpec } from '../../src/features/spec.ts'
import type { Event, FieldValue } from '../../src/record/event.ts'
import { oracleRow } from './feature-oracle.ts'
import type { LoggedEvent } from './feature-oracle.ts'
import { eventAt } from './feature-specs.ts'

/** What happens to a few partitions, in order; the partitions of all sources are numbered through. */
export type Step =
  | {
      readonly kind: 'event'
      readonly input: number
      readonly time: number
      readonly fields: Record<string, FieldValue>
    }
  /** Writes all but the newest `behind` events of the partition to the store. */
  | { readonly kind: 'flush'; readonly input: number; readonly behind: number; readonly append: boolean }
  /** Forgets the partition's memory and builds it from the store and the log. */
  | { readonly kind: 'takeover'; readonly input: number }
  | { readonly kind: 'trim'; readonly input: number }

export interface Scenario {
  readonly spec: FeaturesSpec
  /** Source of each input. */
  readonly inputs: readonly string[]
  readonly steps: readonly Step[]
  readonly outOfOrderMs: number
  readonly allowedLatenessMs: number
  readonly late: LatePolicy
}

export interface ScenarioRow {
  readonly logged: LoggedEvent
  readonly actual: ReadonlyMap<string, number | null>
  readonly expected: ReadonlyMap<string, number | null>
  readonly actualCapped: boolean
  readonly expectedCapped: boolean
}

interface Input {
  readonly source: string
  readonly index: number
  readonly log: Event[]
  /** By layout and entity key. */
  parts: Map<string, PartLog>
  stored: Map<string, Buffer>
  watermark: number
}

/** Runs the features stage as the service does, with a store in memory; each scored event gives a row to compare. */
export class FeatureStreams {
  readonly rows: ScenarioRow[] = []
  private readonly scenario: Scenario
  private readonly features: CompiledFeatures
  private readonly inputs: Input[]
  private readonly events: LoggedEvent[] = []
  private readonly applied = new Set<Event>()

  constructor(scenario: Scenario) {
    this.scenario = scenario
    this.features = compileFeatures(scenario.spec)
    this.inputs = scenario.inputs.map((source, index) => ({
      source,
      index,
      log: [],
      parts: new Map(),
      stored: new Map(),
      watermark: 0,
    }))
  }

  run(): readonly ScenarioRow[] {
    for (const step of this.scenario.steps) this.take(step, this.inputs[step.input]!)
    return this.rows
  }

  private take(step: Step, input: Input): void {
    switch (step.kind) {
      case 'event':
        return this.takeEvent(input, step.time, step.fields)
      case 'flush':
        return this.flush(input, Math.max(input.watermark, input.log.length - step.behind), step.append)
      case 'takeover':
        return this.takeOver(input)
      case 'trim':
        return this.trim(input)
    }
  }

  private takeEvent(input: Input, time: number, fields: Record<string, FieldValue>): void {
    const event = eventAt(time, input.log.length, fields, { topic: input.source, partition: input.index })
    const logged = { source: input.source, event }
    const maxTimeBefore = maxTime(input.log)
    input.log.push(event)
    this.events.push(logged)
    const verdict = this.apply(input, event, maxTimeBefore)
    if (input.source !== this.scenario.spec.scored || verdict === 'dead-letter') return
    const lateBeforeMs =
      eventWatermark(maxTimeBefore, this.scenario.outOfOrderMs) - this.scenario.allowedLatenessMs
    const { numbers, capped } = this.features.row(event, this.viewOf(input, event, lateBeforeMs))
    const visible = new Map<string, number>()
    for (const other of this.inputs) visible.set(`${other.source}:${other.index}`, other.watermark)
    const expected = oracleRow({
      spec: this.scenario.spec,
      events: this.events,
      at: logged,
      visible,
      applied: (candidate) => this.applied.has(candidate.event),
      lateBeforeMs,
    })
    this.rows.push({
      logged,
      actual: new Map(
        this.features.names.map((name, i) => [name, Number.isNaN(numbers[i]!) ? null : numbers[i]!]),
      ),
      expected: expected.numbers,
      actualCapped: capped,
      expectedCapped: expected.capped,
    })
  }

  private apply(input: Input, event: Event, maxTimeBefore: number): string {
    const layouts = this.features.layoutsFedBy(input.source)
    const scored = input.source === this.scenario.spec.scored
    const verdict = lateVerdict({
      time: event.time,
      maxTimeBefore,
      outOfOrderMs: this.scenario.outOfOrderMs,
      allowedLatenessMs: scored ? this.scenario.allowedLatenessMs : null,
      horizonMs: Math.max(0, ...layouts.map((layout) => layout.horizonMs)),
      policy: this.scenario.late,
    })
    if (verdict !== 'on-time' && verdict !== 'late-score-insert') return verdict
    this.applied.add(event)
    for (const layout of layouts) {
      const name = partName(layout, this.features.entityKey(layout, event))
      if (name === null) continue
      const part = input.parts.get(name) ?? this.features.newPart(layout)
      input.parts.set(name, part)
      this.features.insert(layout, part, event)
    }
    return verdict
  }

  private viewOf(input: Input, event: Event, lateBeforeMs: number): PartView {
    const nameOf = (index: number): string => {
      const layout = this.features.layouts[index]!
      return partName(layout, this.features.entityKey(layout, event)) ?? 'none'
    }
    return {
      lateBeforeMs,
      own: (index) => {
        const { source } = this.features.layouts[index]!
        if (source !== input.source) throw new Error(`an own part of ${source} was asked for`)
        return input.parts.get(nameOf(index)) ?? null
      },
      foreign: (index) =>
        this.inputs
          .filter((other) => other !== input && other.stored.has(nameOf(index)))
          .map((other) =>
            this.features.decode(this.features.layouts[index]!, other.stored.get(nameOf(index))!),
          ),
    }
  }

  private flush(input: Input, untilOffset: number, append: boolean): void {
    for (const [name, part] of input.parts) {
      const layout = this.features.layouts[Number(name.split('|', 1))]!
      const before = input.stored.get(name)
      const bytes =
        append && before !== undefined
          ? Buffer.concat([before, this.features.encodeTail(layout, part, input.watermark, untilOffset)])
          : this.features.encode(layout, part, untilOffset)
      input.stored.set(name, bytes)
    }
    input.watermark = untilOffset
  }

  private takeOver(input: Input): void {
    input.parts = new Map(
      [...input.stored].map(([name, bytes]) => [
        name,
        this.features.decode(this.features.layouts[Number(name.split('|', 1))]!, bytes),
      ]),
    )
    for (let offset = input.watermark; offset < input.log.length; offset++) {
      this.apply(input, input.log[offset]!, maxTime(input.log.slice(0, offset)))
    }
  }

  private trim(input: Input): void {
    const flushed = (other: Input): number =>
      eventWatermark(maxTime(other.log.slice(0, other.watermark)), this.scenario.outOfOrderMs)
    const readers = this.inputs.filter((other) => other.source === this.scenario.spec.scored)
    for (const [name, part] of input.parts) {
      const layout = this.features.layouts[Number(name.split('|', 1))]!
      const readByOthers = layout.shared
      const slowest = Math.min(...(readByOthers ? readers : [input]).map(flushed), flushed(input))
      this.features.trim(layout, part, slowest - layout.horizonMs - this.scenario.allowedLatenessMs)
    }
  }
}

function maxTime(log: readonly Event[]): number {
  return log.reduce((largest, event) => Math.max(largest, event.time), -Infinity)
}

function partName(layout: Layout, key: string | null): string | null {
  return key === null ? null : `${layout.index}|${key}`
}
