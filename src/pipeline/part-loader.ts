import { MillraceError } from '../errors.ts'
import type { Layout, PartLog } from '../features/compiled.ts'
import type { Loaded, LoadRequest, MergedKey, PartKey, Watermarks } from '../features/store.ts'
import type { Event } from '../record/event.ts'
import type { ForeignParts } from './apply.ts'
import { unwrapPart, type Flusher } from './flusher.ts'
import type { HeldForeign, HeldShare } from './held-foreign.ts'
import type { PartitionMemory } from './partition-memory.ts'
import { visibleSpanMs, type StateShared } from './partition-context.ts'
import {
  alignedUntil,
  keptSince,
  parseAll,
  stamp,
  stillKept,
  type EventStamp,
  type MergedRead,
  type Stamp,
} from './peers.ts'
import { latest, lostUntil, ofThisLife, type LogEnds } from './topic-life.ts'
import type { Watermark } from './watermark.ts'

export interface LoaderOptions {
  readonly shared: StateShared
  readonly inputName: string
  readonly topic: string
  readonly incarnation: string
  readonly memory: PartitionMemory
  readonly flusher: Flusher
  readonly fed: readonly Layout[]
  readonly merged: readonly MergedRead[]
  readonly foreign: HeldForeign
  /** How long the store keeps what is written. */
  readonly ttlMs: number
}

/** Other partitions' parts of a slice's merged entities, and what they were read at. */
export interface LoadedForeign extends ForeignParts {
  /** What the event saw of other partitions, for its prediction; null: no merged entity. */
  stampOf(event: Event): EventStamp | null
  /** Event time up to which delayed merged reads are complete. */
  readonly alignedUntil: number
  /** What every read saw at least of other partitions. */
  readonly seen: Stamp
}

interface BucketNeeds {
  readonly own: Map<string, PartKey>
  readonly merged: Map<string, PartKey>
}

/**
 * Holds every part the events need: own parts missing in memory are loaded, merged entities (`merged`: with where the
 * logs of the others ended when the events had come, if known) read from all partitions. One atomic read per bucket. Throws STATE_MISMATCH when the own watermark is not the one this owner wrote.
 */
export async function loadParts(
  options: LoaderOptions,
  events: readonly Event[],
  merged: { readonly ends: LogEnds | null } | null,
  signal: AbortSignal,
): Promise<LoadedForeign | null> {
  const needs = collectNeeds(options, events, merged !== null)
  const foreign = new Map<string, PartLog[]>()
  const stamps = new Map<number, Stamp>()
  const lost = new Map<Layout, number>()
  let until = Infinity
  let since = -Infinity
  const kept = { ttlMs: options.ttlMs, horizonMs: options.shared.plan.features.horizonMs }
  const others = foreignInputs(options)
  const load = async (bucket: number, needed: BucketNeeds): Promise<void> => {
    const shares = heldShares(options, bucket)
    const request: LoadRequest = {
      inputName: options.inputName,
      own: [...needed.own.values()],
      merged: [...needed.merged].map(([name, key]) => mergedKey(others.get(key.layout), shares, name, key)),
      held: new Map([...shares].map(([input, { watermark }]) => [input, watermark])),
    }
    const loaded = await options.shared.store.load(bucket, request, signal)
    checkOwnWatermark(options, bucket, loaded.watermarks) // at once: the flusher goes on meanwhile
    putOwn(options, bucket, request.own, loaded.own)
    if (merged === null || needed.merged.size === 0) return
    const nowMs = options.shared.clock.now()
    const watermarks = trusted(options, parseAll(loaded.watermarks))
    noteLost(options, watermarks, lost)
    stamps.set(bucket, stamp(options.merged, options.inputName, watermarks))
    until = Math.min(until, alignedUntil(options.merged, options.inputName, watermarks, merged.ends))
    since = Math.max(since, keptSince(options.merged, options.inputName, watermarks, nowMs, kept))
    for (const [input, logs] of foreignLogs(options, shares, request, loaded, watermarks)) {
      options.foreign.put(bucket, input, loaded.watermarks, logs)
      for (const [name, log] of logs) {
        if (log === null) continue
        const others = foreign.get(name)
        if (others === undefined) foreign.set(name, [log])
        else others.push(log)
      }
    }
  }
  await Promise.all([...needs].map(([bucket, bucketNeeds]) => load(bucket, bucketNeeds)))
  if (merged === null || options.merged.length === 0) return null
  return {
    of: (layout, entityKey) => foreign.get(partName({ layout, entityKey })) ?? [],
    stampOf: (event) => stampOf(options, stamps, event),
    alignedUntil: until,
    seen: lowest([...stamps.values()]),
    gapUntil: (event) => (lost.size === 0 ? null : gapUntil(options, lost, event)),
    keptSince: since,
  }
}

/** Watermarks of other partitions whose state may be read. */
export function trusted(
  { shared, topic, incarnation }: LoaderOptions,
  watermarks: ReadonlyMap<string, Watermark>,
): ReadonlyMap<string, Watermark> {
  return stillKept(
    ofThisLife(watermarks, topic, incarnation),
    shared.clock.now(),
    shared.plan.store.outageMaxMs,
  )
}

/** Deleted records that are missing from what the others stored, by layout. */
function noteLost(
  { merged, inputName }: LoaderOptions,
  watermarks: ReadonlyMap<string, Watermark>,
  lost: Map<Layout, number>,
): void {
  for (const { layout, inputs } of merged) {
    for (const input of inputs) {
      const watermark = input === inputName ? undefined : watermarks.get(input)
      const time = watermark === undefined ? null : lostUntil(watermark.incarnation)
      if (time !== null) lost.set(layout, Math.max(time, lost.get(layout) ?? time))
    }
  }
}

function gapUntil({ shared }: LoaderOptions, lost: ReadonlyMap<Layout, number>, event: Event): number | null {
  const { plan } = shared
  const times = [...lost].map(([layout, time]) =>
    plan.features.entityKey(layout, event) === null ? null : time + visibleSpanMs(plan),
  )
  return latest(times)
}

/** Every bucket has its own stamp; what is true of all entities of the event has the lower offsets. */
function stampOf(
  { merged, shared }: LoaderOptions,
  stamps: ReadonlyMap<number, Stamp>,
  event: Event,
): EventStamp | null {
  let only: Stamp | null = null
  let several = false
  for (const { layout } of merged) {
    const entityKey = shared.plan.features.entityKey(layout, event)
    const next = entityKey === null ? undefined : stamps.get(shared.store.bucketOf(entityKey))
    if (next === undefined || next === only) continue
    several ||= only !== null
    only ??= next
  }
  if (only === null) return null
  return several ? stampsOf({ merged, shared }, stamps, event) : { watermarks: only, byEntity: null }
}

function stampsOf(
  { merged, shared }: Pick<LoaderOptions, 'merged' | 'shared'>,
  stamps: ReadonlyMap<number, Stamp>,
  event: Event,
): EventStamp {
  const seen = new Map<string, Stamp>()
  for (const { layout } of merged) {
    const entityKey = shared.plan.features.entityKey(layout, event)
    const found = entityKey === null ? undefined : stamps.get(shared.store.bucketOf(entityKey))
    if (found !== undefined) seen.set(layout.entity, found)
  }
  const watermarks = lowest([...seen.values()])
  const more = [...seen].filter(([, one]) => !same(one, watermarks))
  return { watermarks, byEntity: more.length === 0 ? null : Object.fromEntries(more) }
}

function lowest([first, ...others]: readonly Stamp[]): Stamp {
  return first === undefined ? {} : others.reduce(lower, first)
}

function lower(a: Stamp, b: Stamp): Stamp {
  return Object.fromEntries(
    Object.entries(a).map(([input, offset]) => [input, Math.min(offset, b[input] ?? 0)]),
  )
}

function same(a: Stamp, b: Stamp): boolean {
  return Object.entries(a).every(([input, offset]) => b[input] === offset)
}

function collectNeeds(
  options: LoaderOptions,
  events: readonly Event[],
  withMerged: boolean,
): ReadonlyMap<number, BucketNeeds> {
  const { shared, memory, flusher } = options
  const { features } = shared.plan
  const needs = new Map<number, BucketNeeds>()
  const need = (bucket: number): BucketNeeds => {
    let entry = needs.get(bucket)
    if (entry === undefined) needs.set(bucket, (entry = { own: new Map(), merged: new Map() }))
    return entry
  }
  for (const event of events) {
    for (const layout of options.fed) {
      const entityKey = features.entityKey(layout, event)
      if (entityKey === null || memory.find(layout, entityKey) !== null) continue
      const bucket = shared.store.bucketOf(entityKey)
      // In a rebuild nothing stored counts until this owner wrote it, and then it is still held unless evicted.
      if (!flusher.trustsStore(bucket) && memory.complete) memory.put(layout, entityKey, null)
      else
        need(bucket).own.set(partName({ layout: layout.index, entityKey }), {
          layout: layout.index,
          entityKey,
        })
    }
    if (!withMerged) continue
    for (const { layout } of options.merged) {
      const entityKey = features.entityKey(layout, event)
      if (entityKey === null) continue
      const key = { layout: layout.index, entityKey }
      need(shared.store.bucketOf(entityKey)).merged.set(partName(key), key)
    }
  }
  return needs
}

function partName(key: PartKey): string {
  return `${key.layout}|${key.entityKey}`
}

function checkOwnWatermark(options: LoaderOptions, bucket: number, watermarks: Watermarks): void {
  const text = watermarks.get(options.inputName) ?? null
  if (options.flusher.expects(bucket, text)) return
  throw new MillraceError(
    'STATE_MISMATCH',
    `${options.inputName} bucket ${bucket}: the watermark in Redis is ${text ?? 'absent'}, not the one this owner wrote`,
  )
}

function putOwn(
  options: LoaderOptions,
  bucket: number,
  keys: readonly PartKey[],
  stored: readonly (Buffer | null)[],
): void {
  const build = options.flusher.build(bucket)
  for (const [index, key] of keys.entries()) {
    const layout = options.shared.plan.features.layouts[key.layout]
    if (layout !== undefined) {
      options.memory.put(layout, key.entityKey, unwrapPart(stored[index] ?? null, build))
    }
  }
}

/** What is held of others in a bucket, by input. */
function heldShares(
  { merged, inputName, foreign }: LoaderOptions,
  bucket: number,
): ReadonlyMap<string, HeldShare> {
  const shares = new Map<string, HeldShare>()
  for (const input of merged.flatMap(({ inputs }) => inputs)) {
    const share = input === inputName ? null : foreign.share(bucket, input)
    if (share !== null) shares.set(input, share)
  }
  return shares
}

interface ForeignInputs {
  readonly inputs: readonly string[]
  readonly all: ReadonlySet<string>
}

/** By layout. */
function foreignInputs({ merged, inputName }: LoaderOptions): ReadonlyMap<number, ForeignInputs> {
  return new Map(
    merged.map(({ layout, inputs }) => {
      const others = inputs.filter((input) => input !== inputName)
      return [layout.index, { inputs: others, all: new Set(others) }]
    }),
  )
}

function mergedKey(
  foreign: ForeignInputs | undefined,
  shares: ReadonlyMap<string, HeldShare>,
  name: string,
  key: PartKey,
): MergedKey {
  if (foreign === undefined || shares.size === 0) return key
  const { inputs, all } = foreign
  const held = inputs.filter((input) => shares.get(input)?.parts.has(name))
  if (held.length === 0) return key
  return { ...key, inputs, held: held.length === inputs.length ? all : new Set(held) }
}

/**
 * Logs of others by input and part, null where there is none; inputs in the order in which they are added up. A part that
 * is held is taken from there while its watermark has the same text.
 */
function foreignLogs(
  options: LoaderOptions,
  shares: ReadonlyMap<string, HeldShare>,
  request: LoadRequest,
  loaded: Loaded,
  watermarks: ReadonlyMap<string, Watermark>,
): ReadonlyMap<string, Map<string, PartLog | null>> {
  const { features } = options.shared.plan
  const logs = new Map<string, Map<string, PartLog | null>>()
  const keys = request.merged.map((key, index) => ({ index, layout: key.layout, name: partName(key) }))
  const byLayout = Map.groupBy(keys, ({ layout }) => layout)
  for (const { layout, inputs } of options.merged) {
    const wanted = byLayout.get(layout.index) ?? []
    for (const input of inputs) {
      const watermark = input === options.inputName ? undefined : watermarks.get(input)
      if (watermark === undefined) continue
      const share = shares.get(input)
      const held = share?.watermark === loaded.watermarks.get(input) ? share?.parts : undefined
      const found = logs.get(input) ?? new Map<string, PartLog | null>()
      logs.set(input, found)
      for (const { index, name } of wanted) {
        const before = held?.get(name)
        if (before !== undefined) {
          found.set(name, before)
          continue
        }
        const bytes = unwrapPart(loaded.merged[index]?.get(input) ?? null, watermark.build)
        found.set(name, bytes === null ? null : features.decode(layout, bytes))
      }
    }
  }
  return logs
}
