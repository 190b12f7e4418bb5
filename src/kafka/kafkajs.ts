import type * as Kafkajs from 'kafkajs'
import { registerCodecs } from './codecs.ts'
import { loadPatchedKafkajs } from './patches/apply.ts'

export type {
  Consumer,
  ConsumerCrashEvent,
  ConsumerGroupJoinEvent,
  Producer,
  ProducerBatch,
  RecordMetadata,
  TopicMessages,
  Transaction,
} from 'kafkajs'

/** The only door to kafkajs: patched, with all codecs. Its types are re-exported for the stages. */
const kafkajs = loadPatchedKafkajs() as typeof Kafkajs
registerCodecs(kafkajs.CompressionCodecs)

export const { Kafka, CompressionTypes, ConfigResourceTypes, Partitioners, PartitionAssigners, logLevel } =
  kafkajs
