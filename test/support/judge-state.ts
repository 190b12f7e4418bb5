import type { CompiledFeatures } from '../../src/features/compiled.ts'
import type { FeaturesSpec } from '../../src/features/spec.ts'
import { parseWatermark } from '../../src/pipeline/watermark.ts'
import type { Plan } from '../../src/topology/plan.ts'
import type { Position } from './card-world.ts'
import { placeOf } from './evidence.ts'
import type { AppliedEvent, History } from './judge-features.ts'

/** What Redis holds of a namespace. */
export interface StoredState {
  /** Watermark texts by bucket, then by input. */
  readonly watermarks: ReadonlyMap<number, ReadonlyMap<string, string>>
  readonly parts: readonly StoredPart[]
}

export interface StoredPart {
  readonly bucket: number
  readonly layout: number
  readonly input: string
  readonly entityKey: string
  readonly bytes: Buffer
}

/**
 * `buckets`: that there must be.
 * I5: what Redis holds of an input is what a fold over its log below W gives, as far as a window can still see it.
 * I6: no W is beyond what is committed. To be asked when nobody writes.
 */
export function stateProblems(
  plan: Plan,
  history: History,
  positions: readonly Position[],
  state: StoredState,
  buckets: number,
): string[] {
  const committed = new Map(positions.map((one) => [placeOf(one), one.offset]))
  const byInput = Map.groupBy(history.values(), ({ event }) => placeOf(event.raw))
  const problems: string[] = []
  if (state.watermarks.size !== buckets)
    problems.push(`I5: Redis holds watermarks of ${state.watermarks.size} buckets, not ${buckets}`)
  for (const [bucket, watermarks] of state.watermarks) {
    for (const input of committed.keys())
      if (!watermarks.has(input)) problems.push(`I5: bucket ${bucket} has no watermark of ${input}`)
    for (const [input, text] of watermarks) {
      const w = parseWatermark(text)
      const place = `${input} bucket ${bucket}`
      if (w === null) {
        problems.push(`I5: the watermark of ${place} is ${text}`)
        continue
      }
      if (w.offset > (committed.get(input) ?? 0))
        problems.push(`I6: Redis holds ${place} up to ${w.offset}, committed is ${committed.get(input)}`)
      const below = (byInput.get(input) ?? []).filter(({ event }) => event.raw.offset < w.offset)
      const maxTime = below.reduce((max, { event }) => Math.max(max, event.time), -Infinity)
      if ((w.maxTime ?? -Infinity) !== maxTime)
        problems.push(`I5: the watermark of ${place} has event time ${w.maxTime}, the log ${maxTime}`)
      const stored = state.parts.filter((part) => part.bucket === bucket && part.input === input)
      const live = stored.filter(({ bytes }) => bytes.toString('hex', 0, buildBytes) === w.build)
      problems.push(...partProblems(plan, place, below, maxTime, live, state.watermarks.size))
    }
  }
  return problems
}

type Layout = CompiledFeatures['layouts'][number]

function partProblems(
  plan: Plan,
  place: string,
  below: readonly AppliedEvent[],
  maxTime: number,
  stored: readonly StoredPart[],
  buckets: number,
): string[] {
  const problems: string[] = []
  const { features, featuresSpec } = plan
  const scored = plan.sources.find(({ name }) => name === featuresSpec.scored)!
  const trimmedBehindMs = scored.outOfOrderMs + (scored.allowedLatenessMs ?? features.horizonMs)
  const bucket = Number(place.slice(place.lastIndexOf(' ') + 1))
  for (const layout of features.layouts) {
    const events = below.filter(({ source, applied }) => applied && source === layout.source)
    const byEntity = Map.groupBy(events, ({ event }) => features.entityKey(layout, event) ?? '')
    byEntity.delete('')
    const parts = new Map(
      stored.filter((part) => part.layout === layout.index).map((part) => [part.entityKey, part]),
    )
    const visibleFrom = maxTime - trimmedBehindMs - layout.horizonMs
    for (const entityKey of new Set([...byEntity.keys(), ...parts.keys()])) {
      if (buckets > 1 && bucketOf(entityKey, buckets) !== bucket && !parts.has(entityKey)) continue
      const expected = (byEntity.get(entityKey) ?? []).map((event) => row(featuresSpec, layout, event))
      const visible = expected.filter(({ time }) => time > visibleFrom)
      const part = parts.get(entityKey)
      if (part === undefined && visible.length === 0) continue
      const found = part === undefined ? [] : decode(layout, part.bytes)
      const name = `${layout.entity} ${entityKey} of ${place}`
      problems.push(...difference(name, expected, visible, found))
    }
  }
  return problems
}

interface Row {
  readonly time: number
  readonly text: string
}

/** Every visible event is stored, once; nothing else but older ones is. */
function difference(
  name: string,
  all: readonly Row[],
  visible: readonly Row[],
  found: readonly Row[],
): string[] {
  const problems: string[] = []
  const left = new Map<string, number>()
  for (const { text } of all) left.set(text, (left.get(text) ?? 0) + 1)
  const counts = new Map<string, number>()
  for (const { text } of found) counts.set(text, (counts.get(text) ?? 0) + 1)
  for (const [text, count] of counts) {
    const due = left.get(text) ?? 0
    if (count > due) problems.push(`I5: ${name} holds ${text} ${count} times, the log ${due} times`)
  }
  const due = new Map<string, number>()
  for (const { text } of visible) due.set(text, (due.get(text) ?? 0) + 1)
  for (const [text, count] of due) {
    const has = counts.get(text) ?? 0
    if (has < count) problems.push(`I5: ${name} lacks ${text}: ${has} of ${count}`)
  }
  return problems
}

const buildBytes = 4
const headerBytes = 12

/** The stored form, read a second time from its description in src/features/part-codec.ts. */
function decode(layout: Layout, bytes: Buffer): Row[] {
  const values = layout.columns.filter((column) => column !== 'time' && !column.startsWith('where: ')).length
  const masked = layout.columns.some((column) => column.startsWith('where: '))
  const width = 8 + (masked ? 4 : 0) + 8 * values
  const rows: Row[] = []
  for (let at = buildBytes + headerBytes; at + width <= bytes.length; at += width) {
    const time = bytes.readDoubleLE(at)
    const mask = masked ? bytes.readUInt32LE(at + 8) : 0
    const numbers = Array.from({ length: values }, (_, i) =>
      bytes.readDoubleLE(at + 8 + (masked ? 4 : 0) + 8 * i),
    )
    rows.push({ time, text: textOf(time, mask, numbers) })
  }
  return rows
}

/** What is to be stored of an event. */
function row(spec: FeaturesSpec, layout: Layout, { event }: AppliedEvent): Row {
  const mine = spec.features.filter((feature) => feature.kind !== 'ratio' && feature.over === layout.entity)
  const predicates = layout.columns.filter((column) => column.startsWith('where: '))
  let mask = 0
  for (const [bit, column] of predicates.entries()) {
    const owner = mine.find((one) => one.kind !== 'ratio' && `where: ${one.where?.text}` === column)
    if (owner !== undefined && owner.kind !== 'ratio' && owner.where?.test(event)) mask |= 1 << bit
  }
  const numbers = layout.columns
    .filter((column) => column !== 'time' && !column.startsWith('where: '))
    .map((column) => {
      const owner = mine.find((one) => one.kind === 'aggregate' && one.value?.text === column)
      const value = owner?.kind === 'aggregate' ? (owner.value?.evaluate(event) ?? NaN) : NaN
      return Number.isFinite(value) ? value : NaN
    })
  return { time: event.time, text: textOf(event.time, mask, numbers) }
}

function textOf(time: number, mask: number, numbers: readonly number[]): string {
  return `${new Date(time).toISOString()}/${mask}/${numbers.join('/')}`
}

/** FNV-1a over UTF-16 units, as buckets are numbered. */
function bucketOf(entityKey: string, buckets: number): number {
  let hash = 0x811c9dc5
  for (let i = 0; i < entityKey.length; i++) hash = Math.imul(hash ^ entityKey.charCodeAt(i), 0x01000193)
  return (hash >>> 0) % buckets
}
