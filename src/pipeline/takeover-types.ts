import type { CommittedPosition } from '../commit/transaction.ts'
import type { TopicLife } from '../kafka/topic-metadata.ts'
import type { LogRange } from '../source/source.ts'
import type { Anchor, CommitMetadata } from './metadata.ts'

/** Everything a takeover decides from, read in this order: claim, topics, position, log range, watermarks. */
export interface TakeoverFacts {
  readonly name: string
  readonly partition: number
  readonly topic: TopicLife
  /** Commits in the other partitions of the topic; may be left out where the own one knows the number of partitions. */
  readonly siblings: readonly CommitMetadata[]
  /** Incarnations that Redis remembers of any partition of the topic. */
  readonly remembered: readonly string[]
  readonly committed: CommittedPosition | null
  readonly log: LogRange
  /** Own watermark text by bucket; null: absent. */
  readonly watermarks: readonly (string | null)[]
  /** Smallest largest-event-time among the partitions that read what this one stores; null: some are unknown; Infinity: nobody else reads it. */
  readonly slowestReaderTime: number | null
  /** The same by what they committed: never less, asked only where the log no longer begins at the base. */
  readonly committedReaderTime?: number | null
  /** Record timestamp of the oldest record in the log; null: there is none, or `missesRecords` is false. */
  readonly oldestTimestamp: number | null
  /** Record timestamp of the first record that is not consumed, the present where there is none; absent: not known. */
  readonly nextTimestamp?: number | null
  /**
   * Event time that the parts this partition reads from others were kept for: a new incarnation may begin before it, and
   * then misses what was trimmed. null: it reads none, or nothing was trimmed.
   */
  readonly trimmedFor: number | null
  /**
   * Largest event time of what the partitions that are read stored at first and cannot rebuild any more; null: there is none.
   * Asked only where nothing is committed.
   */
  readonly forgottenTime?: number | null
  readonly nowMs: number
  readonly clusterId: string
  /** Set when a replay found the log to be another one. */
  readonly foreignLog: string | null
  /** The last commit that was acknowledged to this process; null: none. */
  readonly acknowledged: { readonly incarnation: string; readonly offset: number } | null
}

export interface TakeoverPolicy {
  readonly start: 'earliest' | 'latest' | { readonly offset: number }
  readonly stateHash: string
  readonly onForeignOffset: 'rebuild' | 'refuse'
  readonly onLogGone: 'refuse' | 'accept-gap'
  readonly onPartitionsAdded: 'refuse' | 'accept'
  /** Features see only what is in the event's own partition: a key that moves to another one loses its past. */
  readonly keysMustStay: boolean
  readonly outageMaxMs: number
  /** outOfOrder + horizon + lateness: events older than the largest event time by more are invisible. */
  readonly visibleSpanMs: number
  /** How far an event time may lie ahead of its record's timestamp. */
  readonly futureMaxMs: number
  readonly newIdentity: () => string
}

export interface BucketPlan {
  /** What the watermark in the store is now, to be replaced by compare-and-set. */
  readonly expected: string | null
  readonly build: string
  /** The store holds this bucket's state below this offset. */
  readonly offset: number
  /** True: nothing stored counts; the first write of each part replaces. */
  readonly rebuild: boolean
  readonly distanceMin: number | null
}

export type TakeoverPlan =
  /** Commit this metadata (pins start and incarnation) and decide again. */
  | { readonly kind: 'pin'; readonly metadata: CommitMetadata; readonly reason: string }
  /** The store is ahead of the committed offset: take over again; refuse if it persists. */
  | { readonly kind: 'again'; readonly reason: string }
  | {
      readonly kind: 'serve'
      readonly metadata: CommitMetadata
      /** Replay (state only) from here to metadata.offset, with this largest event time to begin with. */
      readonly replayFrom: Anchor
      readonly buckets: readonly BucketPlan[]
      readonly rebuilds: boolean
    }
