import type { CompiledFeatures, Layout, PartLog } from '../features/compiled.ts'
import type { FlushMax, PartChange, PartKey } from '../features/store.ts'
import type { FailureSink } from '../expression/failure.ts'
import type { Event } from '../record/event.ts'
import { largestTime } from './watermark.ts'

/** One entity's part in memory. */
export interface HeldPart extends PartKey {
  readonly log: PartLog
}

interface Entry extends HeldPart {
  readonly bucket: number
  /** Smallest offset in the part that is not in the store; -1: all stored. */
  unflushedFrom: number
  /** Appends behind the last whole write; -1: nothing stored counts, the next write replaces. */
  appends: number
  /** Monotonic time when the store was last known to hold the part: it was loaded, or a write of it was begun. */
  storedAt: number
  /** Whether this owner wrote it: then it was no older at `storedAt` than that. */
  written: boolean
  /** Second-chance bit of the clock eviction. */
  touched: boolean
}

/** Above this length a flush appends the new events instead of writing the whole part again. */
const appendFromEvents = 256
/** Whole rewrite after as many appends, so that trimmed events do not pile up in the store. */
const appendsMax = 32
/** Parts with unflushed changes are passed over; so many are looked at for each that is wanted. */
const checkStepsPerPart = 8
/** They are read whole: of large ones fewer are told at once. */
const checkedBytesMax = 512 * 1024
/** Map entry, key text and object of one part, measured with 100 000 parts on Node 24. */
const entryOverheadBytes = 250

/** A place below which state is complete: a flush may end there. */
export interface Mark {
  readonly offset: number
  /** Largest event time below it; null before the first event. */
  readonly maxTime: number | null
}

/** Between two marks: a flush that holds too much is divided there. Fewer where a flush holds less. */
const markEveryEvents = 32
/** Beyond this many, every second one goes. */
const marksMax = 4096

/** How long the store keeps a part that is not written again. */
export interface Expiry {
  readonly ttlMs: number
  /** Milliseconds. */
  readonly monotonic: () => number
}

const never: Expiry = { ttlMs: Infinity, monotonic: () => 0 }

/**
 * The state of one input partition in this process: its parts, which of them the store lacks changes of, and the
 * largest event time. Parts with unflushed changes stay; the others are a bounded cache of the store.
 */
export class PartitionMemory {
  /** Largest event time applied, epoch ms. */
  maxTime: number | null = null
  readonly #features: CompiledFeatures
  readonly #bucketOf: (entityKey: string) => number
  readonly #expiry: Expiry
  readonly #markEvery: number
  readonly #byLayout: readonly Map<string, Entry>[]
  readonly #unflushed: readonly Set<Entry>[]
  #bytes = 0
  #hits = 0
  #lookups = 0
  #evicted = false
  #hand: Iterator<Entry> | null = null
  #checkHand: Iterator<Entry> | null = null
  #marks: Mark[] = []
  #unmarked = 0

  constructor(
    features: CompiledFeatures,
    buckets: number,
    bucketOf: (entityKey: string) => number,
    expiry = never,
    changesMax = Infinity,
  ) {
    this.#features = features
    this.#bucketOf = bucketOf
    this.#expiry = expiry
    this.#markEvery = Math.min(markEveryEvents, changesMax)
    this.#byLayout = features.layouts.map(() => new Map<string, Entry>())
    this.#unflushed = Array.from({ length: buckets }, () => new Set<Entry>())
  }

  get bytes(): number {
    return this.#bytes
  }
  get parts(): number {
    return this.#byLayout.reduce((sum, map) => sum + map.size, 0)
  }
  get hitRatio(): number {
    return this.#lookups === 0 ? 1 : this.#hits / this.#lookups
  }
  /** True while nothing was ever evicted: what is absent here was then never written in this build. */
  get complete(): boolean {
    return !this.#evicted
  }

  /** The part, or null when it has to be loaded first. */
  find(layout: Layout, entityKey: string): HeldPart | null {
    const entry = this.#byLayout[layout.index]?.get(entityKey)
    this.#lookups++
    if (entry === undefined) return null
    this.#hits++
    entry.touched = true
    return entry
  }

  /** Puts a part read from the store (null: the store has none in this build). Keeps one that is already held. */
  put(layout: Layout, entityKey: string, bytes: Buffer | null): HeldPart {
    const map = this.#byLayout[layout.index]
    if (map === undefined) throw new Error(`no layout ${layout.index}`)
    const held = map.get(entityKey)
    if (held !== undefined) return held
    const entry: Entry = {
      layout: layout.index,
      entityKey,
      log: bytes === null ? this.#features.newPart(layout) : this.#features.decode(layout, bytes),
      bucket: this.#bucketOf(entityKey),
      unflushedFrom: -1,
      appends: bytes === null ? -1 : 0,
      storedAt: this.#expiry.monotonic(),
      written: false,
      touched: true,
    }
    map.set(entityKey, entry)
    this.#bytes += entry.log.bytes + entryOverheadBytes
    return entry
  }

  /** Inserts an event into a held part and trims what no reader can see any more. */
  insert(
    layout: Layout,
    held: HeldPart,
    event: Event,
    trimUntil: number | null,
    failures?: FailureSink,
  ): void {
    const entry = held as Entry
    const before = entry.log.bytes
    if (trimUntil !== null) this.#features.trim(layout, entry.log, trimUntil)
    this.#features.insert(layout, entry.log, event, failures)
    this.#bytes += entry.log.bytes - before
    if (entry.unflushedFrom < 0) {
      entry.unflushedFrom = event.raw.offset
      this.#unflushed[entry.bucket]?.add(entry)
    }
  }

  /** An event of this partition was applied: all below and including it is in this memory. */
  observe({ time, raw }: Event): void {
    this.maxTime = largestTime(this.maxTime, time)
    if (++this.#unmarked < this.#markEvery) return
    this.#unmarked = 0
    if (this.#marks.length >= marksMax) this.#marks = this.#marks.filter((_, index) => index % 2 === 1)
    this.#marks.push({ offset: raw.offset + 1, maxTime: this.maxTime })
  }

  /** Where the next flush of a bucket that is flushed to `from` should end on its way to `target`, for want of room. */
  nextStep(bucket: number, from: number, target: Mark, max: FlushMax): Mark {
    const limit = this.#fitsBelow(bucket, target.offset, max)
    if (limit >= target.offset) return target
    const marks = this.#marks.filter(({ offset }) => offset > from && offset < target.offset)
    return marks.findLast(({ offset }) => offset <= limit) ?? marks[0] ?? target
  }

  /** Nobody flushes to marks at or below `offset` any more. */
  forgetMarks(offset: number): void {
    this.#marks = this.#marks.filter((mark) => mark.offset > offset)
  }

  /** Offset below which the changes of a bucket fit into one flush; `offset` when all below it do. */
  #fitsBelow(bucket: number, offset: number, { changes, bytes }: FlushMax): number {
    const due: Entry[] = []
    let total = 0
    for (const entry of this.#unflushed[bucket] ?? []) {
      if (entry.unflushedFrom >= offset) continue
      due.push(entry)
      total += this.#bytesToWrite(entry)
    }
    if (due.length <= changes && total <= bytes) return offset
    total = 0
    for (const [index, entry] of due.toSorted((a, b) => a.unflushedFrom - b.unflushedFrom).entries()) {
      total += this.#bytesToWrite(entry)
      if (index >= changes || total > bytes) return entry.unflushedFrom
    }
    return offset
  }

  /** What is appended is as large as the events since: rows are bounded. */
  #bytesToWrite(entry: Entry): number {
    return this.#isAppended(entry) ? 0 : entry.log.bytes
  }

  /** A part that was silent for so long may have expired. The store refuses to append to nothing, at the price of a rebuild. */
  #isAppended({ storedAt, appends, log }: Entry): boolean {
    const isKept = this.#expiry.monotonic() - storedAt < this.#expiry.ttlMs / 2
    return isKept && appends >= 0 && appends < appendsMax && log.length > appendFromEvents
  }

  /** Changes of a bucket that a flush up to `offset` has to write. */
  changesBelow(bucket: number, offset: number): PartChange[] {
    const changes: PartChange[] = []
    for (const entry of this.#unflushed[bucket] ?? []) {
      if (entry.unflushedFrom < offset) changes.push(this.#change(entry, offset))
    }
    return changes
  }

  /** Whether a flush of a bucket up to `offset` has anything to write. */
  hasChangesBelow(bucket: number, offset: number): boolean {
    for (const entry of this.#unflushed[bucket] ?? []) if (entry.unflushedFrom < offset) return true
    return false
  }

  #change(entry: Entry, offset: number): PartChange {
    const layout = this.#features.layouts[entry.layout]
    if (layout === undefined) throw new Error(`no layout ${entry.layout}`)
    const { log, entityKey } = entry
    const isAppended = this.#isAppended(entry)
    entry.storedAt = this.#expiry.monotonic()
    entry.written = true
    if (isAppended) {
      entry.appends++
      const bytes = this.#features.encodeTail(layout, log, entry.unflushedFrom, offset)
      return { layout: entry.layout, entityKey, kind: 'append', bytes }
    }
    entry.appends = 0
    return {
      layout: entry.layout,
      entityKey,
      kind: 'set',
      bytes: this.#features.encode(layout, log, offset),
    }
  }

  /** The store now holds everything of `bucket` below `offset`. */
  flushed(bucket: number, offset: number): void {
    const unflushed = this.#unflushed[bucket]
    if (unflushed === undefined) return
    for (const entry of unflushed) {
      if (entry.unflushedFrom >= offset) continue
      if (entry.log.lastOffset < offset) {
        entry.unflushedFrom = -1
        unflushed.delete(entry)
      } else {
        // Not merely `offset`: the steps of a divided flush would write it over and over.
        entry.unflushedFrom = this.#features.nextOffset(entry.log, offset) ?? offset
      }
    }
  }

  /** Up to `partsMax` parts that the store must still hold, because this owner wrote them; others with each call. */
  storedParts(partsMax: number): PartKey[] {
    const found: PartKey[] = []
    let bytes = 0
    for (let steps = Math.min(this.parts, partsMax * checkStepsPerPart); steps > 0; steps--) {
      this.#checkHand ??= this.#walk()
      const next = this.#checkHand.next()
      if (next.done === true) this.#checkHand = null
      else if (this.#isStored(next.value)) {
        found.push(next.value)
        bytes += next.value.log.bytes
      }
      if (found.length >= partsMax || bytes >= checkedBytesMax) break
    }
    return found
  }

  /** Whether the store must hold this part now. */
  isStored({ layout, entityKey }: PartKey): boolean {
    const entry = this.#byLayout[layout]?.get(entityKey)
    return entry !== undefined && this.#isStored(entry)
  }

  #isStored({ written, unflushedFrom, storedAt }: Entry): boolean {
    return written && unflushedFrom < 0 && this.#expiry.monotonic() - storedAt < this.#expiry.ttlMs / 2
  }

  /** Evicts parts without unflushed changes that were not used since the hand last passed, down to `bytesMax`. */
  evict(bytesMax: number): void {
    let steps = this.parts * 2
    while (this.#bytes > bytesMax && steps-- > 0) {
      this.#hand ??= this.#walk()
      const next = this.#hand.next()
      if (next.done === true) this.#hand = null
      else if (next.value.touched) next.value.touched = false
      else if (next.value.unflushedFrom < 0) this.#drop(next.value)
    }
  }

  *#walk(): Generator<Entry> {
    for (const map of this.#byLayout) yield* map.values()
  }

  #drop(entry: Entry): void {
    this.#byLayout[entry.layout]?.delete(entry.entityKey)
    this.#bytes -= entry.log.bytes + entryOverheadBytes
    this.#evicted = true
  }
}
