import type { KafkaAdmin, TopicSpec } from '../kafka/admin.ts'
import { deadLetterTopic } from '../sink/sink.ts'
import type { Plan } from '../topology/plan.ts'
import { replayTopicOf } from './dead-letters/dead-letter.ts'

/** What the headers of a dead letter take at most: reason, message (bounded), positions, model. */
export const deadLetterHeaderBytesMax = 4 * 1024
/** Kafka's default for one record batch, and room for the headers. */
const deadLetterBytesMax = 1_048_588 + 16 * deadLetterHeaderBytesMax

/** Topics a topology needs, for development: sources keep everything (backdated history, rebuilds). */
export function topicsOf(plan: Plan, partitions: number): readonly TopicSpec[] {
  const forEver = { 'retention.ms': '-1', 'message.timestamp.before.max.ms': '9223372036854775807' }
  return [
    ...[...plan.sources, ...plan.labelSources].map(({ topic }) => ({ topic, partitions, settings: forEver })),
    { topic: plan.sinks.predictions.topic, partitions },
    { topic: plan.sinks.alerts.topic, partitions },
    ...deadLetterTopicsOf(plan).map((topic) => ({
      topic,
      partitions,
      settings: { 'max.message.bytes': String(deadLetterBytesMax) },
    })),
    // Remembers which dead letters were replayed: nothing of it may be deleted.
    {
      topic: replayTopicOf(plan),
      partitions: 1,
      settings: { 'retention.ms': '-1', 'retention.bytes': '-1' },
    },
  ]
}

export function deadLetterTopicsOf(plan: Plan): readonly string[] {
  return plan.sources.map(({ topic }) => deadLetterTopic(plan.sinks, topic))
}

export function outputTopicsOf(plan: Plan): readonly string[] {
  return [plan.sinks.predictions.topic, plan.sinks.alerts.topic, ...deadLetterTopicsOf(plan)]
}

/** Creates what is missing; returns the names created. */
export function createTopics(plan: Plan, admin: KafkaAdmin, partitions = 4): Promise<readonly string[]> {
  return admin.ensureTopics(topicsOf(plan, partitions))
}
