/**
 * The feature store: committed prefixes only.
 *
 * A *bucket* is a set of entities one script sees whole. Per bucket there is one watermark map W: input name → text.
 * `flush` is compare-and-set on the text of the own watermark, in the same script as the data, so a stale owner is
 * refused and a store that went back in time is noticed.
 */
export interface FeatureStore {
  readonly buckets: number
  /** What one flush should hold at most: others wait for it to end. */
  readonly flushMax: FlushMax
  bucketOf(entityKey: string): number
  /** The whole watermark map of a bucket. */
  watermarks(bucket: number, signal: AbortSignal): Promise<Watermarks>
  /** Parts and the watermark map of the bucket, read atomically. */
  load(bucket: number, request: LoadRequest, signal: AbortSignal): Promise<Loaded>
  /**
   * Writes changes and moves the own watermark from `expected` to `next`, all or nothing visible:
   * a script that dies midway leaves the watermark TORN, and so does one that finds nothing to append to.
   * Not applied: returns the watermark found, or left.
   */
  flush(bucket: number, request: FlushRequest, signal: AbortSignal): Promise<FlushResult>
}

export interface FlushMax {
  readonly changes: number
  readonly bytes: number
}

/** Input name (`topic:partition`) → watermark text, or the mark of a torn flush. */
export type Watermarks = ReadonlyMap<string, string>

/**
 * What stands in place of the watermark while a flush writes, and stays when it dies midway. It names the flush, so that
 * a late copy of the script that began a rebuild over one torn flush is refused over another.
 */
export function tornBy(next: string): string {
  return `${tornPrefix}${next}`
}
export function isTorn(text: string): boolean {
  return text.startsWith(tornPrefix)
}
export const tornPrefix = 'TORN:'

/**
 * What stands there before the first data of a build. The store puts its own time behind it, so that no two are alike: a
 * late copy of the script that began a build says something that the late copy of the next one does not expect.
 */
export const begunPrefix = 'BEGUN:'

/** Identifies one partition's share of one entity's state. */
export interface PartKey {
  readonly layout: number
  readonly entityKey: string
}

export interface LoadRequest {
  readonly inputName: string
  /** Own parts to load. */
  readonly own: readonly PartKey[]
  /** Merged entities: every partition's part is returned, but for those that the caller holds. */
  readonly merged: readonly MergedKey[]
  /** Text of the watermark that the caller's parts of an input are of. */
  readonly held?: Watermarks
}

export interface MergedKey extends PartKey {
  /** Inputs whose parts are wanted. */
  readonly inputs?: readonly string[]
  /** Those among them, all named in `held`, whose part is left out if their watermark still has the text there. */
  readonly held?: ReadonlySet<string>
}

/** Whose parts of a merged key are read; null: those of all inputs, because nothing that is held still counts. */
export function wantedOf(
  { inputs = [], held }: MergedKey,
  heldWatermarks: Watermarks | undefined,
  watermarks: Watermarks,
): readonly string[] | null {
  if (held === undefined || heldWatermarks === undefined) return null
  const isSame = (input: string): boolean =>
    held.has(input) && watermarks.has(input) && watermarks.get(input) === heldWatermarks.get(input)
  const wanted = inputs.filter((input) => !isSame(input))
  return wanted.length === inputs.length ? null : wanted
}

export interface Loaded {
  readonly watermarks: Watermarks
  /** In the order of the request; null where nothing is stored. */
  readonly own: readonly (Buffer | null)[]
  /**
   * In the order of the request: input name → bytes. Without those that were left out; an own share may be among them: use
   * the memory's instead.
   */
  readonly merged: readonly ReadonlyMap<string, Buffer>[]
}

export interface PartChange extends PartKey {
  /** Bytes of the whole part (`set`), or bytes to put behind what is stored (`append`). */
  readonly kind: 'set' | 'append'
  readonly bytes: Buffer
}

export interface FlushRequest {
  readonly inputName: string
  /** Text the own watermark must have now; null: absent. */
  readonly expected: string | null
  /** Text to put there; what begins with BEGUN gets the time of the store appended. */
  readonly next: string
  readonly changes: readonly PartChange[]
  /** Expiry of every key written, ms from now (garbage collection, never correctness). */
  readonly ttlMs: number
}

export interface FlushResult {
  readonly applied: boolean
  /** The own watermark after the call; null: absent. */
  readonly current: string | null
}

/** The watermarks of every bucket, by its number, read side by side. */
export function allWatermarks(store: FeatureStore, signal: AbortSignal): Promise<Watermarks[]> {
  return Promise.all(Array.from({ length: store.buckets }, (_, bucket) => store.watermarks(bucket, signal)))
}
