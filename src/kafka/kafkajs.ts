import type * as Kafkajs from 'kafkajs'
import { registerCodecs } from './codecs.ts'
import { loadPatchedKafkajs } from './patches/apply.ts'

/** The only door to kafkajs: patched, with all codecs. Types may be imported from 'kafkajs' directly. */
const kafkajs = loadPatchedKafkajs() as typeof Kafkajs
registerCodecs(kafkajs.CompressionCodecs)

export const { Kafka, CompressionTypes, ConfigResourceTypes, Partitioners, PartitionAssigners, logLevel } =
  kafkajs
