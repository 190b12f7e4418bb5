import { randomUUID } from 'node:crypto'
import type { RedisClient, Reply } from '../redis/client.ts'
import { tornBy } from './store.ts'

/*
 * Giving up what is stored. A window that was deleted behind the service's back reads as an empty one, and nothing that is
 * left says so; but watermarks that are torn say to every owner that nothing stored counts, and it rebuilds from the log.
 *   ns:{0}:E   string  keys that each server had evicted when the state was last known to be whole
 */

/** KEYS: W. ARGV: the mark. Returns how many inputs it had. */
const distrustScript = `
local w = redis.call('HGETALL', KEYS[1])
for i = 1, #w, 2 do redis.call('HSET', KEYS[1], w[i], ARGV[1]) end
return #w / 2
`

/** KEYS: E. ARGV: new text, expiry ms; none to read only. Returns the text before. */
const evictionsScript = `
local before = redis.call('GET', KEYS[1])
if ARGV[1] then redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2]) end
return before
`

export const distrustScripts: ReadonlyMap<string, string> = new Map([
  ['millraceDistrust', distrustScript],
  ['millraceEvictions', evictionsScript],
])

/** Keys evicted since the start of a server, by its run id. */
export type Evictions = ReadonlyMap<string, number>

export interface StateTrust {
  /** Null: nothing was noted; also when the note itself was evicted. */
  evictions(signal: AbortSignal): Promise<Evictions | null>
  /** What is stored from now on is whole, with so many evictions behind it. */
  note(evictions: Evictions, signal: AbortSignal): Promise<void>
  /** Makes every owner rebuild what it keeps here. Returns how many watermarks there were; twice is harmless. */
  distrust(why: string, signal: AbortSignal): Promise<number>
}

export interface StateTrustOptions {
  readonly client: Pick<RedisClient, 'run'>
  readonly namespace: string
  readonly buckets: number
  /** The note lives as long as what it speaks of. */
  readonly ttlMs: number
}

export function openStateTrust({ client, namespace, buckets, ttlMs }: StateTrustOptions): StateTrust {
  const keys = [`${namespace}:{0}:E`]
  return {
    evictions: async (signal) =>
      parseEvictions(await client.run({ script: 'millraceEvictions', keys, args: [] }, signal)),
    note: async (evictions, signal) => {
      const args = [JSON.stringify(Object.fromEntries(evictions)), String(ttlMs)]
      await client.run({ script: 'millraceEvictions', keys, args }, signal)
    },
    distrust: async (why, signal) => {
      // Of this call alone: a late copy of a script that began a rebuild over an earlier mark is then refused.
      const mark = tornBy(`${why}:${randomUUID()}`)
      const counts = await Promise.all(
        Array.from({ length: buckets }, (_, bucket) =>
          client.run(
            { script: 'millraceDistrust', keys: [`${namespace}:{${bucket}}:W`], args: [mark] },
            signal,
          ),
        ),
      )
      return counts.reduce<number>((sum, count) => sum + Number(count), 0)
    },
  }
}

function parseEvictions(reply: Reply): Evictions | null {
  if (!Buffer.isBuffer(reply)) return null
  try {
    const counts = JSON.parse(reply.toString()) as Readonly<Record<string, number>>
    return new Map(Object.entries(counts))
  } catch {
    return null
  }
}
