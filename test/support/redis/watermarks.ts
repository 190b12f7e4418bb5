import { parseRedisAddress } from '../../../src/redis/address.ts'
import { openConnection } from '../../../src/redis/connection.ts'
import { parseWatermark } from '../../../src/pipeline/watermark.ts'
import { systemClock } from '../../../src/time/system-clock.ts'

/** Reads what the service has flushed, on any kind of Redis. */
export interface WatermarkReader {
  /** W of an input in every bucket; null where there is none to trust. */
  of(input: string): Promise<(number | null)[]>
  close(): void
}

/** `namespace` ends with the number of buckets. */
export function openWatermarkReader(url: string, namespace: string): WatermarkReader {
  const { commands, ready } = openConnection(parseRedisAddress(url), new Map(), systemClock)
  const buckets = Number(namespace.slice(namespace.lastIndexOf(':') + 1))
  return {
    of: async (input) => {
      await ready()
      const texts = Array.from({ length: buckets }, (_, bucket) =>
        commands.hget(`${namespace}:{${bucket}}:W`, input),
      )
      return (await Promise.all(texts)).map((text) => parseWatermark(text)?.offset ?? null)
    },
    close: () => commands.disconnect(),
  }
}
