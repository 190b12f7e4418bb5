import { maskColumn } from './part-log.ts'
import type { Part } from './part-log.ts'
import type { Cut } from './window.ts'

const capacityMin = 64

/** Events that a row looks at one by one: of all parts together, oldest first. Used again for every row. */
export class WindowLog {
  times = new Float64Array(capacityMin)
  /** What the log was asked for; nothing where only times matter. */
  values = new Float64Array(capacityMin)
  length = 0

  makeRoom(more: number): void {
    const needed = this.length + more
    if (needed <= this.times.length) return
    const capacity = Math.max(needed, 2 * this.times.length)
    const [times, values] = [new Float64Array(capacity), new Float64Array(capacity)]
    times.set(this.times.subarray(0, this.length))
    values.set(this.values.subarray(0, this.length))
    this.times = times
    this.values = values
  }
}

/** The end of a log that one of several nested windows holds: [start, log.length). */
export interface LogWindow {
  readonly log: WindowLog
  start: number
}

/** Collects the events of nested windows, once for all of them. */
export interface Collection {
  readonly log: WindowLog
  readonly upTo: number
  /** Left ends, narrow to wide (indices of cuts), with what to set for each. */
  readonly downTo: readonly { readonly cut: number; readonly window: LogWindow }[]
  /** Bit the mask must have; 0: every event counts. */
  readonly bit: number
  /** Events whose value is NaN do not count; -1: no value is needed. */
  readonly column: number
  /** Every event counts, and its value is 1 where it has the bit, else 0. */
  readonly isFlag: boolean
}

/** `at`: index of each cut in the part. */
export function collect(
  { log, upTo, downTo, bit, column, isFlag }: Collection,
  cuts: readonly Cut[],
  at: Int32Array,
  part: Part,
  timeMs: number,
): void {
  const { data, capacity } = part
  const masks = maskColumn * capacity
  const from = log.length
  const [left, right] = [at[downTo.at(-1)!.cut]!, at[upTo]!]
  log.makeRoom(right - left)
  const { times, values } = log
  let length = from
  for (let i = left; i < right; i++) {
    const has = bit === 0 || (data[masks + i]! & bit) !== 0
    if (!has && !isFlag) continue
    const value = isFlag ? Number(has) : column < 0 ? 0 : data[column * capacity + i]!
    if (value !== value) continue
    times[length] = data[i]!
    values[length] = value
    length++
  }
  log.length = length
  if (from > 0 && length > from) mergeRuns(log, from)
  for (const { cut, window } of downTo) window.start = firstBehind(log, timeMs - cuts[cut]!.distanceMs)
}

/**
 * Both halves are in order of time. At equal times the half read later comes first: of two partitions' events in one
 * millisecond the part read first has the newer one, as for `last`.
 */
function mergeRuns({ times, values, length }: WindowLog, from: number): void {
  if (times[from]! > times[from - 1]!) return
  const [laterTimes, laterValues] = [times.slice(from, length), values.slice(from, length)]
  let [i, j] = [from - 1, length - from - 1]
  for (let k = length - 1; j >= 0; k--) {
    const isLater = i < 0 || laterTimes[j]! > times[i]!
    times[k] = isLater ? laterTimes[j]! : times[i]!
    values[k] = isLater ? laterValues[j]! : values[i]!
    if (isLater) j--
    else i--
  }
}

/** Index of the first event after `limit`. */
function firstBehind({ times, length }: WindowLog, limit: number): number {
  let low = 0
  let high = length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (times[middle]! > limit) high = middle
    else low = middle + 1
  }
  return low
}
