import { randomUUID } from 'node:crypto'
import { createRedisStore, featureScripts } from '../features/redis-store.ts'
import { refuseCompacted } from '../kafka/admin.ts'
import { openKafkaClient } from '../kafka/client.ts'
import { waitForBroker } from '../kafka/wait-for-broker.ts'
import type { StateShared } from '../pipeline/partition-context.ts'
import { createProcessTrials } from '../pipeline/process-trials.ts'
import { WarmTask, type WarmReading } from '../pipeline/warm-task.ts'
import { openRedis } from '../redis/client.ts'
import { openKafkaSource } from '../source/kafka-source.ts'
import type { AssignmentHandler, InputStream } from '../source/source.ts'
import type { Log } from '../telemetry/log.ts'
import type { Clock } from '../time/clock.ts'
import { untilAborted } from '../time/until-aborted.ts'
import type { Plan } from '../topology/plan.ts'
import { openDecoders } from './codecs.ts'
import { PositionPoll } from './position-poll.ts'
import { checkRedis } from './check-redis.ts'
import { bucketsOf, namespaceOf } from './service.ts'
import { TopicWatch } from './topic-watch.ts'
import { outputTopicsOf } from './topics.ts'

export interface WarmOptions {
  readonly plan: Plan
  readonly clock: Clock
  readonly log: Log
  /** A partition is warm when its stored state is at most so many records behind the committed offset. */
  readonly withinRecords: number
  /** Keeps the state warm until aborted, instead of ending when all partitions are. */
  readonly follow: boolean
  /** Every two seconds. */
  readonly onProgress: (progress: WarmProgress) => void
}

export interface WarmProgress {
  readonly partitions: number
  readonly warm: number
  /** Records read, of those to read up to the committed offsets. */
  readonly read: number
  readonly of: number
  /** At the present rate; null: unknown, or nothing is left. */
  readonly secondsLeft: number | null
  readonly readings: readonly WarmReading[]
}

const progressIntervalMs = 2_000
const lookIntervalMs = 250

/**
 * Builds the state of a definition from the log into its own namespace while another definition is served, so that its
 * first owners find it nearly complete. Several of these share the partitions. Resolves with the last progress.
 */
export async function warm(options: WarmOptions, signal: AbortSignal): Promise<WarmProgress> {
  const { plan, clock, log } = options
  await using opened = new AsyncDisposableStack()
  await waitForBroker({ plan: plan.kafka, clock, log, startWaitMs: plan.limits.startWaitMs, signal })
  // A group of its own: the members of the served one are not disturbed. It commits nothing.
  const kafka = { ...plan.kafka, group: `${plan.kafka.group}.warm.${plan.stateHash}`, instance: null }
  const client = openKafkaClient({ plan: kafka, clock, log })
  opened.defer(() => client.close())
  const topics = plan.sources.map(({ topic }) => topic)
  const described = await client.admin.describeTopics(topics)
  refuseCompacted(described)
  const redis = openRedis({ plan: plan.redis, scripts: featureScripts, clock, log })
  opened.defer(() => redis.close())
  await checkRedis(plan, redis, clock, signal)
  const partitionCounts = new Map(described.map(({ topic, partitions }) => [topic, partitions]))
  const parts = { admin: client.admin, group: plan.kafka.group, topics, clock, log }
  const watch = new TopicWatch({ ...parts, outputs: outputTopicsOf(plan), partitionCounts })
  const positions = new PositionPoll(parts)
  const shared: StateShared = {
    plan,
    clock,
    topics: watch,
    store: createRedisStore({
      client: redis,
      namespace: namespaceOf(plan),
      layouts: plan.features.layouts,
      buckets: bucketsOf(plan),
    }),
    observer: { flushed: () => undefined, expressionFailed: () => undefined },
    clusterId: await client.admin.clusterId(),
    partitionCounts,
    newIdentity: () => randomUUID().slice(0, 8),
  }
  const decoders = openDecoders(options)
  const trials = createProcessTrials()
  const group = new WarmGroup((stream) => {
    const found = decoders.get(stream.input.source)
    if (found === undefined) throw new Error(`no decoder for source ${stream.input.source}`)
    return new WarmTask({ shared, input: stream.input, trials, ...found }, stream, positions)
  })
  const source = openKafkaSource({
    client,
    plan: kafka,
    topics: plan.sources.map(({ name, topic }) => ({ source: name, topic })),
    clock,
    log,
  })
  const ending = new AbortController()
  opened.defer(() => source.stop())
  opened.defer(() => ending.abort())
  const failed = Promise.race([
    group.failed,
    watch.run(ending.signal).then(() => new Promise<never>(() => {})),
    positions.run(ending.signal).then(() => new Promise<never>(() => {})),
  ])
  failed.catch(() => {}) // awaited below, unless joining fails first
  await source.start(group)
  return await Promise.race([failed, untilWarm(options, group, signal)])
}

async function untilWarm(options: WarmOptions, group: WarmGroup, signal: AbortSignal): Promise<WarmProgress> {
  const { clock, follow, onProgress, withinRecords } = options
  const startedAt = clock.monotonic()
  let told = -Infinity
  for (;;) {
    const progress = progressOf(group.readings, withinRecords, clock.monotonic() - startedAt)
    const isDone = progress.warm === progress.partitions
    if (isDone && !follow) return progress
    if (clock.monotonic() - told >= progressIntervalMs) {
      told = clock.monotonic()
      onProgress(progress)
    }
    if (follow && signal.aborted) return progress
    await untilAborted(clock.sleep(lookIntervalMs, signal), signal).catch(() => undefined) // looked at next
    if (!follow) signal.throwIfAborted()
  }
}

export function progressOf(
  readings: readonly WarmReading[],
  withinRecords: number,
  tookMs: number,
): WarmProgress {
  const own = readings.filter(({ phase }) => phase === 'reading' || phase === 'following')
  const read = own.reduce((sum, one) => sum + Math.max(0, one.stored - one.from), 0)
  const of = own.reduce((sum, one) => sum + Math.max(0, one.until - one.from), 0)
  return {
    partitions: readings.length,
    warm: readings.filter((one) => isWarm(one, withinRecords)).length,
    read,
    of,
    secondsLeft: read > 0 && of > read ? Math.ceil(((of - read) * tookMs) / read / 1000) : null,
    readings,
  }
}

/** Records that the first owners will have to apply, of the partition with the most of them. */
export function mostBehind({ readings }: WarmProgress): number {
  const own = readings.filter(({ phase }) => phase === 'following')
  return Math.max(0, ...own.map(({ until, stored }) => until - stored))
}

/** Also where waiting would not make it warmer. */
export function isWarm({ phase, stored, until }: WarmReading, withinRecords: number): boolean {
  if (phase === 'served' || phase === 'cannot') return true
  return phase === 'following' && until - stored <= withinRecords
}

/** The tasks of the partitions that fall to this process. */
class WarmGroup implements AssignmentHandler {
  readonly failed: Promise<never>
  readonly #taskOf: (stream: InputStream) => WarmTask
  readonly #fail: (error: unknown) => void
  #tasks: readonly WarmTask[] = []
  #abort = new AbortController()
  #running: Promise<unknown> = Promise.resolve()

  constructor(taskOf: (stream: InputStream) => WarmTask) {
    const { promise, reject } = Promise.withResolvers<never>()
    this.failed = promise
    this.#fail = reject
    this.#taskOf = taskOf
  }

  get readings(): readonly WarmReading[] {
    return this.#tasks.map((task) => task.reading)
  }

  assigned(streams: readonly InputStream[]): void {
    this.#abort.abort()
    this.#abort = new AbortController()
    const { signal } = this.#abort
    this.#tasks = streams.map((stream) => this.#taskOf(stream))
    const running = this.#tasks.map((task) => task.run(signal).catch((error: unknown) => this.#fail(error)))
    this.#running = Promise.all([this.#running, ...running])
  }

  async revoking(): Promise<void> {
    this.#abort.abort()
    await this.#running
  }

  crashed(error: unknown): void {
    this.#fail(error)
  }
}
