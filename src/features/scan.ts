import { firstAfter, hiddenTime, maskColumn, offsetColumn, visibleStart } from './part-log.ts'
import type { Part } from './part-log.ts'
import type { Cut } from './window.ts'
import { collect } from './window-log.ts'
import type { Collection, LogWindow } from './window-log.ts'

/**
 * What one row reads from the parts of one layout. Windows with the same right end nest, so each tally walks its
 * column once, newest event first, and notes the sum whenever it passes the left end of a window.
 */
export interface Reader {
  readonly horizonMs: number
  readonly eventsMax: number
  /** The cap counts back from the event that reads instead of the newest one. */
  readonly capByTime: boolean
  /** Ends of windows, newest first. */
  readonly cuts: readonly Cut[]
  /** Index of each cut in the part being read. */
  readonly at: Int32Array
  readonly tallies: readonly Tally[]
  /** Columns of which the extremes are wanted. */
  readonly extremes: readonly Tally[]
  readonly latests: readonly Span[]
  readonly oldests: readonly Span[]
  readonly collections: readonly Collection[]
}

/** Counts events and adds up a column over nested windows, or finds its extremes. */
export interface Tally {
  readonly upTo: number
  /** Left ends, narrow to wide (indices of cuts), with the slot of each window in the registers. */
  readonly downTo: readonly { readonly cut: number; readonly slot: number }[]
  /** Bit the mask must have; 0: every event counts. */
  readonly bit: number
  /** Events whose value is NaN do not count; -1: no value is needed. */
  readonly column: number
}

/** One window, of which one event is looked for. */
export interface Span {
  readonly upTo: number
  readonly downTo: number
  readonly slot: number
  readonly bit: number
  readonly column: number
}

/** Results of a row's reads, summed over the parts of a merged entity. */
export interface Registers {
  readonly counts: Float64Array
  readonly sums: Float64Array
  /** Of all values: Infinity and -Infinity where there is none. */
  readonly mins: Float64Array
  readonly maxs: Float64Array
  readonly latestTimes: Float64Array
  /** Only valid where the time is above -Infinity. */
  readonly latestValues: Float64Array
  readonly oldestTimes: Float64Array
  /** Only valid where the time is below Infinity. */
  readonly oldestValues: Float64Array
  /** Events one by one. */
  readonly windows: readonly LogWindow[]
}

export function clear(registers: Registers): void {
  registers.counts.fill(0)
  registers.sums.fill(0)
  registers.latestTimes.fill(-Infinity)
  if (registers.oldestTimes.length > 0) registers.oldestTimes.fill(Infinity)
  if (registers.mins.length > 0) {
    registers.mins.fill(Infinity)
    registers.maxs.fill(-Infinity)
  }
  for (let i = 0; i < registers.windows.length; i++) {
    const window = registers.windows[i]!
    window.log.length = 0
    window.start = 0
  }
}

/** The event whose row is computed. */
export interface Viewpoint {
  readonly timeMs: number
  /** Offset by which the event is recognised in its own part; -2 in parts of other partitions, which no event has. */
  readonly ownOffset: number
  /** Events older than this are late; their windows end where trimming is allowed to cut, trimmed or not. */
  readonly lateBeforeMs: number
}

/** Adds one part to the registers. Returns whether a window reaches events that the cap hides. */
export function readPart(reader: Reader, part: Part, from: Viewpoint, registers: Registers): boolean {
  const { eventsMax, tallies, extremes, latests, oldests, collections, at } = reader
  // Nothing at or before this time can be in a window (or, for a late event, may still be there).
  const floorMs = Math.max(from.timeMs, from.lateBeforeMs) - reader.horizonMs
  const newest = reader.capByTime ? firstAfter(part, from.timeMs, part.start, part.end) : part.end
  let first = visibleStart(part, eventsMax, newest)
  if (from.timeMs < from.lateBeforeMs) first = firstAfter(part, floorMs, first, part.end)
  locateCuts(reader, part, first, from)
  for (let i = 0; i < tallies.length; i++) runTally(tallies[i]!, at, part, registers)
  for (let i = 0; i < extremes.length; i++) runExtremes(extremes[i]!, at, part, registers)
  for (let i = 0; i < latests.length; i++) runLatest(latests[i]!, at, part, registers)
  for (let i = 0; i < oldests.length; i++) runOldest(oldests[i]!, at, part, registers)
  for (let i = 0; i < collections.length; i++) collect(collections[i]!, reader.cuts, at, part, from.timeMs)
  return hiddenTime(part, eventsMax, newest) > floorMs
}

function locateCuts(reader: Reader, part: Part, first: number, from: Viewpoint): void {
  const { cuts, at } = reader
  const offsets = offsetColumn * part.capacity
  let end = part.end
  for (let i = 0; i < cuts.length; i++) {
    const cut = cuts[i]!
    end = firstAfter(part, from.timeMs - cut.distanceMs, first, end)
    // Later events of the same millisecond are not inserted yet, so the event itself is the last one up to t.
    if (cut.withoutCurrent && end > first && part.data[offsets + end - 1] === from.ownOffset) end--
    at[i] = end
  }
}

function runTally(tally: Tally, at: Int32Array, part: Part, registers: Registers): void {
  const { downTo, bit, column } = tally
  const { data, capacity } = part
  const masks = maskColumn * capacity
  const values = column * capacity
  let sum = 0
  let count = 0
  let i = at[tally.upTo]!
  for (let w = 0; w < downTo.length; w++) {
    const { cut, slot } = downTo[w]!
    const left = at[cut]!
    if (column >= 0) {
      while (i > left) {
        i--
        if (bit !== 0 && (data[masks + i]! & bit) === 0) continue
        const value = data[values + i]!
        if (value !== value) continue
        sum += value
        count++
      }
    } else if (bit !== 0) {
      while (i > left) if ((data[masks + --i]! & bit) !== 0) count++
    } else {
      count += i - left
      i = left
    }
    registers.counts[slot]! += count
    registers.sums[slot]! += sum
  }
}

function runExtremes(tally: Tally, at: Int32Array, part: Part, registers: Registers): void {
  const { downTo, bit, column } = tally
  const { data, capacity } = part
  const masks = maskColumn * capacity
  const values = column * capacity
  let [min, max] = [Infinity, -Infinity]
  let i = at[tally.upTo]!
  for (let w = 0; w < downTo.length; w++) {
    const { cut, slot } = downTo[w]!
    const left = at[cut]!
    while (i > left) {
      i--
      if (bit !== 0 && (data[masks + i]! & bit) === 0) continue
      const value = data[values + i]!
      // Both are false for NaN.
      if (value < min) min = value
      if (value > max) max = value
    }
    if (min < registers.mins[slot]!) registers.mins[slot] = min
    if (max > registers.maxs[slot]!) registers.maxs[slot] = max
  }
}

function runLatest(latest: Span, at: Int32Array, part: Part, registers: Registers): void {
  const { slot, bit, column } = latest
  const { data, capacity } = part
  const left = at[latest.downTo]!
  for (let i = at[latest.upTo]! - 1; i >= left; i--) {
    const time = data[i]!
    // Of two partitions' events in the same millisecond the part read first wins: the own one, then by order of the view.
    if (time <= registers.latestTimes[slot]!) return
    if (bit !== 0 && (data[maskColumn * capacity + i]! & bit) === 0) continue
    const value = column < 0 ? NaN : data[column * capacity + i]!
    if (column >= 0 && value !== value) continue
    registers.latestTimes[slot] = time
    registers.latestValues[slot] = value
    return
  }
}

function runOldest(oldest: Span, at: Int32Array, part: Part, registers: Registers): void {
  const { slot, bit, column } = oldest
  const { data, capacity } = part
  const right = at[oldest.upTo]!
  for (let i = at[oldest.downTo]!; i < right; i++) {
    const time = data[i]!
    // Of two partitions' events in the same millisecond that of the part read last is the older one: see runLatest.
    if (time > registers.oldestTimes[slot]!) return
    if (bit !== 0 && (data[maskColumn * capacity + i]! & bit) === 0) continue
    const value = column < 0 ? NaN : data[column * capacity + i]!
    if (column >= 0 && value !== value) continue
    registers.oldestTimes[slot] = time
    registers.oldestValues[slot] = value
    return
  }
}
