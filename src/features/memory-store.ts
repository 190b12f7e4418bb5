import type { Layout } from './compiled.ts'
import { placeOf } from './part-key.ts'
import {
  begunPrefix,
  tornBy,
  wantedOf,
  type FeatureStore,
  type FlushMax,
  type FlushResult,
  type Loaded,
  type PartKey,
  type Watermarks,
} from './store.ts'

/** A string, or a hash: input name → bytes. */
export type StoredKey = Buffer | ReadonlyMap<string, Buffer>

export interface MemoryBucket {
  readonly watermarks: Map<string, string>
  /** By the names of the keys in Redis: what lies elsewhere there cannot be found here either. */
  readonly keys: Map<string, StoredKey>
}

const anyFlush: FlushMax = { changes: Infinity, bytes: Infinity }

/** The feature store in memory, key by key as in Redis: for tests and simulation. `tear` lets a flush die midway. */
export class MemoryStore implements FeatureStore {
  readonly buckets: number
  readonly flushMax: FlushMax
  readonly #layouts: readonly Layout[]
  readonly #buckets: MemoryBucket[]
  /** In place of Redis's time. It never goes back, whatever becomes of the buckets. */
  #begun = 0

  constructor(layouts: readonly Layout[], buckets = 1, flushMax = anyFlush) {
    this.#layouts = layouts
    this.buckets = buckets
    this.flushMax = flushMax
    this.#buckets = Array.from({ length: buckets }, emptyBucket)
  }

  bucketOf(entityKey: string): number {
    let hash = 0
    for (let i = 0; i < entityKey.length; i++) hash = (Math.imul(hash, 31) + entityKey.charCodeAt(i)) >>> 0
    return hash % this.buckets
  }

  watermarks(bucket: number): Promise<Watermarks> {
    return Promise.resolve(this.watermarksNow(bucket))
  }

  watermarksNow(bucket: number): Watermarks {
    return new Map(this.#bucket(bucket).watermarks)
  }

  load(bucket: number, request: Parameters<FeatureStore['load']>[1]): Promise<Loaded> {
    return Promise.resolve(this.loadNow(bucket, request))
  }

  loadNow(bucket: number, request: Parameters<FeatureStore['load']>[1]): Loaded {
    const { watermarks, keys } = this.#bucket(bucket)
    const { inputName } = request
    return {
      watermarks: new Map(watermarks),
      own: request.own.map((part) => {
        const { key, shared } = placeOf(this.#layouts, part, inputName)
        return (shared ? hashAt(keys, key).get(inputName) : stringAt(keys, key)) ?? null
      }),
      merged: request.merged.map((part) => {
        const fields = hashAt(keys, placeOf(this.#layouts, part, inputName).key)
        const wanted = wantedOf(part, request.held, watermarks)
        return wanted === null
          ? new Map(fields)
          : new Map([...fields].filter(([input]) => wanted.includes(input)))
      }),
    }
  }

  flush(bucket: number, request: Parameters<FeatureStore['flush']>[1]): Promise<FlushResult> {
    return Promise.resolve(this.flushNow(bucket, request))
  }

  /** The script; `changesMax` lets it die after that many changes. */
  flushNow(
    bucket: number,
    request: Parameters<FeatureStore['flush']>[1],
    changesMax = Infinity,
  ): FlushResult {
    const { watermarks, keys } = this.#bucket(bucket)
    const { inputName } = request
    const current = watermarks.get(inputName) ?? null
    if (current !== request.expected) return { applied: false, current }
    const next = request.next.startsWith(begunPrefix) ? `${request.next}:${++this.#begun}` : request.next
    watermarks.set(inputName, tornBy(next))
    let written = 0
    for (const change of request.changes) {
      if (written++ >= changesMax) return { applied: false, current: tornBy(next) }
      const { key, shared } = placeOf(this.#layouts, change, inputName)
      const before = shared ? hashAt(keys, key).get(inputName) : stringAt(keys, key)
      if (change.kind === 'append' && before === undefined) return { applied: false, current: tornBy(next) }
      const bytes = change.kind === 'set' ? change.bytes : Buffer.concat([before as Buffer, change.bytes])
      keys.set(key, shared ? new Map(hashAt(keys, key)).set(inputName, bytes) : bytes)
    }
    watermarks.set(inputName, next)
    return { applied: true, current: next }
  }

  /** A copy of one bucket, to go back in time with `restore`. */
  snapshot(bucket: number): MemoryBucket {
    return copyOf(this.#bucket(bucket))
  }

  restore(bucket: number, snapshot: MemoryBucket): void {
    this.#buckets[bucket] = copyOf(snapshot)
  }

  clear(): void {
    for (let index = 0; index < this.#buckets.length; index++) this.#buckets[index] = emptyBucket()
  }

  dropWatermark(bucket: number, inputName: string): void {
    this.#bucket(bucket).watermarks.delete(inputName)
  }

  dropWatermarks(bucket: number): void {
    this.#bucket(bucket).watermarks.clear()
  }

  /** Expiry or deletion of the key of a part: of a shared layout it holds the shares of all inputs. */
  dropKey(bucket: number, part: PartKey, inputName: string): void {
    this.#bucket(bucket).keys.delete(placeOf(this.#layouts, part, inputName).key)
  }

  #bucket(index: number): MemoryBucket {
    const bucket = this.#buckets[index]
    if (bucket === undefined) throw new Error(`no bucket ${index}`)
    return bucket
  }
}

const noFields: ReadonlyMap<string, Buffer> = new Map()

/** Like Redis, an error where the key holds a string. */
function hashAt(keys: MemoryBucket['keys'], key: string): ReadonlyMap<string, Buffer> {
  const found = keys.get(key)
  if (Buffer.isBuffer(found)) throw new Error(`WRONGTYPE ${key}`)
  return found ?? noFields
}

/** Like Redis, an error where the key holds a hash. */
function stringAt(keys: MemoryBucket['keys'], key: string): Buffer | undefined {
  const found = keys.get(key)
  if (found !== undefined && !Buffer.isBuffer(found)) throw new Error(`WRONGTYPE ${key}`)
  return found
}

function copyOf({ watermarks, keys }: MemoryBucket): MemoryBucket {
  // hashes are replaced, never changed
  return { watermarks: new Map(watermarks), keys: new Map(keys) }
}

function emptyBucket(): MemoryBucket {
  return { watermarks: new Map(), keys: new Map() }
}
