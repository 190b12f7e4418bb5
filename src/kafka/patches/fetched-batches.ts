import type { RawRecord } from '../../record/raw-record.ts'
import { hooksOf } from '../consumer-hooks.ts'
import { readFetched } from '../fetched.ts'
import type { ConsumerGroup, KafkajsBatch, Patchable } from '../internals.ts'
import { fetchedBytes } from './fetched-bytes.ts'

/**
 * P-F. kafkajs hands out batches through a worker queue, shows those without data records only as an event that
 * lacks the fetched offset, and moves its own position over them even when they were fetched before a seek. A
 * takeover ends by position, so it has to see them all, and must be able to refuse each. Here a consumer
 * with hooks gets every response in the turn in which it arrived, right after kafkajs has dropped partitions with a
 * pending seek and paused ones; the worker queue (and its waiting per broker) is left empty. Other consumers get
 * their batches, with records read from the bytes that P-B kept.
 */
export function patchFetchedBatches(consumerGroup: Patchable<ConsumerGroup>): void {
  const fetch = consumerGroup.prototype.fetch
  consumerGroup.prototype.fetch = async function (this: ConsumerGroup, nodeId: string) {
    const batches = await fetch.call(this, nodeId)
    const hooks = hooksOf(this.cluster)
    if (!hooks) {
      for (const batch of batches) await fillIn(batch)
      return batches
    }
    for (const batch of batches) {
      const { topic, partition, fetchedOffset, highWatermark, rawMessages } = batch
      const fetched = {
        ...fetchedBytes(rawMessages),
        topic,
        partition,
        fetchedOffset: Number(fetchedOffset),
        highWatermark: Number(highWatermark),
      }
      hooks.fetched(fetched, (next) => this.resolveOffset({ topic, partition, offset: String(next - 1) }))
    }
    return []
  }
}

/** A message as kafkajs has them, and the record it was made of. */
export interface FilledMessage {
  readonly raw: RawRecord
}

async function fillIn(batch: KafkajsBatch): Promise<void> {
  const { bytes, aborted } = fetchedBytes(batch.rawMessages)
  if (bytes.length === 0) return
  const { records, next } = await readFetched(batch, { bytes, aborted }, Number(batch.fetchedOffset))
  batch.messages = records.map(messageOf)
  const end = { offset: String(next - 1), isControlRecord: true }
  batch.rawMessages = batch.messagesWithinOffset = [...batch.messages, end]
}

/** What kafkajs itself reads of a message, and the record. */
function messageOf(raw: RawRecord) {
  return { raw, offset: String(raw.offset), isControlRecord: false }
}
