import { randomUUID } from 'node:crypto'
import { createBatcher, type Batcher } from '../batch/batcher.ts'
import { openTransactionPort } from '../commit/kafka-transaction.ts'
import { MillraceError } from '../errors.ts'
import { distrustScripts, openStateTrust } from '../features/distrust.ts'
import { createRedisStore, featureScripts } from '../features/redis-store.ts'
import { refuseCompacted, type TopicDescription } from '../kafka/admin.ts'
import { openKafkaClient, type KafkaClient } from '../kafka/client.ts'
import { waitForBroker } from '../kafka/wait-for-broker.ts'
import { openScorer } from '../model/onnx-scorer.ts'
import type { Scorer } from '../model/scorer.ts'
import type { CommittedSlice } from '../pipeline/observer.ts'
import { keptForMs, visibleSpanMs, type Shared } from '../pipeline/partition-context.ts'
import type { PartitionTask } from '../pipeline/partition-task.ts'
import { TaskGroup } from '../pipeline/task-group.ts'
import { inputName } from '../record/input.ts'
import { bucketsOn, parseRedisAddress } from '../redis/address.ts'
import { openRedis, type RedisClient } from '../redis/client.ts'
import { deadLetterTopic } from '../sink/sink.ts'
import { openKafkaSource } from '../source/kafka-source.ts'
import type { Source } from '../source/source.ts'
import { withFields, type Log } from '../telemetry/log.ts'
import type { Metrics } from '../telemetry/metrics.ts'
import type { Clock } from '../time/clock.ts'
import { withTimeout } from '../time/deadline.ts'
import type { Plan } from '../topology/plan.ts'
import { checkRedis } from './check-redis.ts'
import { openDecoders, openOutlet } from './codecs.ts'
import { drainWithin, type DrainingPartition } from './drain.ts'
import { Lifecycle, type Phase } from './lifecycle.ts'
import { StateWatch } from './state-watch.ts'
import { TopicWatch } from './topic-watch.ts'
import { deadLetterHeaderBytesMax, outputTopicsOf } from './topics.ts'
import { observeBatches, observePipeline } from './observe.ts'

export interface ServiceOptions {
  readonly plan: Plan
  readonly clock: Clock
  readonly log: Log
  readonly metrics: Metrics
  /** Every committed slice, for live views and summaries. */
  readonly onCommitted?: (slice: CommittedSlice) => void
  /** What the service waits for at start, for people. */
  readonly onProgress?: (line: string) => void
}

/** One running instance of a topology. */
export interface Service {
  readonly phase: Phase
  readonly tasks: TaskGroup
  readonly batcher: Batcher
  readonly scorer: Scorer
  readonly redis: RedisClient
  /** Why windows may vanish from Redis; null: they may not. */
  readonly stateRefusal: string | null
  /** Rejects with the error that must end the process; never resolves. */
  readonly failed: Promise<never>
  /** Finishes and commits what is open, flushes, leaves the group. Throws DRAIN_EXCEEDED. Idempotent. */
  drain(): Promise<void>
  /** Stops now; open transactions are left to the next owner. Idempotent. */
  abort(): Promise<void>
}

/** Slices between take and commit: the next one is decoded, applied and scored while one commits. */
const pipelineDepth = 2

/** Opens everything in order and joins the group. Anything opened is closed again when a later step fails. */
export async function openService(options: ServiceOptions, signal: AbortSignal): Promise<Service> {
  const { plan, clock, metrics } = options
  const log = withFields(options.log, { group: plan.kafka.group })
  await using opening = new AsyncDisposableStack()
  options.onProgress?.(`waiting for Kafka at ${plan.kafka.brokers.join(', ')}`)
  await waitForBroker({
    plan: plan.kafka,
    clock,
    log,
    startWaitMs: plan.limits.startWaitMs,
    signal,
    onWaiting: (_, reason) => options.onProgress?.(`Kafka does not answer yet: ${reason}`),
  })
  const kafka = openKafkaClient({ plan: plan.kafka, clock, log })
  opening.defer(() => kafka.close())
  const topics = await checkTopics(plan, kafka, log)
  options.onProgress?.('waiting for Redis')
  const redis = openRedis({
    plan: plan.redis,
    scripts: new Map([...featureScripts, ...distrustScripts]),
    clock,
    log,
    observe: (command, durationMs, failed) => {
      metrics.redisCommandDuration.of({ command }).observe(durationMs / 1000)
      if (failed) metrics.redisErrors.inc({ command })
    },
  })
  opening.defer(() => redis.close())
  await checkRedis(plan, redis, clock, signal)
  options.onProgress?.('loading the model')
  const scorer = await openScorer({ plan: plan.model, clock, log, signal })
  opening.defer(() => scorer.close())
  const { name, version, digest } = scorer.identity
  metrics.modelInfo.set({ model: name, version, digest }, 1)
  const batcher = createBatcher({
    run: (rows, n) => scorer.score(rows, n),
    width: scorer.width,
    concurrency: scorer.workers,
    plan: plan.batch,
    queuedRowsMax: plan.limits.queuedRowsMax,
    clock,
    observe: observeBatches(metrics, scorer.identity),
  })
  const partitionCounts = new Map(topics.map(({ topic, partitions }) => [topic, partitions]))
  const batchBytesMax = new Map(topics.map(({ topic, maxMessageBytes }) => [topic, maxMessageBytes]))
  const watch = new TopicWatch({
    admin: kafka.admin,
    group: plan.kafka.group,
    topics: plan.sources.map(({ topic }) => topic),
    outputs: outputTopicsOf(plan),
    partitionCounts,
    clock,
    log,
  })
  const shared: Shared = {
    plan,
    clock,
    scorer,
    partitionCounts,
    topics: watch,
    store: createRedisStore({
      client: redis,
      namespace: namespaceOf(plan),
      layouts: plan.features.layouts,
      buckets: bucketsOf(plan),
    }),
    transactions: openTransactionPort({
      client: kafka,
      app: plan.name,
      clock,
      log,
      batchBytesMax: Math.min(...topics.map(({ maxMessageBytes }) => maxMessageBytes)),
    }),
    batching: {
      get hasRoom() {
        return batcher.hasRoom
      },
      room: (waiting) => batcher.whenRoom(waiting),
      score: (rows, n, waiting) => batcher.score(rows, n, waiting),
    },
    outlet: await openOutlet(options, { partitionCounts, batchBytesMax }, scorer.identity, signal),
    observer: observePipeline(metrics, log, options.onCommitted),
    clusterId: await kafka.admin.clusterId(),
    newIdentity: () => randomUUID().slice(0, 8),
    depth: pipelineDepth,
  }
  const source = openKafkaSource({
    client: kafka,
    plan: plan.kafka,
    topics: plan.sources.map(({ name: sourceName, topic }) => ({ source: sourceName, topic })),
    clock,
    log,
  })
  const decoders = openDecoders(options)
  const service = new RunningService(
    options,
    shared,
    source,
    decoders,
    { scorer, batcher, redis, watch },
    opening.move(),
  )
  await service.start(signal)
  return service
}

/** Sources exist and can be replayed; output topics exist and take what may be written to them. */
async function checkTopics(plan: Plan, kafka: KafkaClient, log: Log): Promise<readonly TopicDescription[]> {
  const sources = plan.sources.map((source) => source.topic)
  const names = new Set([...sources, ...outputTopicsOf(plan)])
  const described = await kafka.admin.describeTopics([...names])
  refuseCompacted(described.filter(({ topic }) => sources.includes(topic)))
  for (const source of described.filter(({ topic }) => sources.includes(topic))) {
    const name = deadLetterTopic(plan.sinks, source.topic)
    const letters = described.find(({ topic }) => topic === name)
    if (letters === undefined || letters.maxMessageBytes >= source.maxMessageBytes + deadLetterHeaderBytesMax)
      continue
    log.warn(
      {
        topic: name,
        maxMessageBytes: letters.maxMessageBytes,
        wanted: source.maxMessageBytes + deadLetterHeaderBytesMax,
      },
      'the largest records would not fit into the dead-letter topic with their headers, and leave only a stub; raise its max.message.bytes',
    )
  }
  warnOfShortRetention(plan, described, log)
  return described
}

/** A lost Redis is rebuilt from the log, as far back as any window sees. */
function warnOfShortRetention(plan: Plan, described: readonly TopicDescription[], log: Log): void {
  const neededMs = visibleSpanMs(plan) + plan.store.outageMaxMs
  for (const { topic, retentionMs } of described) {
    if (retentionMs < 0 || retentionMs >= neededMs) continue
    if (!plan.sources.some((source) => source.topic === topic)) continue
    log.warn(
      { topic, retentionMs, neededMs },
      'retention is shorter than windows, lateness and outageMax together: a lost Redis could not be rebuilt; raise retention.ms',
    )
  }
}

/** State of one definition, group, format and number of buckets; another one starts empty and is rebuilt from the log. */
export function namespaceOf(plan: Plan): string {
  return `millrace:${plan.name}:${plan.kafka.group}:${plan.stateHash}:${bucketsOf(plan)}`
}

export function bucketsOf({ redis }: Plan): number {
  return bucketsOn(parseRedisAddress(redis.url))
}

/** Resolves when drained after the signal; rejects with what ended the service before. */
export async function runUntilStopped(service: Service, signal: AbortSignal): Promise<void> {
  const stopped = new Promise<void>((resolve) => {
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', () => resolve(), { once: true })
  })
  try {
    await Promise.race([stopped, service.failed])
  } catch (error) {
    await service.abort()
    throw error
  }
  await service.drain()
}

class RunningService implements Service {
  readonly tasks: TaskGroup
  readonly batcher: Batcher
  readonly scorer: Scorer
  readonly redis: RedisClient
  readonly failed: Promise<never>
  readonly #options: ServiceOptions
  readonly #source: Source
  readonly #resources: AsyncDisposableStack
  readonly #lifecycle: Lifecycle
  readonly #watch: TopicWatch
  readonly #stateWatch: StateWatch
  readonly #watching = new AbortController()
  #ending: Promise<void> | null = null

  constructor(
    options: ServiceOptions,
    shared: Shared,
    source: Source,
    decoders: ReturnType<typeof openDecoders>,
    parts: { scorer: Scorer; batcher: Batcher; redis: RedisClient; watch: TopicWatch },
    resources: AsyncDisposableStack,
  ) {
    this.#options = options
    this.#source = source
    this.#resources = resources
    this.scorer = parts.scorer
    this.batcher = parts.batcher
    this.redis = parts.redis
    this.#watch = parts.watch
    const { plan, clock, log, metrics } = options
    this.#stateWatch = new StateWatch({
      redis: parts.redis,
      trust: openStateTrust({
        client: parts.redis,
        namespace: namespaceOf(plan),
        buckets: bucketsOf(plan),
        ttlMs: keptForMs(plan),
      }),
      tasks: () => this.tasks.tasks,
      metrics,
      clock,
      log,
    })
    const { promise, reject } = Promise.withResolvers<never>()
    this.failed = promise
    this.failed.catch(() => undefined) // whoever runs the service listens; a failure while draining is in drain's throw
    this.#lifecycle = new Lifecycle((phase) => options.log.info({ phase }, 'service'))
    this.tasks = new TaskGroup({
      setupOf: (input) => {
        const decoder = decoders.get(input.source)
        if (decoder === undefined)
          throw new MillraceError('INTERNAL', `no decoder for source ${input.source}`)
        return { shared, input, ...decoder }
      },
      fatal: reject,
      rebalanced: (partitions) => {
        options.metrics.rebalances.inc()
        options.metrics.assignedPartitions.set(partitions)
      },
    })
  }

  get phase(): Phase {
    return this.#lifecycle.phase
  }

  get stateRefusal(): string | null {
    return this.#stateWatch.refusal
  }

  async start(signal: AbortSignal): Promise<void> {
    try {
      await this.#stateWatch.begin(signal)
      await this.#source.start(this.tasks)
      this.#lifecycle.moveTo('running')
      for (const watch of [this.#watch, this.#stateWatch])
        watch.run(this.#watching.signal).catch((error: unknown) => this.tasks.crashed(error))
    } catch (error) {
      await this.abort()
      throw error
    }
  }

  drain(): Promise<void> {
    this.#ending ??= this.#drain()
    return this.#ending
  }

  async #drain(): Promise<void> {
    const { clock, plan } = this.#options
    this.#lifecycle.moveTo('draining')
    try {
      await drainWithin(this.#finish(), {
        limitMs: plan.limits.drainMs,
        clock,
        partitions: () => this.tasks.tasks.map(drainingOf),
        redisAnswers: () => this.redis.answering,
      })
      this.#lifecycle.moveTo('stopped')
    } catch (error) {
      this.#lifecycle.moveTo('failed')
      void this.#stopNow()
      throw error
    }
  }

  async #finish(): Promise<void> {
    this.#watching.abort()
    await this.tasks.drain()
    await this.#source.stop()
    await this.#resources.disposeAsync()
  }

  abort(): Promise<void> {
    this.#ending ??= this.#abort()
    return this.#ending
  }

  async #abort(): Promise<void> {
    this.#lifecycle.moveTo('failed')
    await withTimeout(this.#stopNow(), abortMaxMs, this.#options.clock, 'stopping').catch(() => undefined)
  }

  async #stopNow(): Promise<void> {
    this.#watching.abort()
    await this.tasks.abort()
    await this.#source.stop()
    await this.#resources.disposeAsync()
  }
}

function drainingOf({ stream, status, detail, reading }: PartitionTask): DrainingPartition {
  return {
    name: inputName(stream.input),
    status,
    detail,
    isSliceOpen: reading !== null && reading.pendingTimestamp !== null,
    unflushedRows: reading?.unflushedRows ?? 0,
  }
}

/** After a failure the process ends anyway; this is what closing politely may take. */
const abortMaxMs = 5_000
