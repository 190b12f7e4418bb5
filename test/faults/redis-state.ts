import type { Redis } from 'ioredis'
import type { StoredPart, StoredState } from '../support/judge-state.ts'

/** Reads a namespace whole, from all given masters. */
export async function readState(masters: readonly Redis[], namespace: string): Promise<StoredState> {
  const watermarks = new Map<number, ReadonlyMap<string, string>>()
  const parts: StoredPart[] = []
  for (const redis of masters) {
    for await (const keys of redis.scanStream({ match: `${namespace}:*`, count: 1_000 })) {
      for (const key of keys as string[]) {
        const [, bucketText = '', kind = '', rest = ''] =
          /^\{(\d+)\}:(W|p|m)(?::(.*))?$/s.exec(key.slice(namespace.length + 1)) ?? []
        const bucket = Number(bucketText)
        if (kind === 'W') watermarks.set(bucket, new Map(Object.entries(await redis.hgetall(key))))
        else if (kind === 'p') parts.push(...(await ownPart(redis, key, bucket, rest)))
        else if (kind === 'm') parts.push(...(await mergedParts(redis, key, bucket, rest)))
      }
    }
  }
  // A scan may tell a key twice.
  const once = new Map(
    parts.map((part) => [`${part.bucket}|${part.layout}|${part.input}|${part.entityKey}`, part]),
  )
  return { watermarks, parts: [...once.values()] }
}

/** Watermark texts by input, of all buckets. */
export async function readWatermarks(
  masters: readonly Redis[],
  namespace: string,
): Promise<readonly (readonly [string, string])[]> {
  const found: (readonly [string, string])[] = []
  for (const redis of masters) {
    for await (const keys of redis.scanStream({ match: `${namespace}:{*}:W`, count: 1_000 })) {
      for (const key of keys as string[]) found.push(...Object.entries(await redis.hgetall(key)))
    }
  }
  return found
}

/** `rest`: layout:topic:partition:entity */
async function ownPart(redis: Redis, key: string, bucket: number, rest: string): Promise<StoredPart[]> {
  const [, layout = '', input = '', entityKey = ''] = /^(\d+):([^:]*:\d+):(.*)$/s.exec(rest) ?? []
  const bytes = await redis.getBuffer(key)
  return bytes === null ? [] : [{ bucket, layout: Number(layout), input, entityKey, bytes }]
}

/** `rest`: layout:entity */
async function mergedParts(redis: Redis, key: string, bucket: number, rest: string): Promise<StoredPart[]> {
  const [, layout = '', entityKey = ''] = /^(\d+):(.*)$/s.exec(rest) ?? []
  const fields = await redis.hgetallBuffer(key)
  return Object.entries(fields).map(([input, bytes]) => ({
    bucket,
    layout: Number(layout),
    input,
    entityKey,
    bytes,
  }))
}
