import {
  begunPrefix,
  tornBy,
  type FeatureStore,
  type FlushResult,
  type Loaded,
  type Watermarks,
} from './store.ts'

export interface MemoryBucket {
  readonly watermarks: Map<string, string>
  /** `layout|entity` → input name → bytes. */
  readonly parts: Map<string, Map<string, Buffer>>
}

/** The feature store in memory: for replay, topology tests and simulation. `tear` lets a flush die midway. */
export class MemoryStore implements FeatureStore {
  readonly buckets: number
  readonly #buckets: MemoryBucket[]
  /** In place of Redis's time. It never goes back, whatever becomes of the buckets. */
  #begun = 0

  constructor(buckets = 1) {
    this.buckets = buckets
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
    const { watermarks, parts } = this.#bucket(bucket)
    const fields = (key: { layout: number; entityKey: string }): Map<string, Buffer> =>
      new Map(parts.get(`${key.layout}|${key.entityKey}`))
    return {
      watermarks: new Map(watermarks),
      own: request.own.map((key) => fields(key).get(request.inputName) ?? null),
      merged: request.merged.map(fields),
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
    const { watermarks, parts } = this.#bucket(bucket)
    const current = watermarks.get(request.inputName) ?? null
    if (current !== request.expected) return { applied: false, current }
    const next = request.next.startsWith(begunPrefix) ? `${request.next}:${++this.#begun}` : request.next
    watermarks.set(request.inputName, tornBy(next))
    let written = 0
    for (const change of request.changes) {
      if (written++ >= changesMax) return { applied: false, current: tornBy(next) }
      const name = `${change.layout}|${change.entityKey}`
      const fields = parts.get(name) ?? new Map<string, Buffer>()
      parts.set(name, fields)
      if (change.kind === 'set') {
        fields.set(request.inputName, change.bytes)
        continue
      }
      const before = fields.get(request.inputName)
      if (before === undefined) return { applied: false, current: tornBy(next) }
      fields.set(request.inputName, Buffer.concat([before, change.bytes]))
    }
    watermarks.set(request.inputName, next)
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

  /** Expiry of a key: of one input's part, or (null) of all inputs' parts of an entity. */
  dropPart(bucket: number, layout: number, entityKey: string, inputName: string | null): void {
    const { parts } = this.#bucket(bucket)
    const name = `${layout}|${entityKey}`
    if (inputName === null) parts.delete(name)
    else parts.get(name)?.delete(inputName)
  }

  #bucket(index: number): MemoryBucket {
    const bucket = this.#buckets[index]
    if (bucket === undefined) throw new Error(`no bucket ${index}`)
    return bucket
  }
}

function copyOf({ watermarks, parts }: MemoryBucket): MemoryBucket {
  return {
    watermarks: new Map(watermarks),
    parts: new Map([...parts].map(([name, fields]) => [name, new Map(fields)])),
  }
}

function emptyBucket(): MemoryBucket {
  return { watermarks: new Map(), parts: new Map() }
}
