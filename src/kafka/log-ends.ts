import { inputName } from '../record/input.ts'
import type { RawCluster } from './raw-cluster.ts'

/** A partition of a topic. */
export interface PartitionOf {
  readonly topic: string
  readonly partition: number
}

/**
 * Offset after the last record that is in the log on all replicas, decided or not (the high watermark), by
 * `topic:partition`, as the leaders say now: one request to each of them.
 */
export async function requestLogEnds(
  cluster: RawCluster,
  inputs: readonly PartitionOf[],
): Promise<ReadonlyMap<string, number>> {
  const byTopic = Map.groupBy(inputs, ({ topic }) => topic)
  await cluster.connect()
  await cluster.addMultipleTargetTopics([...byTopic.keys()])
  await cluster.refreshMetadataIfNecessary()
  const asked = [...byTopic].map(([topic, partitions]) => ({
    topic,
    fromBeginning: false as const,
    partitions: partitions.map(({ partition }) => ({ partition })),
  }))
  const ends = new Map<string, number>()
  for (const { topic, partitions } of await cluster.fetchTopicsOffset(asked)) {
    for (const { partition, offset } of partitions) ends.set(inputName({ topic, partition }), Number(offset))
  }
  return ends
}
