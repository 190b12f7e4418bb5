import type { Consumer, ConsumerCrashEvent, ConsumerGroupJoinEvent } from '../kafka/kafkajs.ts'
import { MillraceError } from '../errors.ts'
import type { KafkaClient } from '../kafka/client.ts'
import type { ConsumerHooks } from '../kafka/consumer-hooks.ts'
import { kafkaError, textOf } from '../kafka/errors.ts'
import type { GroupControl, JoiningMember } from '../kafka/internals.ts'
import type { KafkaPlan } from '../kafka/plan.ts'
import { dismissPredecessors } from '../kafka/predecessor.ts'
import type { Log } from '../telemetry/log.ts'
import type { Clock } from '../time/clock.ts'
import { withTimeout } from '../time/deadline.ts'
import { Generation } from './generation.ts'
import type { StreamLimits } from './partition-stream.ts'
import type { AssignmentHandler, Source } from './source.ts'

export interface SourceTopic {
  /** Name of the source in the topology. */
  readonly source: string
  readonly topic: string
}

export interface KafkaSourceOptions {
  /** Of one partition. */
  readonly queuedRowsMax: number
  /** Of all partitions that the process has, in equal shares; each may exceed its own by one fetch. */
  readonly queuedBytesMax: number
  /** How long an idle fetch waits at the broker, and how long `resume` and `seek` may take to show. */
  readonly fetchWaitMs: number
  readonly fetchBytesMax: number
  readonly fetchPartitionBytesMax: number
  readonly heartbeatIntervalMs: number
  /** The broker waits this long for members to join again. */
  readonly rebalanceTimeoutMs: number
  /** What `revoking` may take. The session is kept alive meanwhile; only the rebalance timeout has to be longer. */
  readonly revokeDeadlineMs: number
  /** Added partitions are noticed within this time. */
  readonly metadataAgeMaxMs: number
  /** What leaving the group may take. */
  readonly stopDeadlineMs: number
}

export const kafkaSourceDefaults: KafkaSourceOptions = {
  queuedRowsMax: 5_000,
  queuedBytesMax: 16 * 1024 * 1024,
  fetchWaitMs: 20,
  // A fetched record takes two to five times its bytes until it is taken. Larger batches come whole, one at a time.
  fetchBytesMax: 2 * 1024 * 1024,
  fetchPartitionBytesMax: 256 * 1024,
  // Survivors learn of a dead member with their next heartbeat after its session.
  heartbeatIntervalMs: 500,
  rebalanceTimeoutMs: 60_000,
  revokeDeadlineMs: 10_000,
  metadataAgeMaxMs: 10_000,
  stopDeadlineMs: 10_000,
}

export interface KafkaSourceParts {
  readonly client: KafkaClient
  readonly plan: KafkaPlan
  readonly topics: readonly SourceTopic[]
  readonly options?: Partial<KafkaSourceOptions>
  readonly clock: Clock
  readonly log: Log
}

export function openKafkaSource(parts: KafkaSourceParts): Source {
  return new KafkaSource(parts, { ...kafkaSourceDefaults, ...parts.options })
}

/**
 * A member of a consumer group. Every join makes a new generation with paused streams; before the group moves on, the
 * handler gets `revoking`, and only then do the old streams end.
 *
 * kafkajs restarts a consumer by itself after trouble that may pass (a broker away for half a minute, P-K): the
 * restart is a join like any other here, announced by `revoking` at once. All other crashes are final.
 */
class KafkaSource implements Source {
  readonly #parts: KafkaSourceParts
  readonly #options: KafkaSourceOptions
  readonly #consumer: Consumer
  readonly #sourceOf: ReadonlyMap<string, string>
  readonly #joinedOnce = Promise.withResolvers<void>()
  #handler: AssignmentHandler | null = null
  #group: GroupControl | null = null
  #generation: Generation | null = null
  #generations = 0
  #stopping: Promise<void> | null = null

  constructor(parts: KafkaSourceParts, options: KafkaSourceOptions) {
    if (options.revokeDeadlineMs >= options.rebalanceTimeoutMs) {
      throw new MillraceError(
        'INTERNAL',
        `revokeDeadlineMs (${options.revokeDeadlineMs}) must be below rebalanceTimeoutMs (${options.rebalanceTimeoutMs})`,
      )
    }
    this.#parts = parts
    this.#options = options
    this.#sourceOf = new Map(parts.topics.map(({ source, topic }) => [topic, source]))
    this.#consumer = parts.client.consumer(this.#consumerConfig(), this.#hooks())
    this.#joinedOnce.promise.catch(() => {}) // `start` reports it, if it is ever called
  }

  async start(handler: AssignmentHandler): Promise<void> {
    this.#handler = handler
    const consumer = this.#consumer
    consumer.on(consumer.events.GROUP_JOIN, ({ payload }) => this.#joined(payload))
    consumer.on(consumer.events.HEARTBEAT, () => this.#generation?.heartbeats.beat())
    consumer.on(consumer.events.CRASH, ({ payload }) => this.#crashed(payload))
    const topics = [...this.#sourceOf.keys()]
    try {
      await consumer.connect()
      await consumer.subscribe({ topics, fromBeginning: true })
      // Batches go to the hooks; kafkajs only insists on having a handler.
      await consumer.run({ autoCommit: false, eachBatchAutoResolve: false, eachBatch: async () => {} })
    } catch (error) {
      throw kafkaError(error, `joining group ${this.#parts.plan.group} for ${topics.join(', ')}`)
    }
    await this.#joinedOnce.promise
  }

  stop(): Promise<void> {
    this.#stopping ??= this.#stop()
    return this.#stopping
  }

  #consumerConfig() {
    const { plan } = this.#parts
    const options = this.#options
    return {
      groupId: plan.group,
      sessionTimeout: plan.sessionTimeoutMs,
      rebalanceTimeout: options.rebalanceTimeoutMs,
      heartbeatInterval: options.heartbeatIntervalMs,
      maxWaitTimeInMs: options.fetchWaitMs,
      maxBytes: options.fetchBytesMax,
      maxBytesPerPartition: options.fetchPartitionBytesMax,
      metadataMaxAge: options.metadataAgeMaxMs,
      allowAutoTopicCreation: false,
      retry: { restartOnFailure: async () => this.#stopping === null },
    }
  }

  /** Only speeds the first join up: without it the group waits for the dead until their session ends. */
  async #dismissPredecessors({ cluster }: JoiningMember): Promise<void> {
    const { plan, log } = this.#parts
    if (plan.instance === null) return
    try {
      const dismissed = await dismissPredecessors(cluster, plan.group, plan.clientId)
      if (dismissed > 0)
        log.info({ group: plan.group, instance: plan.instance, dismissed }, 'dismissed a dead predecessor')
    } catch (error) {
      log.info({ group: plan.group, error: String(error) }, 'could not look for a dead predecessor')
    }
  }

  #hooks(): ConsumerHooks {
    return {
      beforeJoin: async (group) => {
        this.#group = group
        if (this.#generations === 0) await this.#dismissPredecessors(group)
        await this.#revoke()
      },
      fetched: (batch, resolve) => {
        const stream = this.#generation?.stream(batch.topic, batch.partition)
        const next = stream?.accept(batch) ?? null
        if (next !== null) resolve(next)
      },
      offsetOutOfRange: (topic, partition) => void this.#generation?.stream(topic, partition)?.outOfRange(),
    }
  }

  /** Runs inside the join, before anything of the new generation is fetched. */
  #joined({ memberAssignment, memberId }: ConsumerGroupJoinEvent['payload']): void {
    const { client, log } = this.#parts
    const group = this.#group
    if (this.#stopping || !group) return
    this.#generation?.end()
    const inputs = Object.entries(memberAssignment).flatMap(([topic, partitions]) =>
      partitions.map((partition) => ({ source: this.#sourceOf.get(topic) ?? topic, topic, partition })),
    )
    group.pause(Object.entries(memberAssignment).map(([topic, partitions]) => ({ topic, partitions })))
    const generation = new Generation({
      number: ++this.#generations,
      group,
      inputs,
      limits: limitsOf(this.#options, inputs.length),
      log: client.admin,
      clock: this.#parts.clock,
    })
    this.#generation = generation
    void this.#keepSession(group, generation.ended)
    log.info(
      { group: this.#parts.plan.group, memberId, assignment: generation.number, partitions: inputs.length },
      'joined the group',
    )
    this.#handler?.assigned(generation.streams)
    this.#joinedOnce.resolve()
  }

  /** Once per generation: tells the handler, waits within the deadline, ends the streams. */
  async #revoke(): Promise<void> {
    const generation = this.#generation
    if (!generation || generation.isOver) return
    generation.revocation ??= this.#finish(generation)
    await generation.revocation
  }

  async #finish(generation: Generation): Promise<void> {
    const { clock, log } = this.#parts
    generation.heartbeats.end(new DOMException('the group is rebalancing', 'AbortError'))
    try {
      const finished = Promise.resolve(this.#handler?.revoking())
      await withTimeout(finished, this.#options.revokeDeadlineMs, clock, 'revoking')
    } catch (error) {
      log.warn(
        { assignment: generation.number, error: textOf(error) },
        'partitions were revoked with work still open',
      )
    } finally {
      generation.end()
    }
  }

  /**
   * kafkajs asks for heartbeats only between fetches: not while it waits for metadata, nor while a join waits. Then the
   * coordinator answers REBALANCE_IN_PROGRESS and counts them all the same, so the member is not thrown out before it
   * has finished.
   */
  async #keepSession(group: GroupControl, signal: AbortSignal): Promise<void> {
    const interval = this.#options.heartbeatIntervalMs
    while (!signal.aborted) {
      await this.#parts.clock.sleep(interval, signal).catch(() => {}) // the generation is over
      if (!signal.aborted) await group.heartbeat({ interval }).catch(() => {}) // the next fetch gets the same answer
    }
  }

  #crashed({ error, restart }: ConsumerCrashEvent['payload']): void {
    const { log, plan } = this.#parts
    if (this.#stopping) return
    if (restart) {
      log.warn(
        { group: plan.group, error: textOf(error) },
        'the Kafka consumer left its group and starts again',
      )
      void this.#revoke()
      return
    }
    this.#generation?.end()
    const crash = new MillraceError(
      'KAFKA_CONSUMER_CRASHED',
      `the consumer of group ${plan.group} stopped for good: ${textOf(error)}`,
      { cause: error },
    )
    this.#joinedOnce.reject(crash)
    this.#handler?.crashed(crash)
  }

  async #stop(): Promise<void> {
    const { clock, log, plan } = this.#parts
    await this.#revoke()
    try {
      await withTimeout(this.#consumer.disconnect(), this.#options.stopDeadlineMs, clock, 'leaving the group')
    } catch (error) {
      log.warn(
        { group: plan.group, error: textOf(error) },
        'left the group without saying so; its session will time out',
      )
    }
    this.#joinedOnce.reject(new DOMException('the source was stopped', 'AbortError'))
  }
}

/** What one of so many partitions may queue. */
export function limitsOf(
  { queuedRowsMax, queuedBytesMax }: Pick<KafkaSourceOptions, 'queuedRowsMax' | 'queuedBytesMax'>,
  partitions: number,
): StreamLimits {
  return { queuedRowsMax, queuedBytesMax: queuedBytesMax / Math.max(1, partitions) }
}
