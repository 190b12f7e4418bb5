import { randomUUID } from 'node:crypto'
import { MillraceError, type ErrorCode } from '../../errors.ts'
import { allWatermarks } from '../../features/store.ts'
import { createRedisStore, featureScripts } from '../../features/redis-store.ts'
import { openKafkaClient } from '../../kafka/client.ts'
import type { KafkaAdmin } from '../../kafka/admin.ts'
import { kafkaError } from '../../kafka/errors.ts'
import { openKafkaInspector } from '../../kafka/inspect.ts'
import type { HeldPartition } from '../../kafka/held-back.ts'
import type {
  BrokerFacts,
  CommittedOffset,
  KafkaInspector,
  Settings,
  TopicsSeen,
} from '../../kafka/inspect.ts'
import type { DescribedGroup, DescribedTopic } from '../../kafka/inspect-codec.ts'
import type { TopicLife } from '../../kafka/topic-metadata.ts'
import { openScorer } from '../../model/onnx-scorer.ts'
import { nameSeparator } from '../../record/input.ts'
import { bucketsOn, parseRedisAddress } from '../../redis/address.ts'
import { openRedis } from '../../redis/client.ts'
import { inspectRedis, type RedisFacts } from '../../redis/inspect.ts'
import { openRegistry } from '../../registry/registry.ts'
import type { Log } from '../../telemetry/log.ts'
import type { Clock } from '../../time/clock.ts'
import { DeadlineExceeded, withTimeout } from '../../time/deadline.ts'
import type { Plan } from '../../topology/plan.ts'
import { replayTopicOf } from '../dead-letters/dead-letter.ts'
import { namespaceOf } from '../service.ts'
import { deadLetterTopicsOf } from '../topics.ts'
import type { SourceSample } from './sample.ts'
import { sampleSource } from './sampling.ts'

/** Something that was asked for: an answer, or why there is none. */
export type Fact<T> = { readonly value: T } | { readonly error: MillraceError }

/** Everything the checks judge. Gathered without changing anything. */
export interface Facts {
  readonly plan: Plan
  readonly nowMs: number
  readonly brokers: Fact<readonly BrokerFacts[]>
  /** Of every broker. */
  readonly brokerSettings: Fact<readonly Settings[]>
  readonly topics: Fact<ReadonlyMap<string, DescribedTopic>>
  /** Topics this principal may not describe; whether they exist is not told either. */
  readonly hidden: ReadonlySet<string>
  readonly topicSettings: Fact<ReadonlyMap<string, Settings>>
  readonly clusterId: Fact<string>
  readonly lives: Fact<ReadonlyMap<string, TopicLife>>
  /** Null: no broker coordinates it. Unless the topic of offsets is hidden, nobody ever joined a group on this cluster. */
  readonly group: Fact<DescribedGroup | null>
  /** By source topic and partition. */
  readonly positions: Fact<ReadonlyMap<string, ReadonlyMap<number, CommittedOffset>>>
  /** Of the sources and of the topic that remembers replays. */
  readonly ranges: Fact<
    ReadonlyMap<string, ReadonlyMap<number, { readonly start: number; readonly end: number }>>
  >
  /** Source partitions in which an open transaction holds records back. */
  readonly heldBack: Fact<readonly HeldPartition[]>
  /** Of the sources whose topics were found; each for itself, as each has its own rights and its own codec. */
  readonly samples: Fact<readonly SampledSource[]>
  readonly mayDescribeTransactions: Fact<boolean>
  readonly hasAuthorizer: Fact<boolean | null>
  readonly redis: Fact<RedisFacts>
  /** W by bucket and input. */
  readonly watermarks: Fact<readonly ReadonlyMap<string, string>[]>
  /** What serves, in words. */
  readonly model: Fact<string>
  /** Subjects the registry does not know; null: the topology needs no registry. */
  readonly subjectsMissing: Fact<readonly string[] | null>
}

export interface SampledSource {
  readonly source: string
  readonly sample: Fact<SourceSample>
}

export interface FactParts {
  readonly plan: Plan
  readonly clock: Clock
  readonly log: Log
}

export const offsetsTopic = '__consumer_offsets'
export const transactionsTopic = '__transaction_state'

/** One question, with everything that kafkajs and ioredis try again inside it. */
const questionMs = 15_000

/** What asks the servers; tests have others. */
export interface Questions {
  readonly kafka: () => Promise<KafkaFacts>
  readonly redis: () => Promise<Pick<Facts, 'redis' | 'watermarks'>>
  readonly model: () => Promise<string>
  readonly subjects: () => Promise<readonly string[] | null>
}

export async function gatherFacts(
  parts: FactParts,
  signal: AbortSignal,
  questions = questionsOf(parts, signal),
): Promise<Facts> {
  const { plan, clock } = parts
  const [servers, model, subjectsMissing] = await Promise.all([
    askServers(questions),
    fact(parts, 'loading the model', questions.model, modelError),
    fact(parts, 'asking the schema registry', questions.subjects, errorAs('REGISTRY_UNREACHABLE')),
  ])
  signal.throwIfAborted()
  return { plan, nowMs: clock.now(), ...servers, model, subjectsMissing }
}

function questionsOf(parts: FactParts, signal: AbortSignal): Questions {
  return {
    kafka: () => kafkaFacts(parts),
    redis: () => redisFacts(parts),
    model: () => describeModel(parts, signal),
    subjects: () => missingSubjects(parts.plan, signal),
  }
}

/** Watermarks before positions: while a service runs, older positions would look like commits that Kafka lost. */
async function askServers({
  redis,
  kafka,
}: Questions): Promise<KafkaFacts & Pick<Facts, 'redis' | 'watermarks'>> {
  const first = await redis()
  return { ...first, ...(await kafka()) }
}

/** Never rejects: trouble is a fact. `errorOf` says whose, of an error that has no code of its own. */
async function fact<T>(
  { clock }: FactParts,
  what: string,
  ask: () => Promise<T>,
  errorOf: (error: unknown, what: string) => MillraceError = kafkaError,
): Promise<Fact<T>> {
  try {
    return { value: await withTimeout(ask(), questionMs, clock, what) }
  } catch (error) {
    return { error: error instanceof MillraceError ? error : errorOf(error, what) }
  }
}

function errorAs(code: ErrorCode): (error: unknown, what: string) => MillraceError {
  return (error, what) => {
    const text = error instanceof Error ? error.message : String(error)
    const told = error instanceof DeadlineExceeded ? text : `${what}: ${text}`
    return new MillraceError(code, told, { cause: error })
  }
}

function modelError(error: unknown, what: string): MillraceError {
  return errorAs(error instanceof DeadlineExceeded ? 'MODEL_HANG' : 'MODEL_INVALID')(error, what)
}

type KafkaFacts = Pick<
  Facts,
  | 'brokers'
  | 'brokerSettings'
  | 'topics'
  | 'hidden'
  | 'topicSettings'
  | 'clusterId'
  | 'lives'
  | 'group'
  | 'positions'
  | 'ranges'
  | 'heldBack'
  | 'samples'
  | 'mayDescribeTransactions'
  | 'hasAuthorizer'
>

async function kafkaFacts(parts: FactParts): Promise<KafkaFacts> {
  const { plan } = parts
  const inspector = openKafkaInspector(plan.kafka, parts.clock, parts.log)
  const client = openKafkaClient({ ...parts, plan: plan.kafka })
  try {
    return await askKafka(parts, inspector, client.admin)
  } finally {
    await inspector.close()
    await client.close()
  }
}

/** Exported for tests. */
export async function askKafka(
  parts: FactParts,
  inspector: KafkaInspector,
  admin: Pick<KafkaAdmin, 'clusterId' | 'topicLives'>,
): Promise<KafkaFacts> {
  const { plan } = parts
  const brokers = await fact(parts, 'asking for the brokers', () => inspector.brokers())
  if ('error' in brokers) return unansweredBy(brokers.error)
  const names = topicNames(plan)
  const topics = await fact(parts, 'describing topics', () =>
    inspector.topics([...names, offsetsTopic, transactionsTopic]),
  )
  const found = 'value' in topics ? [...topics.value.found.keys()] : []
  const hidden = 'value' in topics ? topics.value.hidden : new Set<string>()
  const sources = plan.sources.map(({ topic }) => topic).filter((topic) => found.includes(topic))
  // One that is hidden may be there: an offset that is not asked for would look like one that was lost.
  const mayHaveGroups = found.includes(offsetsTopic) || hidden.has(offsetsTopic)
  const ledger = found.filter((topic) => topic === replayTopicOf(plan))
  const perTopic = async <T>(
    ask: (topic: string) => Promise<T>,
    asked: readonly string[] = sources,
  ): Promise<ReadonlyMap<string, T>> =>
    new Map(await Promise.all(asked.map(async (topic) => [topic, await ask(topic)] as const)))
  const group = await fact(parts, 'describing the group', async () => {
    const described = mayHaveGroups ? await inspector.group(plan.kafka.group) : null
    if (described !== null || !found.includes(offsetsTopic)) return described
    const text = `no broker coordinates group ${plan.kafka.group}: ${offsetsTopic} has no leader there`
    throw new MillraceError('KAFKA_UNREACHABLE', text)
  })
  return {
    brokers,
    topics: 'value' in topics ? { value: topics.value.found } : topics,
    hidden,
    group,
    brokerSettings: await fact(parts, 'reading broker settings', () =>
      Promise.all(brokers.value.map(({ nodeId }) => inspector.brokerSettings(nodeId))),
    ),
    topicSettings: await fact(parts, 'reading topic settings', () => inspector.topicSettings(found)),
    clusterId: await fact(parts, 'reading the cluster id', () => admin.clusterId()),
    lives: await fact(parts, 'reading topic ids', () => admin.topicLives(sources)),
    // Without a coordinator there are none, and asking for them would create the topic.
    positions:
      'error' in group
        ? group
        : await fact(parts, 'reading the offsets of the group', () =>
            perTopic(async (topic) =>
              group.value === null ? new Map() : inspector.offsets(plan.kafka.group, topic),
            ),
          ),
    ranges: await fact(parts, 'reading log ranges', () =>
      perTopic((topic) => inspector.logRanges(topic), [...sources, ...ledger]),
    ),
    heldBack: await fact(parts, 'looking for open transactions', () =>
      inspector.heldBack(sources.flatMap((topic) => describedOf(topics, topic))),
    ),
    samples: { value: await sampleSources(parts, inspector, topics) },
    mayDescribeTransactions: await fact(parts, 'describing transactional ids', () =>
      inspector.mayDescribeTransaction(transactionalIdOf(plan)),
    ),
    hasAuthorizer: await fact(parts, 'asking for ACLs', () => inspector.hasAuthorizer()),
  }
}

function describedOf(topics: Fact<Pick<TopicsSeen, 'found'>>, topic: string): readonly DescribedTopic[] {
  const found = 'value' in topics ? topics.value.found.get(topic) : undefined
  return found === undefined ? [] : [found]
}

async function sampleSources(
  parts: FactParts,
  inspector: Pick<KafkaInspector, 'sample'>,
  topics: Fact<Pick<TopicsSeen, 'found'>>,
): Promise<readonly SampledSource[]> {
  const samples: SampledSource[] = []
  for (const source of parts.plan.sources) {
    for (const topic of describedOf(topics, source.topic)) {
      const ask = (): Promise<SourceSample> => sampleSource(parts, source, topic, inspector)
      samples.push({
        source: source.name,
        sample: await fact(parts, `sampling ${source.topic}`, ask),
      })
    }
  }
  return samples
}

export function topicNames(plan: Plan): readonly string[] {
  const { predictions, alerts } = plan.sinks
  return [
    ...new Set([
      ...plan.sources.map(({ topic }) => topic),
      predictions.topic,
      alerts.topic,
      ...deadLetterTopicsOf(plan),
      replayTopicOf(plan),
    ]),
  ]
}

function transactionalIdOf(plan: Plan): string {
  const [source] = plan.sources
  return [plan.name, plan.kafka.group, source?.topic, 0].join(nameSeparator)
}

function unansweredBy(error: MillraceError): KafkaFacts {
  return {
    brokers: { error },
    brokerSettings: { error },
    topics: { error },
    hidden: new Set(),
    topicSettings: { error },
    clusterId: { error },
    lives: { error },
    group: { error },
    positions: { error },
    ranges: { error },
    heldBack: { error },
    samples: { error },
    mayDescribeTransactions: { error },
    hasAuthorizer: { error },
  }
}

async function redisFacts(parts: FactParts): Promise<Pick<Facts, 'redis' | 'watermarks'>> {
  const { plan, clock } = parts
  const key = `${namespaceOf(plan)}:{0}:W`
  const redisError = errorAs('REDIS_UNREACHABLE')
  const ask = () => inspectRedis(plan.redis, key, questionMs - 1_000, clock)
  const redis = await fact(parts, 'asking Redis', ask, redisError)
  if ('error' in redis) return { redis, watermarks: redis }
  const watermarks = await fact(parts, 'reading watermarks', () => readWatermarks(parts), redisError)
  return { redis, watermarks }
}

async function readWatermarks({
  plan,
  clock,
  log,
}: FactParts): Promise<readonly ReadonlyMap<string, string>[]> {
  const client = openRedis({ plan: plan.redis, scripts: featureScripts, clock, log })
  const stop = new AbortController()
  const late = clock.sleep(questionMs, stop.signal).then(
    () => stop.abort(),
    () => undefined,
  )
  try {
    const buckets = bucketsOn(parseRedisAddress(plan.redis.url))
    const store = createRedisStore({
      client,
      namespace: namespaceOf(plan),
      layouts: plan.features.layouts,
      buckets,
    })
    return await allWatermarks(store, stop.signal)
  } finally {
    stop.abort()
    await late
    await client.close()
  }
}

async function describeModel({ plan, clock, log }: FactParts, signal: AbortSignal): Promise<string> {
  const scorer = await openScorer({ plan: plan.model, clock, log, signal })
  try {
    const { name, version, digest } = scorer.identity
    return `${name}/${version}, ${digest.slice(0, 19)}…, ${scorer.width} inputs`
  } finally {
    await scorer.close()
  }
}

async function missingSubjects(plan: Plan, signal: AbortSignal): Promise<readonly string[] | null> {
  const { predictions, alerts } = plan.sinks
  const subjects = new Set([
    ...plan.sources.flatMap(({ codec }) => (codec.kind === 'avro' ? [codec.subject] : [])),
    ...[predictions.codec, alerts.codec].flatMap((codec) => (codec.kind === 'avro' ? [codec.subject] : [])),
  ])
  if (plan.registryUrl === null || subjects.size === 0) return null
  const registry = openRegistry({ url: plan.registryUrl })
  const ids = await Promise.all(
    [...subjects].map(async (subject) => [subject, await registry.latestId(subject, signal)] as const),
  )
  return ids.filter(([, id]) => id === null).map(([subject]) => subject)
}

/** Identities of incarnations that a start would begin; none is kept. */
export function newIdentity(): string {
  return randomUUID().slice(0, 8)
}
