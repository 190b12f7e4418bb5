import { MillraceError } from '../errors.ts'
import type { RawRecord } from '../record/raw-record.ts'
import { partitionOfKey } from '../sink/murmur2.ts'
import type { PartitionSetup } from './partition-context.ts'
import { keysMustStay } from './takeover-facts.ts'

/** Between two looks at the topics while keys lie where Kafka's default partitioner would not put them. */
const lookEveryMs = 1_000

/**
 * Notices that a topic has grown by the first key that came here because of it, before its events are scored without
 * their past: the regular look at the topics comes only every 10 s. Producers that choose partitions in another way than
 * Java's default cause a look every second, off the path of the records.
 */
export class MovedKeys {
  readonly #setup: PartitionSetup
  readonly #partitions: number
  readonly #matters: boolean
  #lookedAt: number | null = null
  #seen: number

  /** `partitions`: of the topic when this one was taken over. */
  constructor(setup: PartitionSetup, partitions: number) {
    this.#setup = setup
    this.#partitions = partitions
    this.#seen = partitions
    this.#matters = partitions > 0 && keysMustStay(setup.shared.plan, setup.source)
  }

  /** Throws TOPIC_CHANGED when a key of the records may have been in another partition before. */
  async refuse(records: readonly RawRecord[], signal: AbortSignal): Promise<void> {
    if (!this.#matters || !records.some((record) => this.#isMisplaced(record))) return
    const now = this.#setup.shared.clock.monotonic()
    if (this.#lookedAt === null) {
      this.#lookedAt = now
      await this.#look(signal)
    } else if (now - this.#lookedAt >= lookEveryMs) {
      this.#lookedAt = now
      void this.#look(signal).catch(() => undefined) // the regular look meets the same trouble and reports it
    }
    if (this.#seen <= this.#partitions) return
    const { topic } = this.#setup.input
    throw new MillraceError(
      'TOPIC_CHANGED',
      `topic ${topic} has ${this.#seen} partitions now, before ${this.#partitions}`,
    )
  }

  #isMisplaced({ key }: RawRecord): boolean {
    return key !== null && partitionOfKey(key, this.#partitions) !== this.#setup.input.partition
  }

  async #look(signal: AbortSignal): Promise<void> {
    const lives = await this.#setup.shared.topics.look(signal)
    this.#seen = lives.get(this.#setup.input.topic)?.partitions ?? this.#seen
  }
}
