import { MillraceError } from '../errors.ts'
import { refuseCompacted, type KafkaAdmin } from '../kafka/admin.ts'
import { textOf } from '../kafka/errors.ts'
import type { PartitionOf } from '../kafka/log-ends.ts'
import type { LogEnds, TopicLives, TopicPort } from '../pipeline/topic-life.ts'
import { partitionOf } from '../record/input.ts'
import type { Log } from '../telemetry/log.ts'
import type { Clock } from '../time/clock.ts'
import { SharedAsk } from './shared-ask.ts'

export interface TopicWatchOptions {
  readonly admin: Pick<
    KafkaAdmin,
    'topicLives' | 'topicIds' | 'groupOffsets' | 'describeTopics' | 'logRange' | 'logEnds'
  >
  readonly group: string
  /** Source topics. */
  readonly topics: readonly string[]
  /** Topics that are only counted: outputs go to the partition of their input where the numbers are equal. */
  readonly outputs: readonly string[]
  /** Kept up to date with every look. */
  readonly partitionCounts: Map<string, number>
  readonly clock: Clock
  readonly log: Log
}

/** Between two looks while nothing is taken over: two small requests for all sources together. */
export const lookIntervalMs = 10_000
/** A broker that has just started may not know a topic yet; a script that recreates one needs a moment. */
const missingLooksMax = 3

interface Listener {
  readonly taken: TopicLives
  readonly topic: string
  readonly tell: (error: Error) => void
}

/** Asks the cluster about the source topics: at takeovers, and from time to time. */
export class TopicWatch implements TopicPort {
  readonly #options: TopicWatchOptions
  readonly #listeners = new Set<Listener>()
  readonly #lives = new SharedAsk(() => this.#request())
  readonly #ends = new SharedAsk(() => this.#options.admin.logEnds([...this.#endsOf.values()]))
  /** Whose ends anybody asked for: all are asked for together. */
  readonly #endsOf = new Map<string, PartitionOf>()
  #missingLooks = 0

  constructor(options: TopicWatchOptions) {
    this.#options = options
  }

  async look(signal: AbortSignal): Promise<TopicLives> {
    signal.throwIfAborted()
    const lives = await this.#lives.ask()
    signal.throwIfAborted()
    const missing = this.#missing(lives)
    if (missing.length > 0)
      throw new MillraceError('KAFKA_TOPIC_GONE', `${missing.join(', ')}: no such topic`)
    return lives
  }

  positions(topic: string): ReturnType<TopicPort['positions']> {
    return this.#options.admin.groupOffsets(this.#options.group, topic)
  }

  async logEnd(topic: string, partition: number): Promise<number> {
    return (await this.#options.admin.logRange(topic, partition)).end
  }

  logEnds(inputs: readonly string[]): Promise<LogEnds> {
    for (const input of inputs) this.#endsOf.set(input, partitionOf(input))
    return this.#ends.ask()
  }

  watch(taken: TopicLives, topic: string, tell: (error: Error) => void): () => void {
    const listener = { taken, topic, tell }
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  async agreedId(topic: string, signal: AbortSignal): Promise<string | null> {
    signal.throwIfAborted()
    const ids = await this.#options.admin.topicIds(topic)
    signal.throwIfAborted()
    const votes = Map.groupBy(ids, (id) => id)
    for (const [id, { length }] of votes) if (length * 2 > ids.length) return id
    if (ids.length === 0) return null
    throw new MillraceError(
      'KAFKA_TOPIC_UNSETTLED',
      `brokers tell different ids of topic ${topic}: ${[...votes.keys()].join(', ')}`,
    )
  }

  /** Looks until aborted. Rejects with what must stop the process: a topic that is gone for good, or compacted. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, log } = this.#options
    while (!signal.aborted) {
      await clock.sleep(lookIntervalMs, signal).catch(() => undefined) // aborted
      try {
        await this.#lookAround(signal)
      } catch (error) {
        if (signal.aborted) return
        if (error instanceof MillraceError && error.code === 'KAFKA_TOPIC_COMPACTED') throw error
        log.debug({ error: textOf(error) }, 'could not look at the source topics')
      }
      if (this.#missingLooks >= missingLooksMax) throw this.#gone()
    }
  }

  async #lookAround(signal: AbortSignal): Promise<void> {
    const { admin, topics, log } = this.#options
    const lives = await this.#lives.ask()
    const missing = this.#missing(lives)
    this.#missingLooks = missing.length === 0 ? 0 : this.#missingLooks + 1
    if (missing.length > 0) log.warn({ topics: missing }, 'a source topic does not exist any more')
    for (const listener of this.#listeners) await this.#compare(listener, lives, signal)
    if (missing.length === 0) refuseCompacted(await admin.describeTopics(topics))
  }

  #gone(): MillraceError {
    const missingMs = (missingLooksMax - 1) * lookIntervalMs
    return new MillraceError(
      'KAFKA_TOPIC_MISSING',
      `a source topic was deleted (${this.#options.topics.join(', ')}), and for ${missingMs / 1000} s nobody created it again`,
    )
  }

  #missing(lives: TopicLives): readonly string[] {
    return this.#options.topics.filter((topic) => !lives.has(topic))
  }

  async #request(): Promise<TopicLives> {
    const { admin, topics, outputs, partitionCounts } = this.#options
    const lives = await admin.topicLives([...topics, ...outputs])
    for (const [topic, { partitions }] of lives) partitionCounts.set(topic, partitions)
    return lives
  }

  async #compare(listener: Listener, lives: TopicLives, signal: AbortSignal): Promise<void> {
    const { topics } = this.#options
    const error = (await this.#recreated(listener, lives, signal)) ?? grown(topics, listener.taken, lives)
    if (error !== null && this.#listeners.delete(listener)) listener.tell(error)
  }

  async #recreated(
    { taken, topic }: Listener,
    lives: TopicLives,
    signal: AbortSignal,
  ): Promise<MillraceError | null> {
    const before = taken.get(topic)?.id
    const seen = lives.get(topic)?.id
    if (!before || !seen || before === seen) return null
    const now = await this.agreedId(topic, signal)
    if (now === null || now === before) return null
    return new MillraceError(
      'TOPIC_CHANGED',
      `topic ${topic} was deleted and created again while it was served: its id was ${before} and is ${now}`,
    )
  }
}

function grown(topics: readonly string[], taken: TopicLives, lives: TopicLives): MillraceError | null {
  for (const topic of topics) {
    const [before, now] = [taken.get(topic)?.partitions ?? 0, lives.get(topic)?.partitions ?? 0]
    if (now > before) {
      return new MillraceError('TOPIC_CHANGED', `topic ${topic} has ${now} partitions now, before ${before}`)
    }
  }
  return null
}
