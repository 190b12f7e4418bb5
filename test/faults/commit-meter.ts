import type { Admin, Kafka } from 'kafkajs'
import { withTimeout } from '../../src/time/deadline.ts'
import { systemClock } from '../../src/time/system-clock.ts'

const pollEveryMs = 20
/** A broker that has not answered by then is the one under test. */
const answerMaxMs = 2_000
/** Longer than any fault that is measured. */
const historyMs = 180_000

interface Sample {
  readonly at: number
  readonly offset: number
}

/** Watches the committed offsets of a group from outside, some fifty times a second, and remembers when they moved. */
export class CommitMeter {
  readonly #kafka: Kafka
  readonly #group: string
  readonly #topics: readonly string[]
  readonly #ends: () => ReadonlyMap<string, number>
  readonly #history = new Map<string, Sample[]>()
  readonly #stop = new AbortController()
  #running: Promise<void> | null = null
  #admin: Admin | null = null
  #wake: (() => void)[] = []
  /** Monotonic ms of the last answer. */
  lookedAt = 0
  /** Monotonic ms of the first answer since the last one that did not come. */
  answeringSince = Infinity

  /** Records written and not committed, at each answer. */
  readonly #lags: { readonly at: number; readonly lag: number }[] = []

  /** `ends`: what is written, by `topic:partition`. */
  constructor(
    kafka: Kafka,
    group: string,
    topics: readonly string[],
    ends: () => ReadonlyMap<string, number>,
  ) {
    this.#kafka = kafka
    this.#group = group
    this.#topics = topics
    this.#ends = ends
  }

  open(): void {
    this.#running = this.#run()
  }

  async close(): Promise<void> {
    this.#stop.abort()
    await this.#running
    await this.#admin?.disconnect().catch(() => undefined)
  }

  /** Committed now, as far as known. */
  offset(place: string): number {
    return this.#history.get(place)?.at(-1)?.offset ?? 0
  }

  /** Committed at this monotonic time. */
  offsetAt(place: string, at: number): number {
    return this.#history.get(place)?.findLast((sample) => sample.at <= at)?.offset ?? 0
  }

  /** When the offset was first seen at or above `offset`; null: not yet. */
  reachedAt(place: string, offset: number): number | null {
    return this.#history.get(place)?.find((sample) => sample.offset >= offset)?.at ?? null
  }

  movedSince(place: string, at: number): boolean {
    return (this.#history.get(place)?.at(-1)?.at ?? 0) > at
  }

  /** Records written and not committed, as far as known. */
  get lag(): number {
    return this.#lags.at(-1)?.lag ?? Infinity
  }

  /** The first time from `from` on that the lag was at most `lag`; null: not yet. */
  lagBelowAt(lag: number, from: number): number | null {
    return this.#lags.find((sample) => sample.at >= from && sample.lag <= lag)?.at ?? null
  }

  /** Monotonic ms of the last progress seen. */
  movedAt(place: string): number {
    return this.#history.get(place)?.at(-1)?.at ?? -Infinity
  }

  /** Longest time without progress since `from` (monotonic ms), the one that goes on included, ms. */
  longestSilence(place: string, from: number): number {
    const history = this.#history.get(place) ?? []
    const before = history.findLastIndex(({ at }) => at <= from)
    const moments = history.slice(Math.max(0, before)).map(({ at }) => at)
    return Math.max(...moments.map((at, index) => (moments[index + 1] ?? systemClock.monotonic()) - at))
  }

  /** Waits for the next answer of the group's coordinator, or about a second. */
  async next(): Promise<void> {
    const waited = new AbortController()
    const answered = new Promise<void>((resolve) => this.#wake.push(resolve))
    await Promise.race([answered, systemClock.sleep(1_000, waited.signal).catch(() => undefined)])
    waited.abort()
  }

  async #run(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      try {
        this.#admin ??= await this.#connected()
        const askedAt = systemClock.monotonic()
        const request = { groupId: this.#group, topics: [...this.#topics] }
        const asking = this.#admin.fetchOffsets(request)
        const answer = await withTimeout(asking, answerMaxMs, systemClock, 'the question for offsets')
        for (const { topic, partitions } of answer) {
          for (const { partition, offset } of partitions) this.#note(`${topic}:${partition}`, Number(offset))
        }
        this.lookedAt = askedAt
        this.answeringSince = Math.min(this.answeringSince, askedAt)
        this.#noteLag()
        for (const wake of this.#wake.splice(0)) wake()
      } catch {
        this.answeringSince = Infinity
        // A new connection finds the next coordinator sooner than the old one's back-off.
        this.#admin?.disconnect().catch(() => undefined)
        this.#admin = null
      }
      await systemClock.sleep(pollEveryMs, this.#stop.signal).catch(() => undefined)
    }
  }

  #noteLag(): void {
    let lag = 0
    for (const [place, end] of this.#ends()) lag += Math.max(0, end - this.offset(place))
    const at = systemClock.monotonic()
    this.#lags.push({ at, lag })
    const keepFrom = this.#lags.findIndex((sample) => sample.at >= at - historyMs)
    if (keepFrom > 1_000) this.#lags.splice(0, keepFrom)
  }

  async #connected(): Promise<Admin> {
    const admin = this.#kafka.admin({ retry: { initialRetryTime: 50, maxRetryTime: 100, retries: 1 } })
    await withTimeout(admin.connect(), answerMaxMs, systemClock, 'connecting')
    return admin
  }

  #note(place: string, offset: number): void {
    const samples = this.#history.get(place)
    const now = systemClock.monotonic()
    if (samples === undefined) this.#history.set(place, [{ at: now, offset }])
    else if (samples.at(-1)?.offset !== offset) {
      samples.push({ at: now, offset })
      const keepFrom = samples.findLastIndex(({ at }) => at < now - historyMs)
      if (keepFrom > 0) samples.splice(0, keepFrom)
    }
  }
}
