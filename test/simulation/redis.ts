import { MemoryStore } from '../../src/features/memory-store.ts'
import type { FeatureStore, FlushRequest, FlushResult, Loaded, Watermarks } from '../../src/features/store.ts'
import type { Host } from './host.ts'
import type { Scheduler } from './scheduler.ts'
import type { Lane, Wire } from './wire.ts'

/** What a failover may lose, in flushes. */
const lostFlushesMax = 6

/** Redis in memory: can lose acknowledged writes, everything, or one watermark, and can tear a script. */
export class Redis {
  /** Called after every applied flush. */
  onFlush: (bucket: number, request: FlushRequest) => void = () => {}
  /** The script of a flush; replaced to test the checker. */
  script: (bucket: number, request: FlushRequest) => FlushResult
  readonly store: MemoryStore
  readonly #scheduler: Scheduler
  readonly #wire: Wire
  #history: MemoryStore[] = []
  #tearNext = false

  constructor(buckets: number, wire: Wire) {
    this.store = new MemoryStore(buckets)
    this.#wire = wire
    this.#scheduler = wire.scheduler
    this.script = (bucket, request) => this.store.flushNow(bucket, request)
  }

  flush(bucket: number, request: FlushRequest): FlushResult {
    if (!this.#wire.faults.over) this.#remember()
    if (this.#tearNext && request.changes.length > 0) {
      this.#tearNext = false
      this.#note('a script is torn')
      return this.store.flushNow(bucket, request, this.#scheduler.random.below(request.changes.length))
    }
    const result = this.script(bucket, request)
    if (request.changes.some(({ kind }) => kind === 'append')) this.#wire.trace.count('append')
    if (result.applied) this.onFlush(bucket, request)
    return result
  }

  #remember(): void {
    this.#history.push(this.store.snapshot())
    if (this.#history.length > lostFlushesMax) this.#history.shift()
  }

  /** The replica that takes over never saw the last writes. */
  failOver(): void {
    const { random } = this.#scheduler
    const from = this.#history[random.below(this.#history.length)]
    if (from === undefined) return
    this.#note('a failover loses the last writes')
    this.store.restore(from)
    this.#history = []
  }
  flushAll(): void {
    this.#note('FLUSHALL')
    this.store.clear()
    this.#history = []
  }
  loseWatermark(inputName: string): void {
    const bucket = this.#scheduler.random.below(this.store.buckets)
    this.#note(`W of ${inputName} bucket ${bucket} vanishes`)
    this.store.dropWatermark(bucket, inputName)
  }
  tearNextScript(): void {
    this.#tearNext = true
  }

  #note(what: string): void {
    this.#wire.trace.add(this.#scheduler.nowMs, 'redis', what.toUpperCase())
    this.#wire.trace.count(`redis: ${what.split(' of ')[0]}`)
  }
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
  const call = <T>(what: string, effect: (late: boolean) => T, signal: AbortSignal): Promise<T> =>
    wire.call({ host, what, effect, signal, ...(lane ? { lane } : {}) })
  return {
    buckets: store.buckets,
    bucketOf: (entityKey) => store.bucketOf(entityKey),
    watermarks: (bucket, signal) =>
      call<Watermarks>(`watermarks ${bucket}`, () => store.watermarksNow(bucket), signal),
    load: (bucket, request, signal) =>
      call<Loaded>(
        `load ${request.inputName} bucket ${bucket}`,
        () => store.loadNow(bucket, request),
        signal,
      ),
    flush: (bucket, request, signal) =>
      call<FlushResult>(
        `flush ${request.inputName} bucket ${bucket}`,
        () => redis.flush(bucket, request),
        signal,
      ),
  }
}
