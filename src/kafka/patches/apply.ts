import { createRequire } from 'node:module'
import { dirname, sep } from 'node:path'
import { MillraceError } from '../../errors.ts'
import type { Broker, Cluster, ConsumerGroup, Patchable, RequestQueue } from '../internals.ts'
import { patchBeforeJoin } from './before-join.ts'
import { patchClaimBackOff } from './claim-back-off.ts'
import { patchCoordinatorCache } from './coordinator-cache.ts'
import { patchFetchedBatches } from './fetched-batches.ts'
import { keepRecordBytes, patchFetchedBytes } from './fetched-bytes.ts'
import { patchHeartbeats } from './heartbeats.ts'
import { patchLostBrokers } from './lost-brokers.ts'
import { patchOffsetOutOfRange } from './offset-out-of-range.ts'
import { patchRefusedPartitions, type AnswerParser } from './refused-partitions.ts'
import { patchRequestQueueTimer } from './request-queue-timer.ts'
import { settleSends, type SendParts } from './settled-sends.ts'

/** The patches were written against, and tested on, this version only. */
export const kafkajsVersion = '2.2.4'

const recordsModule = 'kafkajs/src/protocol/requests/fetch/v4/decodeMessages'
const sendModule = 'kafkajs/src/producer/sendMessages'
const eventsModule = 'kafkajs/src/consumer/instrumentationEvents'
/** Version 1 binds the parser of version 0 when it is loaded, so that one comes last. */
const addPartitionsModules = [1, 0].map(
  (version) => `kafkajs/src/protocol/requests/addPartitionsToTxn/v${version}/response`,
)

/**
 * Loads kafkajs with all patches. Modules that were loaded before keep what they have and this program gets a copy of
 * its own: decoders of responses bind what decodes records when they are loaded, so a loaded one could not be patched.
 */
export function loadPatchedKafkajs(): unknown {
  const load = createRequire(import.meta.url)
  const { version } = load('kafkajs/package.json') as { version: string }
  assertVersion(version)
  const folder = dirname(load.resolve('kafkajs/package.json')) + sep
  for (const file of Object.keys(load.cache)) if (file.startsWith(folder)) delete load.cache[file]

  load(recordsModule)
  const loaded = load.cache[load.resolve(recordsModule)]
  if (loaded) loaded.exports = keepRecordBytes
  const createSend = load(sendModule) as (parts: SendParts) => unknown
  const loadedSend = load.cache[load.resolve(sendModule)]
  if (loadedSend) loadedSend.exports = settleSends(createSend)

  const kafkajs: unknown = load('kafkajs')
  const consumerGroup = load('kafkajs/src/consumer/consumerGroup') as Patchable<ConsumerGroup>
  const cluster = load('kafkajs/src/cluster') as Patchable<Cluster>
  patchRequestQueueTimer(load('kafkajs/src/network/requestQueue') as Patchable<RequestQueue>)
  const broker = load('kafkajs/src/broker') as Patchable<Broker>
  patchCoordinatorCache(cluster, broker)
  patchFetchedBytes(broker)
  patchClaimBackOff(cluster)
  patchOffsetOutOfRange(consumerGroup)
  patchLostBrokers(consumerGroup)
  patchFetchedBatches(consumerGroup)
  const { events } = load(eventsModule) as { events: { HEARTBEAT: string } }
  patchHeartbeats(consumerGroup, events.HEARTBEAT)
  patchBeforeJoin(consumerGroup)
  for (const module of addPartitionsModules) patchRefusedPartitions(load(module) as AnswerParser)
  return kafkajs
}

export function assertVersion(version: string): void {
  if (version === kafkajsVersion) return
  throw new MillraceError(
    'INTERNAL',
    `kafkajs ${version} is installed, but its patches are for exactly ${kafkajsVersion}; install that version`,
  )
}
