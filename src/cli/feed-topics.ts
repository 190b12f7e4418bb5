import type { PlainRecord } from '../kafka/plain-producer.ts'
import type { Feed } from '../simulator/feed.ts'
import type { SimulatedRecord } from '../simulator/simulation.ts'
import type { Clock } from '../time/clock.ts'

/** Where simulated records go: the plain Kafka producer, or a recording in tests. */
export interface RecordProducer {
  send(records: readonly PlainRecord[]): Promise<void>
}

export interface FeedTopics {
  readonly feed: Feed
  readonly producer: RecordProducer
  readonly clock: Clock
  readonly topics: { readonly transactions: string; readonly labels: string }
  /** Event time at which history ends and live traffic begins, epoch ms. */
  readonly startMs: number
  /** Live transactions to send; 0 ends after history, null never ends. */
  readonly liveMax: number | null
  /** After every send. */
  readonly onProgress?: (progress: FeedProgress) => void
}

export interface FeedProgress {
  readonly phase: 'history' | 'live'
  readonly transactions: number
  readonly labels: number
  /** Event time reached, epoch ms. */
  readonly reachedMs: number
}

/** About 150 bytes a record: a send of history stays well below a megabyte per partition. */
const historyRowsMax = 4_000
/** Records leave at most this long after their time; at 50/s and less each goes alone. */
const tickMs = 10

/**
 * Sends history as fast as Kafka takes it, then live records when their time has come. A live record carries the time
 * at which it was due, not at which it was sent: when the producer is held up, measured latencies include it.
 */
export async function feedTopics(options: FeedTopics, signal: AbortSignal): Promise<FeedProgress> {
  const { feed, clock, startMs, liveMax } = options
  let progress: FeedProgress = { phase: 'history', transactions: 0, labels: 0, reachedMs: -Infinity }
  let liveLeft = liveMax ?? Infinity
  while (!signal.aborted) {
    const live = feed.nextMs() >= startMs
    if (live && liveLeft <= 0) break
    const untilMs = live ? clock.now() : startMs - 1
    const records = feed.takeUntil(untilMs, live ? Math.min(historyRowsMax, liveLeft) : historyRowsMax)
    if (records.length === 0) {
      await pause(clock, signal)
      continue
    }
    await untilAborted(
      options.producer.send(records.map((record) => toPlain(record, options.topics))),
      signal,
    )
    progress = advance(progress, records, live)
    if (live) liveLeft -= records.filter(({ kind }) => kind === 'transaction').length
    options.onProgress?.(progress)
  }
  return progress
}

function advance(before: FeedProgress, records: readonly SimulatedRecord[], live: boolean): FeedProgress {
  const transactions = records.filter(({ kind }) => kind === 'transaction').length
  return {
    phase: live ? 'live' : 'history',
    transactions: before.transactions + transactions,
    labels: before.labels + records.length - transactions,
    reachedMs: records[records.length - 1]!.timestampMs,
  }
}

export function toPlain(record: SimulatedRecord, topics: FeedTopics['topics']): PlainRecord {
  return {
    topic: record.kind === 'transaction' ? topics.transactions : topics.labels,
    key: record.key,
    value: JSON.stringify(record.value),
    timestampMs: record.timestampMs,
  }
}

async function pause(clock: Clock, signal: AbortSignal): Promise<void> {
  await clock.sleep(tickMs, signal).catch((error: unknown) => {
    if (!signal.aborted) throw error
  })
}

/** Waits for `work`, or only until the signal aborts: a send retries for as long as Kafka is away. */
async function untilAborted(work: Promise<void>, signal: AbortSignal): Promise<void> {
  const aborted = Promise.withResolvers<void>()
  const listener = () => aborted.resolve()
  signal.addEventListener('abort', listener, { once: true })
  try {
    await Promise.race([work, aborted.promise])
  } finally {
    signal.removeEventListener('abort', listener)
    work.catch(() => {}) // after an abort nobody waits for its failure
  }
}
