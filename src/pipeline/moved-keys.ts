import { MillraceError } from '../errors.ts'
import type { RawRecord } from '../record/raw-record.ts'
import { partitionOfKey } from '../sink/murmur2.ts'
import { withTimeout } from '../time/deadline.ts'
import { untilAborted } from '../time/until-aborted.ts'
import type { PartitionSetup } from './partition-context.ts'
import { keysMustStay } from './takeover-facts.ts'

/** Between two looks at the topics while keys lie where Kafka's default partitioner would not put them. */
const lookEveryMs = 1_000
/** Where keys are always misplaced, a broker that does not answer may not hold up every slice. */
const lookMaxMs = 500

/**
 * Notices that a topic has grown by the first key that came here because of it, before its events are scored without
 * their past: the regular look at the topics comes only every 10 s. Where producers choose partitions in another way than
 * Java's default, every slice has such keys, and the topics are looked at once a second.
 */
export class MovedKeys {
  readonly #setup: PartitionSetup
  readonly #partitions: number
  readonly #matters: boolean
  /** Monotonic ms of the last look that found nothing new; null: none was needed yet. */
  #lookedAt: number | null = null

  /** `partitions`: of the topic when this one was taken over. */
  constructor(setup: PartitionSetup, partitions: number) {
    this.#setup = setup
    this.#partitions = partitions
    this.#matters = partitions > 0 && keysMustStay(setup.shared.plan, setup.source)
  }

  /** Throws TOPIC_CHANGED when a key of the records may have been in another partition before. */
  async refuse(records: readonly RawRecord[], signal: AbortSignal): Promise<void> {
    if (!this.#matters || !records.some((record) => this.#isMisplaced(record))) return
    const { clock } = this.#setup.shared
    if (this.#lookedAt !== null && clock.monotonic() - this.#lookedAt < lookEveryMs) return
    const seen = await this.#look(signal)
    if (seen <= this.#partitions) {
      this.#lookedAt = clock.monotonic()
      return
    }
    const { topic } = this.#setup.input
    throw new MillraceError(
      'TOPIC_CHANGED',
      `topic ${topic} has ${seen} partitions now, before ${this.#partitions}`,
    )
  }

  #isMisplaced({ key }: RawRecord): boolean {
    return key !== null && partitionOfKey(key, this.#partitions) !== this.#setup.input.partition
  }

  async #look(signal: AbortSignal): Promise<number> {
    const { shared, input } = this.#setup
    try {
      const looked = untilAborted(shared.topics.look(signal), signal)
      const lives = await (this.#lookedAt === null
        ? looked
        : withTimeout(looked, lookMaxMs, shared.clock, 'the look at the topics'))
      return lives.get(input.topic)?.partitions ?? 0
    } catch (error) {
      // Keys that are always misplaced say nothing: the regular look meets the same trouble and reports it.
      if (signal.aborted || this.#lookedAt === null) throw error
      return 0
    }
  }
}
