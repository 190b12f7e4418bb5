import type { Admin } from 'kafkajs'
import { MillraceError } from '../errors.ts'
import type { Log } from '../telemetry/log.ts'
import type { Clock } from '../time/clock.ts'
import { version } from '../version.ts'
import { kafkaConfig } from './client.ts'
import { isProtocolError, kafkaError } from './errors.ts'
import {
  decodeFeatures,
  decodeGroup,
  decodeMetadata,
  encodeGroup,
  encodeMetadata,
  encodeVersions,
  groupsRequest,
  metadataRequest,
  versionsRequest,
  type DescribedGroup,
  type DescribedTopic,
} from './inspect-codec.ts'
import { heldBackForLong, requestHeldBack, type HeldPartition } from './held-back.ts'
import { ConfigResourceTypes, Kafka } from './kafkajs.ts'
import { sampleTopic, type SampledRun, type SampleSize } from './log-sample.ts'
import type { KafkaPlan } from './plan.ts'
import { decodeTransaction, encodeTransaction, transactionsRequest } from './transactions-codec.ts'
import { createCluster, exchange, seedBroker, type RawBroker } from './raw-cluster.ts'

/** Questions about a cluster that change nothing. Errors are MillraceErrors that say what was asked. */
export interface KafkaInspector {
  brokers(): Promise<readonly BrokerFacts[]>
  /** Settings by name; KAFKA_UNAUTHORISED without DescribeConfigs on the cluster. */
  brokerSettings(nodeId: number): Promise<Settings>
  topics(topics: readonly string[]): Promise<TopicsSeen>
  topicSettings(topics: readonly string[]): Promise<ReadonlyMap<string, Settings>>
  /** Asked of every broker: looking for the coordinator would create its topic. Null: none of them coordinates it. */
  group(group: string): Promise<DescribedGroup | null>
  offsets(group: string, topic: string): Promise<ReadonlyMap<number, CommittedOffset>>
  /** Log start and high watermark by partition. */
  logRanges(topic: string): Promise<ReadonlyMap<number, { readonly start: number; readonly end: number }>>
  /** Whether the principal may describe this transactional id; it may not exist. */
  mayDescribeTransaction(transactionalId: string): Promise<boolean>
  /** False: everybody may do everything. Null: this principal may not ask. */
  hasAuthorizer(): Promise<boolean | null>
  /** Partitions in which an open transaction of a producer holds records back, and whose it is. */
  heldBack(topics: readonly DescribedTopic[]): Promise<readonly HeldPartition[]>
  /** Oldest and newest committed records; reads without a group. */
  sample(topic: DescribedTopic, size: SampleSize): Promise<readonly SampledRun[]>
  close(): Promise<void>
}

export interface BrokerFacts {
  readonly nodeId: number
  readonly address: string
  /** `4.2` and the like: newest metadata version that the binaries know; null before Kafka 3.3 or in ZooKeeper mode. */
  readonly release: string | null
}

export interface TopicsSeen {
  readonly found: ReadonlyMap<string, DescribedTopic>
  /** Without the right to describe them; whether they exist is not told either. */
  readonly hidden: ReadonlySet<string>
}

export type Settings = ReadonlyMap<string, string>

export interface CommittedOffset {
  readonly offset: number
  readonly metadata: string
}

const transactionUnauthorised = 53
const groupUnauthorised = 30
const topicUnauthorised = 29
const notCoordinator = 16
/** Loading, being elected, or moving. */
const coordinatorPasses = new Set([14, 15, notCoordinator])
const coordinatorTriesMax = 20
const coordinatorPauseMs = 100

export function openKafkaInspector(plan: KafkaPlan, clock: Clock, log: Log): KafkaInspector {
  const retry = { retries: 3, initialRetryTime: 100, maxRetryTime: 1_000 }
  const kafka = new Kafka(kafkaConfig(plan, log, { retry }))
  const admin: Admin = kafka.admin()
  const cluster = createCluster(kafka)
  const ask = async <T>(what: string, question: () => Promise<T>): Promise<T> => {
    try {
      return await question()
    } catch (error) {
      throw kafkaError(error, what)
    }
  }
  const seed = (): Promise<RawBroker> => seedBroker(cluster)
  const askAll = async (group: string): Promise<readonly DescribedGroup[]> => {
    await seed()
    await cluster.refreshMetadata()
    const answers = await Promise.allSettled(
      cluster.getNodeIds().map(async (nodeId) => {
        const broker = await cluster.findBroker({ nodeId })
        return exchange(broker, groupsRequest, encodeGroup(group), decodeGroup)
      }),
    )
    const failed = answers.find((one) => one.status === 'rejected')
    const told = answers.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []))
    // The one that is silent may be the one that knows.
    if (failed && told.every(({ errorCode }) => coordinatorPasses.has(errorCode))) throw failed.reason
    return told
  }
  let connecting: Promise<void> | null = null
  const connected = async (): Promise<Admin> => {
    connecting ??= admin.connect()
    await connecting
    return admin
  }
  return {
    brokers: () =>
      ask('asking for the brokers', async () => {
        const { brokers } = await (await connected()).describeCluster()
        await seed()
        await cluster.refreshMetadata()
        return Promise.all(
          brokers.map(async ({ nodeId, host, port }) => {
            const broker = await cluster.findBroker({ nodeId: String(nodeId) })
            const features = await exchange(
              broker,
              versionsRequest,
              encodeVersions('millrace', version),
              decodeFeatures,
            )
            return {
              nodeId,
              address: `${host}:${port}`,
              release: releaseOf(features.get('metadata.version')),
            }
          }),
        )
      }),
    brokerSettings: (nodeId) =>
      ask(`reading the settings of broker ${nodeId}`, async () => {
        const found = await settings(await connected(), ConfigResourceTypes.BROKER, [String(nodeId)])
        return found.get(String(nodeId)) ?? new Map<string, string>()
      }),
    topics: (topics) =>
      ask(`describing ${topics.join(', ')}`, async () => {
        const found = await exchange(await seed(), metadataRequest, encodeMetadata(topics), decodeMetadata)
        return topicsSeen(found)
      }),
    topicSettings: (topics) =>
      ask(`reading the settings of ${topics.join(', ')}`, async () =>
        settings(await connected(), ConfigResourceTypes.TOPIC, topics),
      ),
    group: (group) =>
      ask(`describing group ${group}`, async () => {
        for (let tries = 1; ; tries++) {
          const answers = await askAll(group)
          const found = answers.find(({ errorCode }) => !coordinatorPasses.has(errorCode))
          if (found?.errorCode === 0) return found
          if (found) throw refused(`describing group ${group}`, found.errorCode)
          if (tries >= coordinatorTriesMax) {
            const passing = answers.find(({ errorCode }) => errorCode !== notCoordinator)
            if (passing) throw refused(`describing group ${group}`, passing.errorCode)
            return null
          }
          await clock.sleep(coordinatorPauseMs)
        }
      }),
    offsets: (group, topic) =>
      ask(`reading the offsets of group ${group} in ${topic}`, async () => {
        const [answer] = await (await connected()).fetchOffsets({ groupId: group, topics: [topic] })
        const found = (answer?.partitions ?? []).filter(({ offset }) => Number(offset) !== -1)
        return new Map(
          found.map((one) => [one.partition, { offset: Number(one.offset), metadata: one.metadata ?? '' }]),
        )
      }),
    logRanges: (topic) =>
      ask(`reading the log ranges of ${topic}`, async () => {
        const ranges = await (await connected()).fetchTopicOffsets(topic)
        return new Map(
          ranges.map(({ partition, low, high }) => [partition, { start: Number(low), end: Number(high) }]),
        )
      }),
    mayDescribeTransaction: (transactionalId) =>
      ask(`describing transactional id ${transactionalId}`, async () => {
        // Rights are looked at by any broker, before it says that another one coordinates the id, or that there is none.
        const bytes = encodeTransaction(transactionalId)
        const { errorCode } = await exchange(await seed(), transactionsRequest, bytes, decodeTransaction)
        return errorCode !== transactionUnauthorised
      }),
    heldBack: (topics) =>
      ask(`looking for open transactions in ${topics.map(({ topic }) => topic).join(', ')}`, async () => {
        await seed()
        await cluster.refreshMetadata()
        return heldBackForLong(
          () => requestHeldBack(cluster, topics),
          (ms) => clock.sleep(ms),
        )
      }),
    sample: (topic, size) =>
      ask(`reading records of ${topic.topic}`, async () => {
        await seed()
        await cluster.refreshMetadata()
        return sampleTopic(cluster, topic, size)
      }),
    hasAuthorizer: () =>
      ask('asking for ACLs', async () => {
        try {
          await (await connected()).describeAcls(anyAcl)
          return true
        } catch (error) {
          if (isProtocolError(error, 'SECURITY_DISABLED')) return false
          if (isProtocolError(error, 'CLUSTER_AUTHORIZATION_FAILED')) return null
          throw error
        }
      }),
    close: async () => {
      await cluster.disconnect().catch(() => {}) // nothing is left open on the other side
      if (connecting) await admin.disconnect().catch(() => {})
    },
  }
}

/** A topic that may not be described and one that does not exist are told apart: the first may well be there. */
export function topicsSeen(described: readonly DescribedTopic[]): TopicsSeen {
  return {
    found: new Map(described.filter(({ errorCode }) => errorCode === 0).map((one) => [one.topic, one])),
    hidden: new Set(
      described.filter(({ errorCode }) => errorCode === topicUnauthorised).map(({ topic }) => topic),
    ),
  }
}

function refused(what: string, errorCode: number): MillraceError {
  const unauthorised = errorCode === groupUnauthorised || errorCode === transactionUnauthorised
  const code = unauthorised ? 'KAFKA_UNAUTHORISED' : 'KAFKA_UNREACHABLE'
  return new MillraceError(code, `${what}: the broker answers error ${errorCode}`)
}

/** ANY everywhere. */
const anyAcl = { resourceType: 1, resourcePatternType: 1, operation: 1, permissionType: 1 }

async function settings(
  admin: Admin,
  type: number,
  names: readonly string[],
): Promise<ReadonlyMap<string, Settings>> {
  if (names.length === 0) return new Map()
  const { resources } = await admin.describeConfigs({
    includeSynonyms: false,
    resources: names.map((name) => ({ type, name })),
  })
  return new Map(
    resources.map(({ resourceName, configEntries }) => [
      resourceName,
      new Map(configEntries.map(({ configName, configValue }) => [configName, configValue])),
    ]),
  )
}

/** Newest metadata version of each release. */
const releases: readonly (readonly [level: number, release: string])[] = [
  [7, '3.3'],
  [8, '3.4'],
  [11, '3.5'],
  [14, '3.6'],
  [19, '3.7'],
  [20, '3.8'],
  [21, '3.9'],
  [25, '4.0'],
  [27, '4.1'],
  [29, '4.2'],
  [30, '4.3'],
]

export function releaseOf(metadataVersion: number | undefined): string | null {
  if (metadataVersion === undefined) return null
  return releases.find(([level]) => metadataVersion <= level)?.[1] ?? 'newer than 4.3'
}
