import { MillraceError } from '../errors.ts'
import type { RawRecord } from '../record/raw-record.ts'
import { partitionOfKey } from './murmur2.ts'

/**
 * The partition of an output. With as many partitions on both sides an output stays in its input's partition: order
 * per partition is kept, and readers may join the two topics. Else the key decides, as for any Java producer.
 */
export function outputPartition(
  raw: RawRecord,
  topic: string,
  partitionCounts: ReadonlyMap<string, number>,
): number {
  const count = partitionCounts.get(topic)
  if (count === undefined) {
    throw new MillraceError(
      'KAFKA_TOPIC_MISSING',
      `Output topic ${topic} was not found when the service started`,
    )
  }
  if (count === partitionCounts.get(raw.topic) && raw.partition < count) return raw.partition
  return raw.key === null ? raw.partition % count : partitionOfKey(raw.key, count)
}
