import { systemClock } from '../../src/time/system-clock.ts'
import type { Kafka, Producer } from 'kafkajs'
import { Partitioners } from '../../src/kafka/kafkajs.ts'
import { message, type LoggedInput } from '../support/card-world.ts'
import type { CardTopics } from '../support/service-topology.ts'
import { CardTraffic, type InputRecord, type TrafficOptions } from '../support/service-records.ts'
import type { RefereeRecord } from '../support/referee.ts'

/** Names a record in the source log, whatever the producer's retries made of it. */
const numberHeader = 'x-number'
const tickMs = 50

/** Writes card events at a steady rate until stopped. What really is in the log is read back from there. */
export class SteadyTraffic {
  readonly #traffic: CardTraffic
  readonly #topics: CardTopics
  readonly #producer: Producer
  readonly #stop = new AbortController()
  readonly #records: InputRecord[] = []
  /** Labels kept back; null: none are. */
  #held: InputRecord[] | null = null
  readonly #ends = new Map<string, number>()
  readonly #togetherMax: number
  #rate: number
  #running: Promise<void> | null = null
  #writing: Promise<void> = Promise.resolve()
  /** Requests that failed after all retries; their records may be in the log or not. */
  failures = 0

  constructor(kafka: Kafka, topics: CardTopics, rate: number, options: TrafficOptions) {
    this.#traffic = new CardTraffic(options)
    this.#topics = topics
    this.#rate = rate
    // A label must be in its log before the transactions that need it are in theirs: some four days of events later.
    this.#togetherMax = options.labels ? 20 : 1_000
    // Not idempotent: a broker fault may then write a batch twice, which is an input like any other.
    this.#producer = kafka.producer({
      createPartitioner: Partitioners.DefaultPartitioner,
      retry: { initialRetryTime: 50, maxRetryTime: 1_000, retries: 20 },
    })
  }

  async open(): Promise<void> {
    await this.#producer.connect()
    this.#running = this.#run()
  }

  /** Records per second from now on. */
  set rate(rate: number) {
    this.#rate = rate
  }
  get rate(): number {
    return this.#rate
  }

  /** Ends of the source partitions as far as acknowledged, by `topic:partition`. */
  get ends(): ReadonlyMap<string, number> {
    return this.#ends
  }
  get written(): number {
    return this.#records.length
  }

  /** Writes nothing more, and waits for what is on its way. */
  async stop(): Promise<void> {
    this.#stop.abort()
    await this.#running
    await this.releaseLabels()
    await this.#writing
  }

  async close(): Promise<void> {
    await this.stop()
    await this.#producer.disconnect().catch(() => undefined)
  }

  /** Appends records of the scenario's own, besides the steady ones. */
  write(records: readonly InputRecord[]): Promise<void> {
    const done = this.#writing.then(() => this.#send(records))
    this.#writing = done.catch(() => undefined)
    return done
  }
  /** Keeps labels back from now on; they are as late as `releaseLabels` comes. */
  holdLabels(): void {
    this.#held = []
  }
  async releaseLabels(): Promise<void> {
    const labels = this.#held ?? []
    this.#held = null
    if (labels.length > 0) await this.write(labels)
  }
  /** Appends the next `count` events at once. */
  burst(count: number): Promise<void> {
    return this.write(this.#traffic.next(count))
  }
  /** An event as the traffic would make it now, with fields replaced. */
  one(fields: Parameters<CardTraffic['one']>[0]): InputRecord {
    return this.#traffic.one(fields)
  }

  async #run(): Promise<void> {
    const startedAt = systemClock.monotonic()
    let due = 0
    let at = startedAt
    while (!this.#stop.signal.aborted) {
      await systemClock.sleep(tickMs, this.#stop.signal).catch(() => undefined)
      const now = systemClock.monotonic()
      due += ((now - at) * this.#rate) / 1000
      at = now
      const count = Math.floor(due)
      due -= count
      // Behind a slow broker the records of several ticks go out one after the other.
      for (let left = count; left > 0; left -= this.#togetherMax) {
        const some = this.#traffic.next(Math.min(left, this.#togetherMax))
        await this.write(some).catch(() => void this.failures++)
      }
    }
  }

  async #send(given: readonly InputRecord[]): Promise<void> {
    const isHeld = ({ source }: InputRecord): boolean => this.#held !== null && source === 'labels'
    this.#held?.push(...given.filter(isHeld))
    const records = given.filter((record) => !isHeld(record))
    if (records.length === 0) return
    const numbered = records.map((record) => {
      const headers = { ...record.headers, [numberHeader]: String(this.#records.length) }
      this.#records.push(record)
      return { ...record, headers }
    })
    const bySource = Map.groupBy(numbered, ({ source }) => source)
    const topicMessages = [...bySource].map(([source, some]) => ({
      topic: this.#topics[source],
      messages: some.map(message),
    }))
    const answers = await this.#producer.sendBatch({ topicMessages, acks: -1, timeout: 5_000 })
    for (const { topicName, partition, baseOffset } of answers) {
      const count = numbered.filter(
        (one) => this.#topics[one.source] === topicName && one.partition === partition,
      ).length
      this.#ends.set(`${topicName}:${partition}`, Number(baseOffset ?? 0) + count)
    }
  }

  /** Records of a source log, with what the service must make of each. */
  logged(read: readonly RefereeRecord[]): LoggedInput[] {
    return read.map(({ topic, partition, offset, headers }) => {
      const record = this.#records[Number(headers[numberHeader])]
      if (record === undefined) throw new Error(`${topic}:${partition}:${offset} is not of this traffic`)
      return { ...record, topic, offset }
    })
  }
}
