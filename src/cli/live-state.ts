import type { Reason, Severity } from '../record/prediction.ts'

/** What the live view shows, gathered by the command that runs the service. All numbers are of this process. */
export interface LiveState {
  /** Name of the topology. */
  readonly name: string
  /** What it is doing, in words: `starting`, `reading 40 days of history`, `live`. */
  readonly phase: string
  readonly upMs: number
  /** Scored events of each past second, oldest first. */
  readonly eventsPerSecond: readonly number[]
  /** Record timestamp to acknowledged commit, over the last seconds; null: nothing scored. */
  readonly latency: { readonly p50Ms: number; readonly p99Ms: number } | null
  readonly partitions: readonly LivePartition[]
  readonly totals: { readonly predictions: number; readonly alerts: number; readonly deadLetters: number }
  /** Newest first. */
  readonly alerts: readonly LiveAlert[]
  readonly kafka: LiveSystem
  readonly redis: LiveSystem
  /** What can be pressed: `['q', 'quit']`. */
  readonly keys: readonly (readonly [key: string, does: string])[]
}

export interface LivePartition {
  readonly topic: string
  readonly partition: number
  /** `serving`, `replaying`, `paused`, …: the word the service uses. */
  readonly status: string
  /** Null while unknown. */
  readonly lagRecords: number | null
  readonly lagMs: number | null
}

export interface LiveAlert {
  /** When the event happened, epoch ms. */
  readonly occurredAt: number
  readonly id: string
  readonly key: string
  readonly score: number
  readonly severity: Severity
  readonly rules: readonly string[]
  readonly reasons: readonly Reason[]
}

export interface LiveSystem {
  readonly ok: boolean
  /** Address, or what is wrong. */
  readonly detail: string
}
