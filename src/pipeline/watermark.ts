import { begunPrefix, isTorn } from '../features/store.ts'

/**
 * W of one input and bucket: everything below `offset` is in the store. Kept as text, compared as text:
 * flushes are compare-and-set on it.
 */
export interface Watermark {
  readonly incarnation: string
  /** Names one build of the stored state. Parts of another build count as absent. */
  readonly build: string
  readonly offset: number
  /** Largest event time below `offset`, epoch ms; null before the first event. */
  readonly maxTime: number | null
  /** Wall clock of the flush, epoch ms. */
  readonly flushedAt: number
  /** Wall clock when `offset` was last seen to be the end of the log; 0: never. */
  readonly caughtUpAt: number
  /** Smallest distance (wall clock − largest event time) since the build began, ms; null before the first event. */
  readonly distanceMin: number | null
  /** Event time of the event at `offset`, which waits for other partitions (alignment); null: none does. */
  readonly headTime: number | null
  /** Wall clock before the first data of the build was written, epoch ms; null: not known. */
  readonly builtAt: number | null
}

/** The version, then the fields of a Watermark in order. Only this program writes it. */
type Written = readonly [
  1,
  string,
  string,
  number,
  number | null,
  number,
  number,
  number | null,
  (number | null)?,
  (number | null)?,
]

export function encodeWatermark(w: Watermark): string {
  const written: Written = [
    1,
    w.incarnation,
    w.build,
    w.offset,
    w.maxTime,
    w.flushedAt,
    w.caughtUpAt,
    w.distanceMin,
    w.headTime,
    w.builtAt,
  ]
  return JSON.stringify(written)
}

/**
 * What stands in the store when a rebuild begins, before its first data; `parseWatermark` finds nothing to trust in it.
 * The store puts its time behind it.
 */
export function begunWatermark(incarnation: string, build: string): string {
  return `${begunPrefix}${incarnation}:${build}`
}

/** Whether the store says `begun` (of `begunWatermark`), whenever that was. */
export function isBegun(text: string | null, begun: string): boolean {
  return text?.startsWith(`${begun}:`) === true
}

/** Null for absent, torn, begun or unreadable text: the state below it cannot be trusted. */
export function parseWatermark(text: string | null | undefined): Watermark | null {
  if (text === null || text === undefined || isTorn(text)) return null
  try {
    const written = JSON.parse(text) as Written
    if (!Array.isArray(written) || written[0] !== 1 || !Number.isSafeInteger(written[3])) return null
    const [, incarnation, build, offset, maxTime, flushedAt, caughtUpAt, distanceMin] = written
    const { 8: headTime = null, 9: builtAt = null } = written
    return { incarnation, build, offset, maxTime, flushedAt, caughtUpAt, distanceMin, headTime, builtAt }
  } catch {
    return null
  }
}

/** A resent script that was already applied leaves the watermark it was to write. */
export function sameProgress(a: Watermark | null, b: Watermark): boolean {
  return a !== null && a.incarnation === b.incarnation && a.build === b.build && a.offset === b.offset
}

/**
 * Whether parts may have expired although the windows still see them: wall time ran ahead of event time by
 * more than `outageMaxMs` since the parts were written (their expiry is horizon + lateness + outageMax).
 */
export function outageExceeded(
  w: Pick<Watermark, 'maxTime' | 'distanceMin'>,
  nowMs: number,
  outageMaxMs: number,
): boolean {
  if (w.maxTime === null || w.distanceMin === null) return false
  return nowMs - w.maxTime - w.distanceMin > outageMaxMs
}

export function largestTime(a: number | null, b: number | null): number | null {
  if (a === null) return b
  return b === null ? a : Math.max(a, b)
}
