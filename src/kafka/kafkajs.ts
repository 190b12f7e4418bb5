import { createRequire } from 'node:module'
import type * as Kafkajs from 'kafkajs'
import { registerCodecs } from './codecs.ts'
import { loadPatchedKafkajs } from './patches/apply.ts'

export type { Consumer, ConsumerCrashEvent, ConsumerGroupJoinEvent, Producer } from 'kafkajs'

/** The only door to kafkajs: patched, with all codecs. Its types are re-exported for the stages. */
const kafkajs = loadPatchedKafkajs() as typeof Kafkajs
registerCodecs(kafkajs.CompressionCodecs)

const { createErrorFromCode } = createRequire(import.meta.url)('kafkajs/src/protocol/error') as {
  readonly createErrorFromCode: (code: number) => Error
}

/** What kafkajs throws when a broker answers with this code. */
export function protocolError(code: number): Error {
  return createErrorFromCode(code)
}

export const { Kafka, CompressionTypes, ConfigResourceTypes, Partitioners, PartitionAssigners, logLevel } =
  kafkajs
