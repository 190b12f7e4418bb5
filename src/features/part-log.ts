import type { PartLog } from './compiled.ts'

/** Columns of a part: time, offset, then the predicate mask if any predicate is stored, then the values. */
export interface PartShape {
  readonly masked: boolean
  readonly valueCount: number
}

export const timeColumn = 0
export const offsetColumn = 1
export const maskColumn = 2

export function valueColumn(shape: PartShape, index: number): number {
  return (shape.masked ? 3 : 2) + index
}

/** Offset of events that came from the store: below every offset of the log. */
export const storedOffset = -1

const capacityMin = 4
/**
 * The object, its typed array and their buffer in V8's heap (240), and what the buffer takes beside its bytes where it is
 * allocated (190 to 300 resident): 100 000 parts on Node 24. The cache bound is approximate.
 */
const overheadBytes = 460

/**
 * One partition's log of one entity: columns of float64 in a single array (one allocation per part), sorted by
 * (time, log order) between `start` and `end`.
 */
export class Part implements PartLog {
  /** Column c holds its events at c * capacity + start … c * capacity + end. */
  data: Float64Array
  capacity: number
  start = 0
  end = 0
  lastOffset = -1
  /** Time of the newest event that the cap made this log forget; -Infinity if none. */
  droppedTime = -Infinity
  /** Events below this offset are committed: they are not un-applied any more. */
  settledOffset = 0
  readonly columnCount: number

  constructor(shape: PartShape, capacity = capacityMin) {
    this.columnCount = valueColumn(shape, shape.valueCount)
    this.capacity = Math.max(capacity, capacityMin)
    this.data = new Float64Array(this.columnCount * this.capacity)
  }

  get bytes(): number {
    return this.data.byteLength + overheadBytes
  }

  get length(): number {
    return this.end - this.start
  }
}

/** Opens a slot for an event at `time`, behind events of the same time, and returns its index. Amortised O(1) in order. */
export function openSlot(part: Part, time: number, eventsMax: number): number {
  if (part.end === part.capacity) {
    forgetHidden(part, eventsMax)
    makeRoom(part)
  }
  const { data, capacity, start, end } = part
  let at = end
  while (at > start && data[at - 1]! > time) at--
  if (at < end) {
    for (let base = 0; base < data.length; base += capacity) {
      data.copyWithin(base + at + 1, base + at, base + end)
    }
  }
  part.end = end + 1
  return at
}

/** Moves the events to the front; into an array of twice their number when the present one is smaller, or wastes most of it. */
function makeRoom(part: Part): void {
  const { data, capacity, start, end, columnCount } = part
  const roomy = Math.max(capacityMin, (end - start) * 2)
  if (roomy <= capacity && capacity < roomy * 4) {
    for (let base = 0; base < data.length; base += capacity) data.copyWithin(base, base + start, base + end)
  } else {
    const grown = new Float64Array(columnCount * roomy)
    for (let column = 0; column < columnCount; column++) {
      grown.set(data.subarray(column * capacity + start, column * capacity + end), column * roomy)
    }
    part.data = grown
    part.capacity = roomy
  }
  part.start = 0
  part.end = end - start
}

/** First index in [from, to) whose time is greater than `limit`, or `to`. */
export function firstAfter(part: Part, limit: number, from: number, to: number): number {
  const times = part.data
  if (to > from && times[to - 1]! <= limit) return to
  let low = from
  let high = to
  while (low < high) {
    const middle = (low + high) >>> 1
    if (times[middle]! > limit) high = middle
    else low = middle + 1
  }
  return low
}

/** Offsets of the events in (afterMs, untilMs]: a view, good until the part changes. */
export function offsetsWithin(part: Part, afterMs: number, untilMs: number): Float64Array {
  const first = firstAfter(part, afterMs, part.start, part.end)
  const end = firstAfter(part, untilMs, first, part.end)
  const offsets = offsetColumn * part.capacity
  return part.data.subarray(offsets + first, offsets + end)
}

/** The cap lets reads see `eventsMax` events up to `end` (an index) only: index of the first of them. */
export function visibleStart(part: Part, eventsMax: number, end: number): number {
  return Math.max(part.start, end - eventsMax)
}

/** Time of the newest event hidden by the cap; -Infinity if none. */
export function hiddenTime(part: Part, eventsMax: number, end: number): number {
  const first = visibleStart(part, eventsMax, end)
  return first > part.start ? Math.max(part.droppedTime, part.data[first - 1]!) : part.droppedTime
}

/** Drops events at or before `untilMs`; also the memory of dropped ones that old. */
export function dropUntil(part: Part, untilMs: number): number {
  if (part.droppedTime <= untilMs) part.droppedTime = -Infinity
  const first = firstAfter(part, untilMs, part.start, part.end)
  const dropped = first - part.start
  part.start = first
  return dropped
}

/**
 * Frees what the cap hides for good. An event may be hidden by others that are not committed yet; a state before those
 * can still be asked for (encode), so only events behind `eventsMax` newer *settled* ones go.
 */
export function forgetHidden(part: Part, eventsMax: number): void {
  const { data, start, end, settledOffset } = part
  if (end - start <= eventsMax) return
  const offsets = offsetColumn * part.capacity
  let newest = end
  for (let kept = 0; newest > start && kept < eventsMax; newest--) {
    if (data[offsets + newest - 1]! < settledOffset) kept++
  }
  let first = start
  while (first < newest && data[offsets + first]! < settledOffset) first++
  if (first === start) return
  part.droppedTime = Math.max(part.droppedTime, data[first - 1]!)
  part.start = first
}

/** Smallest offset at or above `from` among the events held; null: there is none. */
export function nextOffset({ data, capacity, start, end }: Part, from: number): number | null {
  const offsets = offsetColumn * capacity
  let next = Infinity
  for (let at = offsets + start; at < offsets + end; at++) {
    const offset = data[at]!
    if (offset >= from && offset < next) next = offset
  }
  return next === Infinity ? null : next
}
