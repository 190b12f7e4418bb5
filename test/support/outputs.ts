import type { CardWorld } from './card-world.ts'
import type { Outputs, Published } from './evidence.ts'
import { readCommitted, type RefereeRecord } from './referee.ts'

/** Everything in the output topics, as a read_committed consumer of Kafka's own sees it. */
export async function readOutputs({ brokers, topics }: CardWorld): Promise<Outputs> {
  const [predictions, alerts, deadLetters] = await Promise.all([
    readCommitted(brokers, topics.predictions),
    readCommitted(brokers, topics.alerts),
    readCommitted(brokers, topics.deadLetters),
  ])
  const parsed = <T>(records: readonly RefereeRecord[]): Published<T>[] =>
    records.map((record) => ({ record, value: JSON.parse(record.value ?? 'null') as T }))
  return { predictions: parsed(predictions), alerts: parsed(alerts), deadLetters }
}
