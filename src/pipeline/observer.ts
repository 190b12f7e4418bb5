import type { InputPartition } from '../record/input.ts'
import type { RejectReason } from '../record/event.ts'
import type { Alert } from '../record/prediction.ts'
import type { PartitionStatus } from './partition-status.ts'

export interface CommittedSlice {
  readonly input: InputPartition
  readonly records: number
  readonly predictions: number
  readonly alerts: readonly Alert[]
  readonly rejects: readonly { readonly reason: RejectReason }[]
  readonly flagged: ReadonlyMap<string, number>
  /** Of each unaligned prediction: offsets that the partition furthest behind had not read. */
  readonly behind: readonly number[]
  /** Record timestamps (epoch ms) of the scored events, for end-to-end latency at `acknowledgedAt`. */
  readonly timestamps: Float64Array
  readonly acknowledgedAt: number
  readonly durationsMs: {
    readonly decode: number
    readonly feature: number
    readonly queue: number
    readonly encode: number
    readonly commit: number
  }
}

/** What the pipeline tells the outside: metrics, log and live view hang here. Must not throw. */
export interface PipelineObserver {
  status(input: InputPartition, status: PartitionStatus, detail: string): void
  taken(input: InputPartition, records: number): void
  committed(slice: CommittedSlice): void
  transactionFailed(input: InputPartition, result: 'fenced' | 'aborted'): void
  flushed(input: InputPartition, offset: number, changes: number, durationMs: number): void
  /** An expression is in error on an event; counted when it runs, so again after a takeover. */
  expressionFailed(input: InputPartition, place: string, message: string): void
  /** A start, an incarnation or accepted partitions are about to be committed, for this reason. */
  begun(input: InputPartition, reason: string): void
  /** A watermark in the store was not the expected one. */
  rewound(input: InputPartition): void
  trouble(input: InputPartition, error: unknown): void
}
