import { MillraceError } from '../errors.ts'
import type { Layout, PartLog } from '../features/compiled.ts'
import type { LoadRequest, PartKey, Watermarks } from '../features/store.ts'
import type { Event } from '../record/event.ts'
import type { ForeignParts } from './apply.ts'
import { unwrapPart, type Flusher } from './flusher.ts'
import type { PartitionMemory } from './partition-memory.ts'
import type { Shared } from './partition-context.ts'
import { alignedUntil, parseAll, stamp, type MergedRead } from './peers.ts'
import type { Watermark } from './watermark.ts'

export interface LoaderOptions {
  readonly shared: Shared
  readonly inputName: string
  readonly memory: PartitionMemory
  readonly flusher: Flusher
  readonly fed: readonly Layout[]
  readonly merged: readonly MergedRead[]
}

/** Other partitions' parts of a slice's merged entities, and what they were read at. */
export interface LoadedForeign extends ForeignParts {
  /** `topic:partition` → offset below which the event saw it, for its prediction; null: no merged entity. */
  stampOf(event: Event): Readonly<Record<string, number>> | null
  /** Event time up to which delayed merged reads are complete. */
  readonly alignedUntil: number
}

interface BucketNeeds {
  readonly own: Map<string, PartKey>
  readonly merged: Map<string, PartKey>
}

/**
 * Holds every part the events need: own parts missing in memory are loaded, merged entities read from all
 * partitions. One atomic read per bucket. Throws STATE_MISMATCH when the own watermark is not the one this owner wrote.
 */
export async function loadParts(
  options: LoaderOptions,
  events: readonly Event[],
  withMerged: boolean,
  signal: AbortSignal,
): Promise<LoadedForeign | null> {
  const needs = collectNeeds(options, events, withMerged)
  const foreign = new Map<string, readonly PartLog[]>()
  const stamps = new Map<number, Stamp>()
  let until = Infinity
  for (const [bucket, { own, merged }] of needs) {
    const request: LoadRequest = {
      inputName: options.inputName,
      own: [...own.values()],
      merged: [...merged.values()],
    }
    const loaded = await options.shared.store.load(bucket, request, signal)
    checkOwnWatermark(options, bucket, loaded.watermarks)
    putOwn(options, bucket, request.own, loaded.own)
    if (merged.size === 0) continue
    const watermarks = parseAll(loaded.watermarks)
    const nowMs = options.shared.clock.now()
    stamps.set(bucket, stamp(options.merged, options.inputName, watermarks))
    until = Math.min(until, alignedUntil(options.merged, options.inputName, watermarks, nowMs))
    for (const [index, key] of request.merged.entries()) {
      foreign.set(partName(key), decodeForeign(options, key, loaded.merged[index], watermarks))
    }
  }
  if (!withMerged || options.merged.length === 0) return null
  return {
    of: (layout, entityKey) => foreign.get(partName({ layout, entityKey })) ?? [],
    stampOf: (event) => stampOf(options, stamps, event),
    alignedUntil: until,
  }
}

type Stamp = Readonly<Record<string, number>>

/** Buckets are read one after another, so each has its own stamp; entities of several buckets get the lower offsets. */
function stampOf(
  { merged, shared }: LoaderOptions,
  stamps: ReadonlyMap<number, Stamp>,
  event: Event,
): Stamp | null {
  let found: Stamp | null = null
  for (const { layout } of merged) {
    const entityKey = shared.plan.features.entityKey(layout, event)
    const next = entityKey === null ? undefined : stamps.get(shared.store.bucketOf(entityKey))
    if (next === undefined || next === found) continue
    found = found === null ? next : lower(found, next)
  }
  return found
}

function lower(a: Stamp, b: Stamp): Stamp {
  return Object.fromEntries(
    Object.entries(a).map(([input, offset]) => [input, Math.min(offset, b[input] ?? 0)]),
  )
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

function decodeForeign(
  options: LoaderOptions,
  key: PartKey,
  stored: ReadonlyMap<string, Buffer> | undefined,
  watermarks: ReadonlyMap<string, Watermark>,
): readonly PartLog[] {
  const { features } = options.shared.plan
  const read = options.merged.find(({ layout }) => layout.index === key.layout)
  if (read === undefined || stored === undefined) return []
  const logs: PartLog[] = []
  for (const input of read.inputs) {
    if (input === options.inputName) continue
    const watermark = watermarks.get(input)
    if (watermark === undefined) continue
    const bytes = unwrapPart(stored.get(input) ?? null, watermark.build)
    if (bytes !== null) logs.push(features.decode(read.layout, bytes))
  }
  return logs
}
