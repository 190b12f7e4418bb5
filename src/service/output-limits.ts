import type { KafkaAdmin, TopicDescription } from '../kafka/admin.ts'
import type { OutputRecord } from '../record/output.ts'
import { aloneBytes, defaultBatchBytesMax } from '../record/size.ts'
import type { Log } from '../telemetry/log.ts'

export interface OutputLimitsOptions {
  readonly admin: Pick<KafkaAdmin, 'describeTopics'>
  readonly outputs: readonly string[]
  readonly log: Log
}

/** What the output topics take, as they said at start, and again after one refused something. */
export class OutputLimits {
  /** Bytes of a record batch, by topic. */
  readonly bytesMax: Map<string, number>
  readonly #options: OutputLimitsOptions

  constructor(described: readonly TopicDescription[], options: OutputLimitsOptions) {
    this.#options = options
    this.bytesMax = new Map()
    this.#take(described.filter(({ topic }) => options.outputs.includes(topic)))
  }

  /** What every output topic takes. */
  get smallest(): number {
    return Math.min(...this.bytesMax.values())
  }

  /**
   * A topic refused one of these for its size. Either it takes less than before, which it tells; or it takes less than it
   * tells, and then the largest of these does not fit. Each call makes a limit smaller, so it ends.
   */
  async refused(refused: readonly OutputRecord[]): Promise<void> {
    const { admin, outputs, log } = this.#options
    const before = new Map(this.bytesMax)
    this.#take(await admin.describeTopics(outputs))
    const lowered = outputs.some((topic) => (this.bytesMax.get(topic) ?? 0) < (before.get(topic) ?? 0))
    if (!lowered) {
      // What was learnt that way before stays: the topic tells the same as ever.
      for (const [topic, bytes] of before) this.bytesMax.set(topic, bytes)
      const largest = refused.toSorted((a, b) => aloneBytes(b) - aloneBytes(a))[0]
      if (largest !== undefined) this.bytesMax.set(largest.topic, aloneBytes(largest) - 1)
    }
    log.warn({ bytesMax: Object.fromEntries(this.bytesMax) }, 'an output topic refused a record for its size')
  }

  #take(described: readonly TopicDescription[]): void {
    for (const topic of described) this.bytesMax.set(topic.topic, batchBytesTaken(topic))
  }
}

/** Largest record batch that a topic takes; Kafka's default where it does not tell. */
export function batchBytesTaken({ maxMessageBytes, segmentBytes }: TopicDescription): number {
  const told = [maxMessageBytes, segmentBytes].filter((bytes) => bytes > 0)
  return told.length === 0 ? defaultBatchBytesMax : Math.min(...told)
}
