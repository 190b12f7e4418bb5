import { randomUUID } from 'node:crypto'
import type { RawRecord } from '../record/raw-record.ts'
import type { Log } from '../telemetry/log.ts'
import { kafkaConfig } from './client.ts'
import { kafkaError } from './errors.ts'
import { Kafka } from './kafkajs.ts'
import type { FilledMessage } from './patches/fetched-batches.ts'
import type { KafkaPlan } from './plan.ts'

export interface TailOptions {
  readonly plan: KafkaPlan
  readonly topics: readonly string[]
  readonly fromBeginning: boolean
  readonly log: Log
  /** Called for every committed record, in order per partition. Return false when that was enough. */
  readonly onRecord: (record: RawRecord) => boolean
}

/**
 * Reads committed records of whole topics until `onRecord` returns false or the signal aborts. The group is one of
 * its own, `GROUP.tail.RANDOM` (so a prefixed ACL covers it), commits nothing and vanishes at the end.
 */
export async function tailTopics(options: TailOptions, signal: AbortSignal): Promise<void> {
  const { plan, topics, fromBeginning, log, onRecord } = options
  const kafka = new Kafka(kafkaConfig(plan, log))
  const consumer = kafka.consumer({
    groupId: `${plan.group}.tail.${randomUUID()}`,
    readUncommitted: false,
    allowAutoTopicCreation: false,
    // Topic metadata is only asked again for new partitions.
    metadataMaxAge: 60_000,
  })
  const ended = Promise.withResolvers<void>()
  const stop = () => ended.resolve()
  let open = true
  consumer.on(consumer.events.CRASH, ({ payload }) => {
    if (!payload.restart) ended.reject(payload.error)
  })
  signal.addEventListener('abort', stop, { once: true })
  try {
    await consumer.connect()
    await consumer.subscribe({ topics: [...topics], fromBeginning })
    await consumer.run({
      autoCommit: false,
      eachBatch: ({ batch: { messages } }) => {
        for (const message of messages) {
          if (!open || signal.aborted) break
          open = onRecord((message as unknown as FilledMessage).raw)
        }
        if (!open) stop()
        return Promise.resolve()
      },
    })
    if (signal.aborted) stop()
    await ended.promise
  } catch (error) {
    throw kafkaError(error, `reading ${topics.join(', ')}`)
  } finally {
    signal.removeEventListener('abort', stop)
    await consumer.disconnect().catch(() => {}) // the group has nothing to lose
  }
}
