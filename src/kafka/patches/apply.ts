import { createRequire } from 'node:module'
import { MillraceError } from '../../errors.ts'
import type { Broker, Cluster, ConsumerGroup, Patchable, RequestQueue } from '../internals.ts'
import { filterAbortedMessages } from './aborted-messages.ts'
import { patchBeforeJoin } from './before-join.ts'
import { patchClaimBackOff } from './claim-back-off.ts'
import { patchCoordinatorCache } from './coordinator-cache.ts'
import { patchFetchedBatches } from './fetched-batches.ts'
import { patchOffsetOutOfRange } from './offset-out-of-range.ts'
import { patchRequestQueueTimer } from './request-queue-timer.ts'

/** The patches were written against, and tested on, this version only. */
export const kafkajsVersion = '2.2.4'

const filterModule = 'kafkajs/src/consumer/filterAbortedMessages'
const filterUser = 'kafkajs/src/consumer/batch'

/** Loads kafkajs with all patches. Must run before anything else in the process loads it: see `kafkajs.ts`. */
export function loadPatchedKafkajs(): unknown {
  const load = createRequire(import.meta.url)
  const { version } = load('kafkajs/package.json') as { version: string }
  assertVersion(version)
  if (load.cache[load.resolve(filterUser)]) {
    throw new MillraceError(
      'INTERNAL',
      'kafkajs was loaded before it could be patched; import it through src/kafka/kafkajs.ts only',
    )
  }
  load(filterModule)
  const loaded = load.cache[load.resolve(filterModule)]
  if (loaded) loaded.exports = filterAbortedMessages

  const kafkajs: unknown = load('kafkajs')
  const consumerGroup = load('kafkajs/src/consumer/consumerGroup') as Patchable<ConsumerGroup>
  const cluster = load('kafkajs/src/cluster') as Patchable<Cluster>
  patchRequestQueueTimer(load('kafkajs/src/network/requestQueue') as Patchable<RequestQueue>)
  patchCoordinatorCache(cluster, load('kafkajs/src/broker') as Patchable<Broker>)
  patchClaimBackOff(cluster)
  patchOffsetOutOfRange(consumerGroup)
  patchFetchedBatches(consumerGroup)
  patchBeforeJoin(consumerGroup)
  return kafkajs
}

export function assertVersion(version: string): void {
  if (version === kafkajsVersion) return
  throw new MillraceError(
    'INTERNAL',
    `kafkajs ${version} is installed, but its patches are for exactly ${kafkajsVersion}; install that version`,
  )
}
