import { MillraceError } from '../errors.ts'
import type { FailureSink } from '../expression/failure.ts'
import type { Event } from '../record/event.ts'
import { aggregateOf } from './aggregates/table.ts'
import { columnNames, planRatios, runRatios } from './columns.ts'
import type { CompiledFeatures, FeatureRow, Layout, PartLog, PartView } from './compiled.ts'
import { entityKeyOf } from './entity-key.ts'
import { finiteOrNaN, insertEvent, planLayouts } from './layout.ts'
import type { LayoutPlan } from './layout.ts'
import { decodePart, encodePart, encodePartTail } from './part-codec.ts'
import { Part, dropUntil, forgetHidden, offsetsWithin, nextOffset } from './part-log.ts'
import { planReads } from './read-plan.ts'
import { clear, readPart } from './scan.ts'
import type { Viewpoint } from './scan.ts'
import type { AggregateSpec, FeaturesSpec } from './spec.ts'

// Offsets are -1 (stored) or not negative, so this one matches no event.
const noOffset = -2

/**
 * Throws TOPOLOGY_INVALID where definitions contradict each other or exceed a limit. `readAhead` (replay): other sources are
 * read to their ends first, for features with a delay; those without read layouts of their own.
 */
export function compileFeatures(spec: FeaturesSpec, { readAhead = false } = {}): CompiledFeatures {
  checkFeatures(spec)
  const names = columnNames(spec)
  const layouts = planLayouts(spec, readAhead)
  const fedBy = new Map<string, LayoutPlan[]>()
  for (const layout of layouts) fedBy.set(layout.source, [...(fedBy.get(layout.source) ?? []), layout])
  const planOf = (layout: Layout): LayoutPlan => layouts[layout.index]!
  const none: readonly Layout[] = []

  return Object.freeze({
    layouts,
    names,
    layoutsFedBy: (source: string) => fedBy.get(source) ?? none,
    mergedReads: layouts.filter((layout) => layout.shared),
    horizonMs: Math.max(0, ...layouts.map((layout) => layout.horizonMs)),
    entityKey: (layout: Layout, event: Event) => entityKeyOf(planOf(layout).keys, event),
    newPart: (layout: Layout) => new Part(planOf(layout).format.shape),
    insert: (layout: Layout, part: PartLog, event: Event, failures?: FailureSink) =>
      insertEvent(planOf(layout), ours(part), event, failures),
    trim: (layout: Layout, part: PartLog, untilMs: number, settledOffset = 0) => {
      const own = ours(part)
      const dropped = dropUntil(own, untilMs)
      if (settledOffset > own.settledOffset) {
        own.settledOffset = settledOffset
        forgetHidden(own, planOf(layout).format.eventsMax)
      }
      return dropped
    },
    offsetsWithin: (part: PartLog, afterMs: number, untilMs: number) =>
      offsetsWithin(ours(part), afterMs, untilMs),
    row: compileRow(spec, names, layouts),
    encode: (layout: Layout, part: PartLog, untilOffset: number) =>
      encodePart(planOf(layout).format, ours(part), untilOffset),
    encodeTail: (layout: Layout, part: PartLog, fromOffset: number, untilOffset: number) =>
      encodePartTail(planOf(layout).format, ours(part), fromOffset, untilOffset),
    nextOffset: (part: PartLog, fromOffset: number) => nextOffset(ours(part), fromOffset),
    decode: (layout: Layout, bytes: Buffer) => decodePart(planOf(layout).format, bytes),
  })
}

function compileRow(
  spec: FeaturesSpec,
  names: readonly string[],
  layouts: readonly LayoutPlan[],
): CompiledFeatures['row'] {
  const { values } = spec
  const windowed = spec.features.filter((feature): feature is AggregateSpec => feature.kind === 'aggregate')
  const windowedColumns = windowed.map((feature) => names.indexOf(feature.name))
  const defaults = Float64Array.from(windowed, (feature) => feature.default ?? NaN)
  const { readers, finishes, registers } = planReads(layouts, windowed)
  const ratios = planRatios(spec.features, names)
  const row = rowsOf(names.length)
  const reads = layouts.map((layout, index) => ({
    reader: readers[index]!,
    own: layout.source === spec.scored,
    foreign: layout.shared,
  }))

  return (event: Event, view: PartView, failures?: FailureSink): FeatureRow => {
    const lateBeforeMs = view.lateBeforeMs ?? -Infinity
    const here: Viewpoint = { timeMs: event.time, ownOffset: event.raw.offset, lateBeforeMs }
    const elsewhere: Viewpoint = { timeMs: event.time, ownOffset: noOffset, lateBeforeMs }
    let capped = false
    clear(registers)
    for (let layout = 0; layout < reads.length; layout++) {
      const { reader, own, foreign } = reads[layout]!
      const part = own ? view.own(layout) : null
      if (part !== null && readPart(reader, ours(part), here, registers)) capped = true
      if (!foreign) continue
      for (const other of view.foreign(layout)) {
        if (readPart(reader, ours(other), elsewhere, registers)) capped = true
      }
    }
    const numbers = row()
    for (let i = 0; i < values.length; i++)
      numbers[i] = finiteOrNaN(values[i]!.expression.evaluate(event, failures))
    for (let i = 0; i < finishes.length; i++) {
      const number = finishes[i]!(registers, event, failures)
      numbers[windowedColumns[i]!] = Number.isNaN(number) ? defaults[i]! : number
    }
    runRatios(ratios, numbers)
    return { numbers, capped }
  }
}

const rowsPerBlock = 128

/** Rows of zeros, many in one block of memory: one of its own costs V8 as much as computing what goes into it. */
function rowsOf(width: number): () => Float64Array {
  let block = new Float64Array(0)
  let used = 0
  return () => {
    if (used === block.length) {
      block = new Float64Array(width * rowsPerBlock)
      used = 0
    }
    return block.subarray(used, (used += width))
  }
}

function ours(part: PartLog): Part {
  if (part instanceof Part) return part
  throw new MillraceError(
    'INTERNAL',
    'a part log that was not made by newPart or decode was handed to the features stage',
  )
}

function checkFeatures(spec: FeaturesSpec): void {
  if (!(spec.eventsPerEntityMax >= 1)) {
    throw new MillraceError('TOPOLOGY_INVALID', 'limits.eventsPerEntityMax must be at least 1')
  }
  for (const feature of spec.features) {
    if (feature.kind === 'ratio') continue
    const { name, windowMs, delayMs } = feature
    if (!Number.isSafeInteger(windowMs) || windowMs < 1 || !Number.isSafeInteger(delayMs) || delayMs < 0) {
      throw new MillraceError(
        'TOPOLOGY_INVALID',
        `feature ${name}: window must be at least 1 ms and delay not negative, in whole ms`,
      )
    }
    const { value, where, source } = aggregateOf(feature.aggregate)
    if (value !== 'none' && feature.value === null) {
      throw new MillraceError('TOPOLOGY_INVALID', `feature ${name}: ${feature.aggregate} needs a value`)
    }
    if (where === 'needed' && feature.where === null) {
      throw new MillraceError('TOPOLOGY_INVALID', `feature ${name}: ${feature.aggregate} needs a condition`)
    }
    if (source === 'scored' && feature.from !== spec.scored) {
      throw new MillraceError(
        'TOPOLOGY_INVALID',
        `feature ${name}: ${feature.aggregate} needs the scored source`,
      )
    }
    if (feature.divideBy === 0 || !Number.isFinite(feature.divideBy)) {
      throw new MillraceError('TOPOLOGY_INVALID', `feature ${name}: divideBy must be a number other than 0`)
    }
  }
}
