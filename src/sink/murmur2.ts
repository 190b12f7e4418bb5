/**
 * Kafka's key hash (org.apache.kafka.common.utils.Utils.murmur2), as an int32. The same bytes must give the same
 * partition as every Java producer; test vectors come from Kafka's own tests.
 */
export function murmur2(bytes: Uint8Array): number {
  const { length } = bytes
  const multiplier = 0x5bd1e995
  let h = 0x9747b28c ^ length
  let i = 0
  for (; i + 4 <= length; i += 4) {
    let k =
      (bytes[i] as number) |
      ((bytes[i + 1] as number) << 8) |
      ((bytes[i + 2] as number) << 16) |
      ((bytes[i + 3] as number) << 24)
    k = Math.imul(k, multiplier)
    k = Math.imul(k ^ (k >>> 24), multiplier)
    h = Math.imul(h, multiplier) ^ k
  }
  const rest = length - i
  if (rest === 3) h ^= (bytes[i + 2] as number) << 16
  if (rest >= 2) h ^= (bytes[i + 1] as number) << 8
  if (rest >= 1) h = Math.imul(h ^ (bytes[i] as number), multiplier)
  h = Math.imul(h ^ (h >>> 13), multiplier)
  return h ^ (h >>> 15)
}

/** The partition Java's default partitioner gives a record with this key. */
export function partitionOfKey(key: Uint8Array, partitions: number): number {
  return (murmur2(key) & 0x7fffffff) % partitions
}
