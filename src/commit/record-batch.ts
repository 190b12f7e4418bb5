import type { ProducerBatch, RecordMetadata, TopicMessages } from '../kafka/kafkajs.ts'
import { compressionIds } from '../kafka/codecs.ts'
import type { Compression } from '../kafka/codecs.ts'
import type { OutputRecord } from '../record/output.ts'

/**
 * How output records become bytes on the wire. kafkajs encodes them for now; everything that knows its message
 * format is in this file.
 */
export function produceRequest(
  outputs: readonly OutputRecord[],
  compression: Compression,
  timeoutMs: number,
): ProducerBatch {
  // −1: all in-sync replicas, the only value a transaction allows.
  return {
    acks: -1,
    timeout: timeoutMs,
    compression: compressionIds[compression],
    topicMessages: toTopicMessages(outputs),
  }
}

/** Grouped by topic; the order within a partition is kept. The partition is always explicit. */
export function toTopicMessages(outputs: readonly OutputRecord[]): TopicMessages[] {
  const byTopic = new Map<string, TopicMessages>()
  for (const { topic, partition, key, value, headers } of outputs) {
    const group = byTopic.get(topic) ?? { topic, messages: [] }
    byTopic.set(topic, group)
    group.messages.push({
      partition,
      key,
      value,
      ...(headers ? { headers: headers as NonNullable<TopicMessages['messages'][number]['headers']> } : {}),
    })
  }
  return [...byTopic.values()]
}

/**
 * What differs between the partitions that should have been written and those the brokers acknowledged; null when
 * nothing does. kafkajs resolves a send whose partition moved to a broker that had already answered, without ever
 * having sent it.
 */
export function coverageGap(
  outputs: readonly OutputRecord[],
  acknowledged: readonly RecordMetadata[],
): string | null {
  const intended = new Set(outputs.map(({ topic, partition }) => `${topic}:${partition}`))
  const answered = new Set(acknowledged.map(({ topicName, partition }) => `${topicName}:${partition}`))
  const unsent = [...intended].filter((name) => !answered.has(name))
  const unasked = [...answered].filter((name) => !intended.has(name))
  if (unsent.length === 0 && unasked.length === 0) return null
  return `not acknowledged: ${unsent.join(', ') || 'none'}; acknowledged unasked: ${unasked.join(', ') || 'none'}`
}
