import type { FeatureStore } from '../features/store.ts'
import { unwrapPart, type Flusher } from './flusher.ts'
import type { PartitionMemory } from './partition-memory.ts'

export interface StoredPartsOptions {
  readonly store: Pick<FeatureStore, 'bucketOf' | 'load'>
  readonly memory: Pick<PartitionMemory, 'storedParts' | 'isStored'>
  readonly flusher: Pick<Flusher, 'build' | 'expects'>
  readonly inputName: string
}

/**
 * Looks for some of the parts that this owner wrote, others with each call. Returns the entity of one that is not in the
 * store any more, though it must be: somebody deleted it. Null: all are there.
 */
export async function missingEntity(
  { store, memory, flusher, inputName }: StoredPartsOptions,
  partsMax: number,
  signal: AbortSignal,
): Promise<string | null> {
  const byBucket = Map.groupBy(memory.storedParts(partsMax), ({ entityKey }) => store.bucketOf(entityKey))
  for (const [bucket, parts] of byBucket) {
    const { own, watermarks } = await store.load(bucket, { inputName, own: parts, merged: [] }, signal)
    // Lost, or another owner's: whoever loads or flushes next says so.
    if (!flusher.expects(bucket, watermarks.get(inputName) ?? null)) continue
    const build = flusher.build(bucket)
    const gone = parts.find(
      (part, index) => unwrapPart(own[index] ?? null, build) === null && memory.isStored(part),
    )
    if (gone !== undefined) return gone.entityKey
  }
  return null
}
