import type { Decoder } from '../decode/decoder.ts'
import { isReject, type Event, type Reject } from '../record/event.ts'

/** From `offset` on, an event later than `until` (epoch ms) is a dead letter. */
export interface TimeBound {
  readonly offset: number
  readonly until: number
}

/**
 * What keeps an event time that lies in the future out of the event watermark, which would make all that follows late.
 * The record's own timestamp cannot: its producer writes it too. The wall clock can, but says something else whenever
 * events are applied again; so what it said is committed with the position, and looked up then.
 */
export interface TimeBounds {
  /** By offset; before the first there is no bound. */
  readonly steps: readonly TimeBound[]
  /** Smallest event time refused since the last step began; null: none. */
  readonly refusedFrom: number | null
}

export const unbounded: TimeBounds = { steps: [], refusedFrom: null }

/** Of a log that is read from `offset` on for the first time. */
export function boundsFrom(offset: number, until: number): TimeBounds {
  return { steps: [{ offset, until }], refusedFrom: null }
}

/**
 * Kept in the commit metadata. There is one step as long as nothing is refused that a later bound would let through; a
 * producer whose clock is ahead makes one per `futureMax`. Beyond these the oldest are joined: a rebuild that reaches back
 * so far then counts what was refused there.
 */
export const timeStepsMax = 12

/** Refuses events later than `until`, which is wall clock + tolerance, unless an earlier bound lets them through. */
export function boundTimes(
  bounds: TimeBounds,
  items: readonly (Event | Reject)[],
  until: number,
): { readonly items: readonly (Event | Reject)[]; readonly bounds: TimeBounds } {
  let after = bounds
  const out = items.map((item) => {
    if (isReject(item)) return item
    const last = after.steps.at(-1)
    if (last !== undefined && item.time <= last.until) return item
    if (last === undefined || item.time <= until) after = raised(after, item.raw.offset, until)
    if (item.time <= until) return item
    after = { ...after, refusedFrom: Math.min(after.refusedFrom ?? Infinity, item.time) }
    return futureReject(item, until)
  })
  return { items: out, bounds: after }
}

function raised({ steps, refusedFrom }: TimeBounds, offset: number, until: number): TimeBounds {
  const last = steps.at(-1)
  // What was refused since the step began would be refused under the new bound too.
  const isSame = last !== undefined && (refusedFrom === null || refusedFrom > until)
  if (isSame) return { steps: [...steps.slice(0, -1), { ...last, until }], refusedFrom }
  const all = [...steps, { offset, until }]
  const [oldest, next, ...rest] = all
  if (oldest === undefined || next === undefined || all.length <= timeStepsMax) {
    return { steps: all, refusedFrom: null }
  }
  return { steps: [{ offset: oldest.offset, until: next.until }, ...rest], refusedFrom: null }
}

/**
 * For readers that know nothing of what was committed: what still lies in the future was refused when it came, too. What
 * was refused and has become the past since is let through.
 */
export function refuseFuture(decoder: Decoder, until: number): Decoder {
  return {
    prepare: (records, signal) => decoder.prepare(records, signal),
    decode: (record) => {
      const item = decoder.decode(record)
      return isReject(item) || item.time <= until ? item : futureReject(item, until)
    },
  }
}

/** Whether an event was let through when it came; the same each time it is applied again. */
export function wasAccepted({ steps }: TimeBounds, { time, raw }: Event): boolean {
  const bound = steps.findLast(({ offset }) => offset <= raw.offset)
  return bound === undefined || time <= bound.until
}

/** Without what lies before every place that a rebuild may start from. */
export function trimBounds(bounds: TimeBounds, firstOffset: number): TimeBounds {
  const needed = bounds.steps.findLastIndex(({ offset }) => offset <= firstOffset)
  return needed > 0 ? { ...bounds, steps: bounds.steps.slice(needed) } : bounds
}

function futureReject({ time, raw }: Event, until: number): Reject {
  return {
    rejected: true,
    reason: 'TIMESTAMP',
    stage: 'decode',
    message:
      `event time ${time} is ${time - until} ms later than the clock of this machine and limits.futureMax allow; ` +
      `the record's timestamp is ${raw.timestamp}`,
    raw,
  }
}
