import { parseWatermark } from '../../../src/pipeline/watermark.ts'
import type { FaultWorld } from '../fault-world.ts'
import { bucketsOf } from '../scenario.ts'

/** Redis holds again, in every bucket, what was committed at this monotonic time. */
export async function flushedTo(
  { store, card, meter, topic, partitions, scenario }: FaultWorld,
  at: number,
): Promise<boolean> {
  const texts = await store.watermarks(card.namespace).catch(() => [])
  const byInput = Map.groupBy(texts, ([input]) => input)
  const buckets = bucketsOf(scenario.stack)
  return partitions.every((partition) => {
    const input = `${topic}:${partition}`
    const found = (byInput.get(input) ?? []).map(([, text]) => parseWatermark(text)?.offset ?? -1)
    return found.length === buckets && found.every((offset) => offset >= meter.offsetAt(input, at))
  })
}

/** At how many different offsets the buckets of an input are. */
export async function offsetsApart({ store, card }: FaultWorld, input: string): Promise<number> {
  const texts = await store.watermarks(card.namespace)
  const offsets = texts.filter(([name]) => name === input).map(([, text]) => parseWatermark(text)?.offset)
  return new Set(offsets).size
}

/** Deletes every part and leaves the watermarks. */
export async function dropParts({ redis, card }: FaultWorld): Promise<void> {
  const script = `for _, key in ipairs(redis.call('KEYS', ARGV[1])) do redis.call('DEL', key) end`
  for (const kind of ['p', 'm']) await redis.command('EVAL', script, 0, `${card.namespace}:{*}:${kind}:*`)
}
