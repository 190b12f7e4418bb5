import type { Layout } from '../../src/features/compiled.ts'
import { MemoryStore, type MemoryBucket } from '../../src/features/memory-store.ts'
import { placeOf } from '../../src/features/part-key.ts'
import {
  begunPrefix,
  type FeatureStore,
  type FlushRequest,
  type FlushResult,
  type Loaded,
  type Watermarks,
} from '../../src/features/store.ts'
import { parseWatermark } from '../../src/pipeline/watermark.ts'
import type { Dice } from './dice.ts'
import type { Host } from './host.ts'
import type { Timeline } from './scheduler.ts'
import type { Trace } from './trace.ts'
import type { BusyServer, Lane, Wire } from './wire.ts'

/** What a failover may lose, in flushes. */
const lostFlushesMax = 6
/** So little that flushes are divided all the time. */
const flushMax = { changes: 2, bytes: 2_000 }
/** Flushes whose late copies may still be on their way. */
const lateCopiesMax = 30

interface Remembered {
  readonly bucket: number
  readonly before: BucketImage
}

/** A bucket with the expiry of its keys. */
interface BucketImage {
  readonly data: MemoryBucket
  readonly expiry: ReadonlyMap<string, Expiry>
}

interface Expiry {
  readonly atMs: number
  readonly drop: (store: MemoryStore) => void
}

export interface RedisParts {
  readonly buckets: number
  readonly timeline: Timeline
  readonly trace: Trace
  readonly layouts: readonly Layout[]
}

/**
 * Redis in memory: one script after another, keys that expire; can lose acknowledged writes, everything, or one watermark,
 * go back to an old backup, be slow, and tear a script.
 */
export class Redis implements BusyServer {
  /** Called after every applied flush. */
  onFlush: (bucket: number, request: FlushRequest) => void = () => {}
  /** The script of a flush; replaced to test the checker. */
  script: (bucket: number, request: FlushRequest) => FlushResult
  readonly store: MemoryStore
  busyUntilMs = 0
  readonly #parts: RedisParts
  readonly #expiry: Map<string, Expiry>[]
  #history: Remembered[] = []
  #recent: { readonly bucket: number; readonly request: FlushRequest }[] = []
  readonly #begins = new Map<string, FlushRequest>()
  /** The first with data behind the begin of a build. */
  readonly #firsts = new Map<string, FlushRequest>()
  #backup: readonly BucketImage[] | null = null
  #tearNext: Dice | null = null

  constructor(parts: RedisParts) {
    this.store = new MemoryStore(parts.layouts, parts.buckets, flushMax)
    this.#parts = parts
    this.#expiry = Array.from({ length: parts.buckets }, () => new Map<string, Expiry>())
    this.script = (bucket, request) => this.store.flushNow(bucket, request)
  }

  flush(bucket: number, request: FlushRequest): FlushResult {
    this.#expire(bucket)
    this.#remember(bucket, request)
    if (this.#tearNext !== null && request.changes.length > 0) {
      const written = this.#tearNext.below(request.changes.length)
      this.#tearNext = null
      this.#note('a script is torn')
      return this.store.flushNow(bucket, request, written)
    }
    const result = this.script(bucket, request)
    if (request.changes.some(({ kind }) => kind === 'append')) this.#parts.trace.count('append')
    if (result.applied) {
      this.#renew(bucket, request)
      this.onFlush(bucket, request)
    }
    return result
  }
  load(bucket: number, request: Parameters<FeatureStore['load']>[1]): Loaded {
    this.#expire(bucket)
    return this.store.loadNow(bucket, request)
  }
  watermarks(bucket: number): Watermarks {
    this.#expire(bucket)
    return this.store.watermarksNow(bucket)
  }

  /** Below it all buckets hold an input's state; 0 when one of them does not say. */
  flushedOffset(inputName: string): number {
    const offsets = Array.from({ length: this.store.buckets }, (_, bucket) => {
      return parseWatermark(this.store.watermarksNow(bucket).get(inputName))?.offset ?? 0
    })
    return Math.min(...offsets)
  }

  // --- expiry -------------------------------------------------------------------------------------------------------

  /** Expires what is due in all buckets: before somebody looks who is no client. */
  expireAll(): void {
    for (let bucket = 0; bucket < this.store.buckets; bucket++) this.#expire(bucket)
  }

  #renew(bucket: number, { inputName, changes, ttlMs }: FlushRequest): void {
    const expiry = this.#expiry[bucket]!
    const atMs = this.#parts.timeline.nowMs + ttlMs
    expiry.set('W', { atMs, drop: (store) => store.dropWatermarks(bucket) })
    for (const change of changes) {
      const { key } = placeOf(this.#parts.layouts, change, inputName)
      expiry.set(key, { atMs, drop: (store) => store.dropKey(bucket, change, inputName) })
    }
  }

  #expire(bucket: number): void {
    const { timeline, trace } = this.#parts
    for (const [key, { atMs, drop }] of this.#expiry[bucket]!) {
      if (atMs > timeline.nowMs) continue
      drop(this.store)
      this.#expiry[bucket]!.delete(key)
      trace.add(timeline.nowMs, 'redis', 'expires', key, 'in bucket', bucket)
      trace.count('redis: a key expires')
    }
  }

  // --- what goes wrong ----------------------------------------------------------------------------------------------

  #remember(bucket: number, request: FlushRequest): void {
    this.#history.push({ bucket, before: this.#image(bucket) })
    if (this.#history.length > lostFlushesMax) this.#history.shift()
    this.#recent.push({ bucket, request })
    if (this.#recent.length > lateCopiesMax) this.#recent.shift()
    const name = `${bucket} ${request.inputName}`
    if (request.expected === null) this.#begins.set(name, request)
    else if (request.expected.startsWith(begunPrefix)) this.#firsts.set(name, request)
  }
  #image(bucket: number): BucketImage {
    return { data: this.store.snapshot(bucket), expiry: new Map(this.#expiry[bucket]) }
  }
  #restore(bucket: number, { data, expiry }: BucketImage): void {
    this.store.restore(bucket, data)
    this.#expiry[bucket] = new Map(expiry)
  }

  /** The replica that takes over never saw the last writes: of all buckets, or of one (each may have its own master). */
  failOver(dice: Dice, ofOneBucket: boolean): void {
    const bucket = ofOneBucket ? dice.below(this.store.buckets) : null
    const known = this.#history.filter((flush) => bucket === null || flush.bucket === bucket)
    const lost = known.slice(known.length - 1 - dice.below(known.length))
    if (lost.length === 0) return
    this.#note(`a failover loses the last writes${bucket === null ? '' : ' of a bucket'}`)
    this.rewind(lost)
  }
  /** Takes the last writes back. */
  rewind(lost: readonly Remembered[]): void {
    for (const { bucket, before } of lost.toReversed()) this.#restore(bucket, before)
    this.#history = []
  }
  /** Takes the last `count` writes of a bucket back; false when it does not remember as many. */
  loseLast(bucket: number, count: number): boolean {
    const known = this.#history.filter((flush) => flush.bucket === bucket)
    if (known.length < count) return false
    this.#note(`a failover loses the last writes of a bucket`)
    this.rewind(known.slice(known.length - count))
    return true
  }
  /** What it holds and may go back to, as text. */
  fingerprint(): string {
    const now = Array.from({ length: this.store.buckets }, (_, bucket) =>
      dataText(this.store.snapshot(bucket)),
    )
    const before = this.#history.map((flush) => `${flush.bucket} ${dataText(flush.before.data)}`)
    return [...now, ...before].join('|')
  }
  backUp(): void {
    this.#backup = Array.from({ length: this.store.buckets }, (_, bucket) => this.#image(bucket))
  }
  restoreBackup(): void {
    if (this.#backup === null) return
    this.#note('an old backup comes back')
    for (const [bucket, image] of this.#backup.entries()) this.#restore(bucket, image)
    this.#history = []
  }
  flushAll(): void {
    this.#note('FLUSHALL')
    this.store.clear()
    for (const expiry of this.#expiry) expiry.clear()
    this.#history = []
  }
  loseWatermark(bucket: number, inputName: string): void {
    this.#note(`W of ${inputName} bucket ${bucket} vanishes`)
    this.store.dropWatermark(bucket, inputName)
  }
  tearNextScript(dice: Dice): void {
    this.#tearNext = dice
  }
  /** A script that takes its time; all others wait. */
  stall(ms: number): void {
    this.#note('a script is slow')
    this.busyUntilMs = Math.max(this.busyUntilMs, this.#parts.timeline.nowMs + ms)
  }
  /** A copy of the script that found no watermark, on its way since then, arrives; and maybe one of the first with data. */
  beginAgain(bucket: number, inputName: string, withData: boolean): void {
    const request = this.#begins.get(`${bucket} ${inputName}`)
    if (request === undefined) return
    const first = this.#firsts.get(`${bucket} ${inputName}`)
    this.#note('a late copy of the script that began a build')
    this.flush(bucket, request)
    if (!withData || first === undefined) return
    this.#note('and of the first with data')
    this.flush(bucket, first)
  }
  /** A copy of some recent script, sent before its reply was lost, arrives. */
  repeat(dice: Dice): void {
    if (this.#recent.length === 0) return
    const { bucket, request } = dice.pick(this.#recent)
    this.#note('a late copy of a script')
    this.flush(bucket, request)
  }

  #note(what: string): void {
    const { timeline, trace } = this.#parts
    trace.add(timeline.nowMs, 'redis', what.toUpperCase())
    trace.count(`redis: ${what.replace(/ of .* bucket \d+/, '')}`)
  }
}

const dataTexts = new WeakMap<MemoryBucket, string>()

function dataText(bucket: MemoryBucket): string {
  let text = dataTexts.get(bucket)
  if (text === undefined) {
    const keys = [...bucket.keys].map(([name, stored]) => {
      if (Buffer.isBuffer(stored)) return `${name} ${stored.toString('latin1')}`
      return `${name} ${[...stored].map(([input, bytes]) => `${input} ${bytes.toString('latin1')}`).join()}`
    })
    text = `${[...bucket.watermarks].join()} ${keys.toSorted().join()}`
    dataTexts.set(bucket, text)
  }
  return text
}

/** The store port of one process: waits out what may pass by sending again, like the real client. */
export function simulatedStore(parts: {
  readonly wire: Wire
  readonly host: Host
  readonly redis: Redis
  /** Replies come in the order of the requests. */
  readonly ordered: boolean
}): FeatureStore {
  const { wire, host, redis } = parts
  const { store } = redis
  const lane: Lane | undefined = parts.ordered ? { arrivalMs: 0, replyMs: 0 } : undefined
  const call = <T>(what: string, effect: () => T, signal: AbortSignal): Promise<T> =>
    wire.call({ host, what, effect, signal, lane, server: redis })
  return {
    buckets: store.buckets,
    flushMax: store.flushMax,
    bucketOf: (entityKey) => store.bucketOf(entityKey),
    watermarks: (bucket, signal) => call(`watermarks b${bucket}`, () => redis.watermarks(bucket), signal),
    load: (bucket, request, signal) =>
      call(`load ${request.inputName} b${bucket}`, () => redis.load(bucket, request), signal),
    flush: (bucket, request, signal) =>
      call(`flush ${request.inputName} b${bucket}`, () => redis.flush(bucket, request), signal),
  }
}
