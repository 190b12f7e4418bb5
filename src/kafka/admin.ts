import type { Admin, Kafka } from 'kafkajs'
import { MillraceError } from '../errors.ts'
import type { Clock } from '../time/clock.ts'
import { isProtocolError, kafkaError } from './errors.ts'
import { ConfigResourceTypes } from './kafkajs.ts'
import { requestLogEnds, type PartitionOf } from './log-ends.ts'
import { createTopics } from './new-topics.ts'
import { createCluster, type RawCluster } from './raw-cluster.ts'
import { requestTopicIds, requestTopicLives, type TopicLife } from './topic-metadata.ts'

export interface TopicSpec {
  readonly topic: string
  readonly partitions: number
  /** The broker's default when absent. */
  readonly replicationFactor?: number
  /** Topic settings by their Kafka names, such as `retention.ms`. */
  readonly settings?: Readonly<Record<string, string>>
}

export interface TopicDescription {
  readonly topic: string
  readonly partitions: number
  readonly cleanupPolicy: string
  /** −1 means for ever. */
  readonly retentionMs: number
  /** Per partition; −1 means any number. */
  readonly retentionBytes: number
  readonly maxMessageBytes: number
  /** No record batch is larger either. */
  readonly segmentBytes: number
  readonly minInSyncReplicas: number
}

export interface LogRange {
  readonly start: number
  /** High watermark. */
  readonly end: number
}

export interface GroupOffset {
  /** As the broker says: −1 means none. */
  readonly offset: number
  readonly metadata: string
}

/** What the service asks of the cluster besides reading and writing. Errors are MillraceErrors that name the topic. */
export interface KafkaAdmin {
  /** Creates those that are missing; leaves others as they are. Returns the names it created. */
  ensureTopics(specs: readonly TopicSpec[]): Promise<readonly string[]>
  /** Throws KAFKA_TOPIC_MISSING with all missing names. */
  describeTopics(topics: readonly string[]): Promise<readonly TopicDescription[]>
  /** Missing topics are ignored. */
  deleteTopics(topics: readonly string[]): Promise<void>
  /** As the leader says now. */
  logRange(topic: string, partition: number): Promise<LogRange>
  /** High watermarks, by `topic:partition`, as the leaders say now. */
  logEnds(inputs: readonly PartitionOf[]): Promise<ReadonlyMap<string, number>>
  /** First offset whose record timestamp is at or after `timestampMs`; the end of the log if none. */
  offsetAt(topic: string, partition: number, timestampMs: number): Promise<number>
  groupOffset(group: string, topic: string, partition: number): Promise<GroupOffset>
  /** By partition; those without an offset are left out. */
  groupOffsets(group: string, topic: string): Promise<ReadonlyMap<number, GroupOffset>>
  /** As the cluster says now; topics that do not exist are left out. */
  topicLives(topics: readonly string[]): Promise<ReadonlyMap<string, TopicLife>>
  /** The id of a topic as each broker that answers tells it: one that is cut off from the others may be behind. */
  topicIds(topic: string): Promise<readonly string[]>
  clusterId(): Promise<string>
  close(): Promise<void>
}

const settingsRead = [
  'cleanup.policy',
  'retention.ms',
  'retention.bytes',
  'max.message.bytes',
  'segment.bytes',
  'min.insync.replicas',
]

/** Coordinators and leaders move within seconds; 40 times 50 ms outlast an election. */
const movedRetriesMax = 40
const movedRetryMs = 50
const moved = [
  'NOT_COORDINATOR_FOR_GROUP',
  'GROUP_COORDINATOR_NOT_AVAILABLE',
  'GROUP_LOAD_IN_PROGRESS',
  'NOT_LEADER_FOR_PARTITION',
  'LEADER_NOT_AVAILABLE',
]

export function openKafkaAdmin(kafka: Kafka, clock: Clock): KafkaAdmin {
  let admin = kafka.admin()
  let connecting: Promise<void> | null = null
  let clusterId: Promise<string> | null = null

  const connected = async (): Promise<Admin> => {
    connecting ??= admin.connect()
    try {
      await connecting
    } catch (error) {
      connecting = null
      throw error
    }
    return admin
  }

  // kafkajs refreshes all topics it ever heard of in one request, which one deleted topic makes fail from then on.
  const renew = (): void => {
    admin.disconnect().catch(() => {}) // replaced anyway
    admin = kafka.admin()
    connecting = null
  }

  const call = async <T>(what: string, request: (admin: Admin) => Promise<T>): Promise<T> => {
    for (let attempt = 0; ; attempt++) {
      try {
        return await request(await connected())
      } catch (error) {
        if (isProtocolError(error, 'UNKNOWN_TOPIC_OR_PARTITION')) renew()
        const passes = isProtocolError(error, ...moved) || error instanceof PartitionMissing
        if (attempt >= movedRetriesMax || !passes) throw kafkaError(error, what)
        await clock.sleep(movedRetryMs)
      }
    }
  }

  // kafkajs hides the cluster of its admin client.
  let raw: RawCluster | null = null
  const callRaw = async <T>(what: string, request: (cluster: RawCluster) => Promise<T>): Promise<T> => {
    const cluster = (raw ??= createCluster(kafka))
    try {
      return await request(cluster)
    } catch (error) {
      if (raw === cluster) raw = null
      cluster.disconnect().catch(() => {}) // replaced by the next call
      throw kafkaError(error, what)
    }
  }

  return {
    topicLives: (topics) =>
      callRaw(`describing ${topics.join(', ')}`, (cluster) => requestTopicLives(cluster, topics)),
    topicIds: (topic) =>
      callRaw(`asking all brokers for ${topic}`, (cluster) => requestTopicIds(cluster, topic)),
    logEnds: (inputs) => callRaw('asking for the ends of logs', (cluster) => requestLogEnds(cluster, inputs)),
    ensureTopics: (specs) => call('creating topics', (api) => ensureTopics(api, specs, clock)),
    describeTopics: (topics) => call(`describing ${topics.join(', ')}`, (api) => describeTopics(api, topics)),
    deleteTopics: (topics) => call(`deleting ${topics.join(', ')}`, (api) => deleteTopics(api, topics)),
    logRange: (topic, partition) =>
      call(`reading the log range of ${topic}:${partition}`, (api) => logRange(api, topic, partition)),
    offsetAt: (topic, partition, timestampMs) =>
      call(`looking for time ${timestampMs} in ${topic}:${partition}`, (api) =>
        offsetAt(api, topic, partition, timestampMs),
      ),
    groupOffset: (group, topic, partition) =>
      call(`reading the offset of group ${group} in ${topic}:${partition}`, (api) =>
        groupOffset(api, group, topic, partition),
      ),
    groupOffsets: (group, topic) =>
      call(`reading the offsets of group ${group} in ${topic}`, (api) => groupOffsets(api, group, topic)),
    clusterId: () => {
      clusterId ??= call('reading the cluster id', async (api) => (await api.describeCluster()).clusterId)
      clusterId.catch(() => (clusterId = null))
      return clusterId
    },
    close: async () => {
      await raw?.disconnect().catch(() => {}) // as below
      raw = null
      if (!connecting) return
      connecting = null
      await admin.disconnect().catch(() => {}) // the process lets go of it either way
    },
  }
}

/** A compacted topic cannot be replayed, so state built from it could not be rebuilt. */
export function refuseCompacted(topics: readonly TopicDescription[]): void {
  for (const { topic, cleanupPolicy } of topics) {
    if (!cleanupPolicy.split(',').includes('compact')) continue
    throw new MillraceError(
      'KAFKA_TOPIC_COMPACTED',
      `topic ${topic} has cleanup.policy=${cleanupPolicy}; a source needs cleanup.policy=delete`,
    )
  }
}

async function ensureTopics(
  admin: Admin,
  specs: readonly TopicSpec[],
  clock: Clock,
): Promise<readonly string[]> {
  const existing = new Set(await admin.listTopics())
  const missing = specs.filter(({ topic }) => !existing.has(topic))
  if (missing.length === 0) return []
  const configs = missing.map(({ topic, partitions, replicationFactor, settings = {} }) => ({
    topic,
    numPartitions: partitions,
    ...(replicationFactor === undefined ? {} : { replicationFactor }),
    configEntries: Object.entries(settings).map(([name, value]) => ({ name, value })),
  }))
  await createTopics(admin, configs, clock)
  return missing.map(({ topic }) => topic)
}

async function describeTopics(admin: Admin, topics: readonly string[]): Promise<readonly TopicDescription[]> {
  if (topics.length === 0) return []
  const existing = new Set(await admin.listTopics())
  const missing = topics.filter((topic) => !existing.has(topic))
  if (missing.length > 0) {
    throw new MillraceError('KAFKA_TOPIC_MISSING', `these topics do not exist: ${missing.join(', ')}`)
  }
  const metadata = await admin.fetchTopicMetadata({ topics: [...topics] })
  const configs = await admin.describeConfigs({
    includeSynonyms: false,
    resources: topics.map((name) => ({ type: ConfigResourceTypes.TOPIC, name, configNames: settingsRead })),
  })
  return topics.map((topic) => {
    const resource = configs.resources.find(({ resourceName }) => resourceName === topic)
    const setting = (name: string): string =>
      resource?.configEntries.find(({ configName }) => configName === name)?.configValue ?? ''
    return {
      topic,
      partitions: metadata.topics.find(({ name }) => name === topic)?.partitions.length ?? 0,
      cleanupPolicy: setting('cleanup.policy'),
      retentionMs: Number(setting('retention.ms')),
      retentionBytes: Number(setting('retention.bytes')),
      maxMessageBytes: Number(setting('max.message.bytes')),
      segmentBytes: Number(setting('segment.bytes')),
      minInSyncReplicas: Number(setting('min.insync.replicas')),
    }
  })
}

async function deleteTopics(admin: Admin, topics: readonly string[]): Promise<void> {
  const existing = new Set(await admin.listTopics())
  const found = topics.filter((topic) => existing.has(topic))
  if (found.length > 0) await admin.deleteTopics({ topics: found })
}

async function logRange(admin: Admin, topic: string, partition: number): Promise<LogRange> {
  const range = (await admin.fetchTopicOffsets(topic)).find((one) => one.partition === partition)
  if (!range) throw new PartitionMissing(topic, partition)
  return { start: Number(range.low), end: Number(range.high) }
}

async function groupOffset(
  admin: Admin,
  group: string,
  topic: string,
  partition: number,
): Promise<GroupOffset> {
  const [answer] = await admin.fetchOffsets({ groupId: group, topics: [topic] })
  const found = answer?.partitions.find((one) => one.partition === partition)
  if (!found) throw new PartitionMissing(topic, partition)
  return { offset: Number(found.offset), metadata: found.metadata ?? '' }
}

async function groupOffsets(
  admin: Admin,
  group: string,
  topic: string,
): Promise<ReadonlyMap<number, GroupOffset>> {
  const [answer] = await admin.fetchOffsets({ groupId: group, topics: [topic] })
  return new Map(
    (answer?.partitions ?? [])
      .filter(({ offset }) => Number(offset) >= 0)
      .map(({ partition, offset, metadata }) => [
        partition,
        { offset: Number(offset), metadata: metadata ?? '' },
      ]),
  )
}

async function offsetAt(
  admin: Admin,
  topic: string,
  partition: number,
  timestampMs: number,
): Promise<number> {
  // Negative timestamps have other meanings in this request.
  const offsets = await admin.fetchTopicOffsetsByTimestamp(topic, Math.max(0, Math.floor(timestampMs)))
  const found = offsets.find((one) => one.partition === partition)
  if (!found) throw new PartitionMissing(topic, partition)
  return Number(found.offset)
}

/** A partition just added is known to some brokers a moment before others. */
class PartitionMissing extends MillraceError {
  constructor(topic: string, partition: number) {
    super('KAFKA_TOPIC_MISSING', `topic ${topic} has no partition ${partition}`)
  }
}
