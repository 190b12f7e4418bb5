import { MillraceError } from '../errors.ts'
import type { FeatureStore } from '../features/store.ts'
import type { Clock } from '../time/clock.ts'
import type { BucketPlan } from './takeover-types.ts'
import type { PartitionMemory } from './partition-memory.ts'
import {
  begunWatermark,
  encodeWatermark,
  isBegun,
  outageExceeded,
  parseWatermark,
  sameProgress,
  type Watermark,
} from './watermark.ts'

export interface FlushTarget {
  /** Everything below is committed. */
  readonly offset: number
  /** Largest event time below it. */
  readonly maxTime: number | null
}

export interface FlusherOptions {
  readonly store: FeatureStore
  readonly memory: PartitionMemory
  readonly clock: Clock
  readonly inputName: string
  readonly incarnation: string
  readonly buckets: readonly BucketPlan[]
  readonly replayFrom: FlushTarget
  readonly ttlMs: number
  readonly rowsMax: number
  readonly ageMaxMs: number
  /** Wall time may run ahead of event time by as much before what is stored expires too early. */
  readonly outageMaxMs: number
  /**
   * Other partitions wait for what these watermarks say (alignment): for event times, which are mostly far ahead of what
   * they need, or for the end of the log, which takes until everything is flushed.
   */
  readonly awaited: 'no' | 'times' | 'end'
  /** Other partitions read parts of this one, whether they wait or not. */
  readonly isShared: boolean
  /** Wall clock when nothing in the log lies at or behind `offset`, 0 when something does. */
  readonly caughtUpAt: (offset: number) => number
  readonly flushed: (offset: number, changes: number, durationMs: number) => void
}

/** Commits of a second share one flush: an entity seen twice is written once. A takeover applies as many again. */
const flushIntervalMs = 1_000
/** Where other partitions read what is written: how old it may be when nobody waits. */
const sharedIntervalMs = 250
/** Where others wait for the end, what was committed is written at once; commits of some milliseconds still share. */
const promptIntervalMs = 25
/** Quiet buckets are advanced as often, a turn earlier or later: it renews expiry and `caughtUpAt`, and notices an emptied store. */
const quietIntervalMs = 900
/** Of many buckets that nobody waits for, each comes after so many intervals, below the 5 s that `caughtUpAt` holds. */
const quietRounds = 4
/** A takeover applies no more than this again on account of a quiet bucket. */
const quietOffsetsMax = 10_000

interface Bucket {
  readonly build: string
  expected: string | null
  /** Text of the flush under way; the store may already hold it. */
  inFlight: string | null
  offset: number
  /** False: rebuilt by this owner; what earlier owners stored does not count. */
  readonly trusted: boolean
  /** False: nothing of this build may be written before the store names it. */
  begun: boolean
  distanceMin: number | null
  /** Wall clock before the first data of the build was written; null: not known, or not written yet. */
  builtAt: number | null
  /** Monotonic time of the last flush. */
  flushedAt: number
}

/** Moves committed changes of one partition into the store, behind the commit, bucket by bucket. */
export class Flusher {
  readonly #options: FlusherOptions
  readonly #buckets: Bucket[]
  #target: FlushTarget
  #rows = 0
  #oldestUnflushedAt: number | null = null
  #waiters: (() => void)[] = []
  #stopped = false
  #wake: (() => void) | null = null
  #head: { readonly offset: number; readonly time: number } | null = null
  #headPublished: number | null = null

  constructor(options: FlusherOptions) {
    this.#options = options
    this.#target = options.replayFrom
    this.#buckets = options.buckets.map((bucket) => ({
      build: bucket.build,
      expected: bucket.expected,
      inFlight: null,
      offset: bucket.offset,
      trusted: !bucket.rebuild,
      begun: !bucket.rebuild,
      distanceMin: bucket.distanceMin,
      builtAt: bucket.rebuild ? null : (parseWatermark(bucket.expected)?.builtAt ?? null),
      flushedAt: -Infinity,
    }))
  }

  /** Offset below which the store holds everything. */
  get flushedOffset(): number {
    return this.#buckets.reduce((min, bucket) => Math.min(min, bucket.offset), this.#target.offset)
  }
  get unflushedRows(): number {
    return this.#rows
  }

  build(bucket: number): string {
    return this.#bucket(bucket).build
  }
  /** False in a rebuild: everything of this build was written by this owner, from memory. */
  trustsStore(bucket: number): boolean {
    return this.#bucket(bucket).trusted
  }
  get target(): FlushTarget {
    return this.#target
  }

  /** Whether a watermark read from the store is one this owner knows; otherwise the memory must be dropped. */
  expects(bucket: number, text: string | null): boolean {
    const { expected, inFlight, begun } = this.#bucket(bucket)
    if (text === expected) return true
    return inFlight !== null && (begun ? text === inFlight : isBegun(text, inFlight))
  }

  /** The event behind `offset` waits for other partitions: they may count it as seen once all below is in the store. */
  waitsAt(offset: number, event: { readonly time: number }): void {
    this.#head = { offset, time: event.time }
  }

  #headTime(target: FlushTarget): number | null {
    return this.#head?.offset === target.offset ? this.#head.time : null
  }

  /** An acknowledged commit (or replayed committed events): `rows` more may be flushed. */
  committed(target: FlushTarget, rows: number): void {
    this.#target = target
    this.#rows += rows
    this.#oldestUnflushedAt ??= this.#options.clock.monotonic()
    if (this.#rows >= this.#options.rowsMax / 2) this.#wake?.()
  }

  /** False: the partition has to pause until `room` resolves. */
  get hasRoom(): boolean {
    const { rowsMax, ageMaxMs, clock } = this.#options
    if (this.#rows >= rowsMax) return false
    return this.#oldestUnflushedAt === null || clock.monotonic() - this.#oldestUnflushedAt < ageMaxMs
  }

  async room(signal: AbortSignal): Promise<void> {
    while (!this.hasRoom) {
      signal.throwIfAborted()
      await new Promise<void>((resolve, reject) => {
        const abort = (): void => reject(signal.reason as Error)
        signal.addEventListener('abort', abort, { once: true })
        this.#waiters.push(() => {
          signal.removeEventListener('abort', abort)
          resolve()
        })
      })
    }
  }

  /** Flushes until stopped or aborted. Throws STATE_MISMATCH when the store is not as this owner left it. */
  async run(signal: AbortSignal): Promise<void> {
    let quietSince = this.#options.clock.monotonic()
    signal.addEventListener('abort', () => this.#wake?.(), { once: true })
    while (!this.#stopped) {
      await this.#pause(signal)
      this.refuseOutlived()
      const quietDue = this.#options.clock.monotonic() - quietSince >= quietIntervalMs
      const due = this.#due(quietDue)
      if (due.length === 0) continue
      await this.#flush(due, signal)
      if (quietDue || this.#buckets.length === 1) quietSince = this.#options.clock.monotonic()
    }
  }

  /** Buckets with changes, and the quiet ones whose turn it is. */
  #due(quietDue: boolean): number[] {
    const { memory, awaited } = this.#options
    const { offset } = this.#target
    const all = [...this.#buckets.keys()]
    if (this.#headTime(this.#target) !== this.#headPublished) return all
    const behindMax = all.length === 1 ? 0 : quietOffsetsMax
    const due = all.filter((index) => {
      const behind = offset - this.#bucket(index).offset
      return behind > 0 && (behind > behindMax || memory.hasChangesBelow(index, offset))
    })
    if (!quietDue) return due
    const longest = all.toSorted((a, b) => this.#bucket(a).flushedAt - this.#bucket(b).flushedAt)
    const quiet = awaited !== 'no' ? all : longest.slice(0, Math.ceil(all.length / quietRounds))
    return [...new Set([...due, ...quiet])]
  }

  /** Throws STATE_MISMATCH when parts may have expired that windows still see: a takeover then builds them anew. */
  refuseOutlived(): void {
    const { clock, outageMaxMs, inputName } = this.#options
    const { offset, maxTime } = this.#target
    const now = clock.now()
    const index = this.#buckets.findIndex(
      // In a replay the target is behind what the bucket holds.
      (bucket) =>
        bucket.offset <= offset &&
        outageExceeded({ maxTime, distanceMin: bucket.distanceMin }, now, outageMaxMs),
    )
    if (index < 0) return
    throw new MillraceError(
      'STATE_MISMATCH',
      `${inputName} bucket ${index}: event time fell behind wall time by more than store.outageMax (${outageMaxMs} ms), so parts may have expired in Redis`,
    )
  }

  async #pause(signal: AbortSignal): Promise<void> {
    const woken = new AbortController()
    this.#wake = (): void => woken.abort()
    const { awaited, isShared, clock } = this.#options
    const intervalMs = awaited === 'end' ? promptIntervalMs : isShared ? sharedIntervalMs : flushIntervalMs
    await clock.sleep(intervalMs, woken.signal).catch(() => undefined)
    this.#wake = null
    signal.throwIfAborted()
  }

  /** `run` returns after what it is doing. */
  stop(): void {
    this.#stopped = true
    this.#wake?.()
  }

  /** One pass over all buckets up to the latest commit. */
  flushAll(signal: AbortSignal): Promise<void> {
    return this.#flush([...this.#buckets.keys()], signal)
  }

  /** One pass over buckets, all with changes among them. They are independent, and lie on several nodes of a cluster. */
  async #flush(due: readonly number[], signal: AbortSignal): Promise<void> {
    const { memory } = this.#options
    const target = this.#target
    const rows = this.#rows
    const startedAt = this.#options.clock.monotonic()
    this.#headPublished = this.#headTime(target)
    // In a replay a bucket may be ahead of what was read again; its watermark must not go back.
    const behind = due.filter((index) => this.#bucket(index).offset <= target.offset)
    const flushed = await Promise.allSettled(behind.map((index) => this.#flushBucket(index, target, signal)))
    let changes = 0
    for (const one of flushed) {
      if (one.status === 'rejected') throw one.reason
      changes += one.value
    }
    memory.forgetMarks(this.flushedOffset)
    this.#rows -= rows
    this.#oldestUnflushedAt = this.#rows > 0 ? startedAt : null
    this.#options.flushed(target.offset, changes, this.#options.clock.monotonic() - startedAt)
    for (const wake of this.#waiters.splice(0)) wake()
  }

  /** In steps that the store can take: each moves the watermark to a place of the committed log, as any flush does. */
  async #flushBucket(index: number, target: FlushTarget, signal: AbortSignal): Promise<number> {
    const { memory, store } = this.#options
    for (let changes = 0; ;) {
      const step = memory.nextStep(index, this.#bucket(index).offset, target, store.flushMax)
      changes += await this.#flushStep(index, step, signal)
      if (step.offset >= target.offset) return changes
    }
  }

  async #flushStep(index: number, target: FlushTarget, signal: AbortSignal): Promise<number> {
    const { store, memory, inputName, ttlMs } = this.#options
    const bucket = this.#bucket(index)
    const next = this.#nextWatermark(bucket, target)
    const text = encodeWatermark(next)
    if (!bucket.begun) await this.#begin(index, bucket, signal)
    const changes = memory.changesBelow(index, target.offset)
    const build = Buffer.from(bucket.build, 'hex')
    bucket.inFlight = text
    const { applied, current } = await store.flush(
      index,
      {
        inputName,
        expected: bucket.expected,
        next: text,
        ttlMs,
        changes: changes.map((change) =>
          change.kind === 'set' ? { ...change, bytes: Buffer.concat([build, change.bytes]) } : change,
        ),
      },
      signal,
    )
    // Refused although the store is where we wanted it: a resent script had already been applied.
    if (!applied && !sameProgress(parseWatermark(current), next)) throw this.#mismatch(index, current)
    bucket.expected = current
    bucket.inFlight = null
    bucket.offset = target.offset
    bucket.distanceMin = next.distanceMin
    bucket.builtAt = next.builtAt
    bucket.flushedAt = this.#options.clock.monotonic()
    memory.flushed(index, target.offset)
    return changes.length
  }

  /**
   * Before the first data of a rebuild. A late copy of a data script then never fits an absent watermark, and a late copy
   * of this one leaves a watermark that nobody trusts and no data script expects: the store says when it was.
   */
  async #begin(index: number, bucket: Bucket, signal: AbortSignal): Promise<void> {
    const { store, inputName, incarnation, ttlMs } = this.#options
    const text = begunWatermark(incarnation, bucket.build)
    bucket.inFlight = text
    const { applied, current } = await store.flush(
      index,
      { inputName, expected: bucket.expected, next: text, ttlMs, changes: [] },
      signal,
    )
    // Refused although this build is begun: a resent script had already been applied.
    if (!applied && !isBegun(current, text)) throw this.#mismatch(index, current)
    bucket.expected = current
    bucket.inFlight = null
    bucket.begun = true
  }

  #mismatch(index: number, current: string | null): MillraceError {
    const { inputName } = this.#options
    const expected = this.#bucket(index).expected ?? 'absent'
    return new MillraceError(
      'STATE_MISMATCH',
      `${inputName} bucket ${index}: the watermark in Redis is ${current ?? 'absent'}, expected ${expected}`,
    )
  }

  #nextWatermark(bucket: Bucket, target: FlushTarget): Watermark {
    const now = this.#options.clock.now()
    const { maxTime } = target
    const distance = maxTime === null ? null : now - maxTime
    const distanceMin =
      distance === null || bucket.distanceMin === null
        ? (distance ?? bucket.distanceMin)
        : Math.min(distance, bucket.distanceMin)
    return {
      incarnation: this.#options.incarnation,
      build: bucket.build,
      offset: target.offset,
      maxTime,
      flushedAt: now,
      caughtUpAt: this.#options.caughtUpAt(target.offset),
      distanceMin,
      headTime: this.#headTime(target),
      // A trusted bucket of an earlier version does not say.
      builtAt: bucket.builtAt ?? (bucket.trusted ? null : now),
    }
  }

  #bucket(index: number): Bucket {
    const bucket = this.#buckets[index]
    if (bucket === undefined) throw new Error(`no bucket ${index}`)
    return bucket
  }
}

/** Bytes of a part as stored: 4 bytes of build in front, so that parts of another build count as absent. */
export function unwrapPart(stored: Buffer | null, build: string): Buffer | null {
  if (stored === null || stored.length < 4) return null
  return stored.subarray(0, 4).equals(Buffer.from(build, 'hex')) ? stored.subarray(4) : null
}
