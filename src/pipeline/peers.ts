import type { Layout } from '../features/compiled.ts'
import { outageExceeded, parseWatermark, type Watermark } from './watermark.ts'
import { inputName } from '../record/input.ts'
import type { Watermarks } from '../features/store.ts'
import type { SourcePlan } from '../decode/plan.ts'
import type { Plan } from '../topology/plan.ts'
import { latenessMs, scoredSource, sourceOf } from './partition-context.ts'
import type { LogEnds } from './topic-life.ts'

/** A merged layout and the partitions that feed it. */
export interface MergedRead {
  readonly layout: Layout
  /** Input names, sorted: the order in which parts are added up. */
  readonly inputs: readonly string[]
  /** Smallest delay of the features that wait, ms; 0: none does, what the others flushed last is good enough. */
  readonly delayMs: number
  /**
   * Who has seen event time x has read everything up to x − slackMs; null: only who has read to the end of the log
   * has.
   */
  readonly slackMs: number | null
}

export function mergedReads(plan: Plan, partitionCounts: ReadonlyMap<string, number>): readonly MergedRead[] {
  return plan.features.mergedReads.map((layout) => {
    const source = sourceOf(plan, layout.source)
    const count = partitionCounts.get(source.topic) ?? 0
    const inputs = Array.from({ length: count }, (_, partition) =>
      inputName({ topic: source.topic, partition }),
    ).toSorted()
    const delayMs = awaitedDelayMs(plan, layout)
    return { layout, inputs, delayMs, slackMs: slackOf(plan, source, delayMs) }
  })
}

/** An undelayed feature over the same events waits for nothing, and holds up none that does. */
function awaitedDelayMs(plan: Plan, layout: Layout): number {
  const delays = plan.featuresSpec.features.flatMap((feature) =>
    feature.kind !== 'ratio' &&
    feature.over === layout.entity &&
    feature.from === layout.source &&
    feature.delayMs > 0
      ? [feature.delayMs]
      : [],
  )
  return delays.length === 0 ? 0 : Math.min(...delays)
}

/**
 * outOfOrder is what the topology promises (events come less than that behind); beyond it events count as on time for allowedLateness more. As much of
 * that as the delay has room for is waited for too. Half of the room: with all of it partitions in a backlog would go
 * on in step, and with more each would wait for the other's future.
 */
function slackOf(plan: Plan, source: SourcePlan, delayMs: number): number | null {
  if (source.disorderMaxMs === null) return null
  const room = Math.max(0, delayMs - source.disorderMaxMs) / 2
  const slackMs = source.disorderMaxMs + Math.min(room, latenessMs(source, plan.features.horizonMs))
  // Even in order, the event seen last may have a twin of the same millisecond, and the one at the head is not read.
  return Math.max(1, slackMs)
}

/** Inputs whose ends matter: they feed delayed reads. */
export function awaitedInputs(reads: readonly MergedRead[], own: string): ReadonlySet<string> {
  const delayed = reads.filter(({ delayMs }) => delayMs > 0)
  return new Set(delayed.flatMap(({ inputs }) => inputs).filter((input) => input !== own))
}

/** What others wait for of a source's partitions. */
export function awaitedFor(reads: readonly MergedRead[], source: string): 'no' | 'times' | 'end' {
  const delayed = reads.filter(({ layout, delayMs }) => layout.source === source && delayMs > 0)
  if (delayed.length === 0) return 'no'
  return delayed.some(({ slackMs }) => slackMs === null) ? 'end' : 'times'
}

export function parseAll(watermarks: Watermarks): ReadonlyMap<string, Watermark> {
  const parsed = new Map<string, Watermark>()
  for (const [input, text] of watermarks) {
    const watermark = parseWatermark(text)
    if (watermark !== null) parsed.set(input, watermark)
  }
  return parsed
}

/** Without those whose parts may have expired although windows still see them: their owners build them anew. */
export function stillKept(
  watermarks: ReadonlyMap<string, Watermark>,
  nowMs: number,
  outageMaxMs: number,
): ReadonlyMap<string, Watermark> {
  return new Map([...watermarks].filter(([, watermark]) => !outageExceeded(watermark, nowMs, outageMaxMs)))
}

/** Of every input the watermark that is furthest behind, over all buckets that know one: an input is at least there. */
export function leastKnown(buckets: readonly Watermarks[]): ReadonlyMap<string, Watermark> {
  const least = new Map<string, Watermark>()
  for (const watermarks of buckets) {
    for (const [input, watermark] of parseAll(watermarks)) {
      if (watermark.offset < (least.get(input)?.offset ?? Infinity)) least.set(input, watermark)
    }
  }
  return least
}

/**
 * Event time up to which every delayed merged read is complete; an event at or before it can be scored. `ends`: where
 * the logs ended at some time after the event came; an input that has read as far misses nothing, whatever its times.
 */
export function alignedUntil(
  reads: readonly MergedRead[],
  own: string,
  watermarks: ReadonlyMap<string, Watermark>,
  ends: LogEnds | null,
): number {
  let until = Infinity
  for (const { inputs, slackMs, delayMs } of reads) {
    if (delayMs === 0) continue
    for (const input of inputs) {
      if (input === own) continue
      const watermark = watermarks.get(input)
      if (watermark === undefined) return -Infinity
      const end = ends?.get(input)
      if (end !== undefined && watermark.offset >= end) continue
      if (slackMs === null) return -Infinity
      // What waits at the head counts as seen: partitions that wait for each other would wait for ever.
      const { maxTime, headTime } = watermark
      const seen = Math.max(maxTime ?? -Infinity, headTime ?? -Infinity) - slackMs
      until = Math.min(until, seen + delayMs)
    }
  }
  return until
}

/** Clocks of two machines, each within 2 s of Redis's (`millrace doctor` says so). */
const clockSkewMaxMs = 4_000

/**
 * Event time from which on what an event sees of the others is still stored; an event before it may miss parts that expired.
 * A part last written at wall time w holds events up to w − distanceMin, so one that expired holds none after
 * now − ttl − distanceMin. Nothing expired of a build that is younger than ttl.
 */
export function keptSince(
  reads: readonly MergedRead[],
  own: string,
  watermarks: ReadonlyMap<string, Watermark>,
  nowMs: number,
  { ttlMs, horizonMs }: { readonly ttlMs: number; readonly horizonMs: number },
): number {
  const expiredAt = nowMs + clockSkewMaxMs - ttlMs
  let since = -Infinity
  for (const input of new Set(reads.flatMap(({ inputs }) => inputs))) {
    const watermark = watermarks.get(input)
    if (input === own || !watermark || watermark.distanceMin === null) continue
    if (watermark.builtAt !== null && watermark.builtAt > expiredAt) continue
    since = Math.max(since, expiredAt - watermark.distanceMin + horizonMs)
  }
  return since
}

/** `topic:partition` → offset below which that partition was visible. */
export type Stamp = Readonly<Record<string, number>>

export interface EventStamp {
  /** True of every merged entity of the event. */
  readonly watermarks: Stamp
  /** Entities that saw more: they lie in other buckets, which are read and flushed one by one. Null: none did. */
  readonly byEntity: Readonly<Record<string, Stamp>> | null
}

/** Offsets below which each foreign partition was visible. */
export function stamp(
  reads: readonly MergedRead[],
  own: string,
  watermarks: ReadonlyMap<string, Watermark>,
): Stamp {
  const offsets: Record<string, number> = {}
  for (const { inputs } of reads) {
    for (const input of inputs) if (input !== own) offsets[input] = watermarks.get(input)?.offset ?? 0
  }
  return offsets
}

/** A partition that never had an event counts as read to its end while its owner says so at least this often. */
const caughtUpForMs = 5_000

/**
 * Largest event time of the slowest scored partition, which still sees the oldest events; null while one of them is
 * unknown. A partition that never had an event and has nothing left to read does not hold the others.
 */
export function slowestReader(
  plan: Plan,
  partitionCounts: ReadonlyMap<string, number>,
  watermarks: ReadonlyMap<string, Watermark>,
  nowMs: number,
): number | null {
  const { topic } = scoredSource(plan)
  let slowest = Infinity
  for (let partition = 0; partition < (partitionCounts.get(topic) ?? 0); partition++) {
    const watermark = watermarks.get(inputName({ topic, partition }))
    if (watermark === undefined) return null
    if (watermark.maxTime === null) {
      if (nowMs - watermark.caughtUpAt > caughtUpForMs) return null
    } else slowest = Math.min(slowest, watermark.maxTime)
  }
  return Number.isFinite(slowest) ? slowest : null
}
