import type { ProducerBatch, RecordMetadata, TopicMessages } from '../kafka/kafkajs.ts'
import { compressionIds } from '../kafka/codecs.ts'
import type { Compression } from '../kafka/codecs.ts'
import { nameText } from '../record/headers.ts'
import { batchOverheadBytes, recordBytes } from '../record/output-size.ts'
import type { OutputRecord } from '../record/output.ts'
import type { Headers } from '../record/raw-record.ts'

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

/** Kafka's default `max.message.bytes`: the largest record batch a topic takes. */
export const defaultBatchBytesMax = 1_048_588
/** Splits outputs, in order, so that what goes to one partition fits into one record batch each. */
export function splitBySize(outputs: readonly OutputRecord[], bytesMax: number): readonly OutputRecord[][] {
  const parts: OutputRecord[][] = []
  let part: OutputRecord[] = []
  let sizes = new Map<string, number>()
  for (const output of outputs) {
    const place = `${output.topic}:${output.partition}`
    const bytes = recordBytes(output)
    const size = (sizes.get(place) ?? batchOverheadBytes) + bytes
    if (size > bytesMax && part.length > 0) {
      parts.push(part)
      part = []
      sizes = new Map([[place, batchOverheadBytes + bytes]])
    } else {
      sizes.set(place, size)
    }
    part.push(output)
  }
  if (part.length > 0) parts.push(part)
  return parts
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
      ...(headers ? { headers: byName(headers) } : {}),
    })
  }
  return [...byTopic.values()]
}

type HeadersByName = NonNullable<TopicMessages['messages'][number]['headers']>

/**
 * As kafkajs takes them: an object, here without a prototype, so that no name is special. It cannot write a header without
 * a value (it becomes an empty one), and puts repeated names together.
 */
function byName(headers: Headers): HeadersByName {
  const named = Object.create(null) as Record<string, (Buffer | string)[]>
  for (const [name, value] of headers) {
    const text = nameText(name)
    const values = named[text]
    if (values === undefined) named[text] = [value ?? '']
    else values.push(value ?? '')
  }
  return named
}

/**
 * What differs between the partitions that should have been written and those the brokers acknowledged; null when
 * nothing does. When the leader of a partition moves while kafkajs tries a send again, it resolves without ever having
 * sent the partition (it moved to a broker that had already answered), or after having sent it twice, under new
 * sequence numbers (it moved from such a broker to one that had not).
 */
export function coverageGap(
  outputs: readonly OutputRecord[],
  acknowledged: readonly RecordMetadata[],
): string | null {
  const intended = new Set(outputs.map(({ topic, partition }) => `${topic}:${partition}`))
  const answers = acknowledged.map(({ topicName, partition }) => `${topicName}:${partition}`)
  const answered = new Set(answers)
  const unsent = [...intended].filter((name) => !answered.has(name))
  const unasked = [...answered].filter((name) => !intended.has(name))
  const twice = [...answered].filter((name) => answers.indexOf(name) !== answers.lastIndexOf(name))
  if (unsent.length === 0 && unasked.length === 0 && twice.length === 0) return null
  const named = (names: readonly string[]): string => names.join(', ') || 'none'
  return `not acknowledged: ${named(unsent)}; acknowledged unasked: ${named(unasked)}; acknowledged twice: ${named(twice)}`
}
