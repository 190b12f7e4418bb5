import type { Decoder } from '../decode/decoder.ts'
import type { SourcePlan } from '../decode/plan.ts'
import type { FeatureStore } from '../features/store.ts'
import type { InputPartition } from '../record/input.ts'
import type { OutputRecord } from '../record/output.ts'
import type { Alert, Prediction } from '../record/prediction.ts'
import type { RawRecord } from '../record/raw-record.ts'
import type { Reject } from '../record/event.ts'
import type { Scorer } from '../model/scorer.ts'
import type { TransactionPort } from '../commit/transaction.ts'
import type { Clock } from '../time/clock.ts'
import type { Plan } from '../topology/plan.ts'
import type { PipelineObserver } from './observer.ts'
import type { TopicPort } from './topic-life.ts'
import type { ProcessTrials } from './process-trials.ts'

/** Rows of several partitions scored together. */
export interface Batching {
  /** False: partitions stop taking records until rows were scored. */
  readonly hasRoom: boolean
  room(signal: AbortSignal): Promise<void>
  /** Scores n rows, which must stay as they are; `failures` names the rows the model failed on. */
  score(
    rows: Float32Array,
    n: number,
    signal: AbortSignal,
  ): Promise<{ readonly scores: Float64Array; readonly failures: ReadonlyMap<number, string> | null }>
}

/** Objects → records with topic and partition; a reject when one cannot be encoded. */
export interface Outlet {
  prediction(prediction: Prediction, raw: RawRecord): OutputRecord | Reject
  alert(alert: Alert, raw: RawRecord): OutputRecord | Reject
  deadLetter(reject: Reject, attempts: number): OutputRecord
}

/** What following a log and keeping its state takes; a process that serves has more. */
export interface StateShared {
  readonly plan: Plan
  readonly store: FeatureStore
  readonly topics: TopicPort
  readonly clock: Clock
  readonly observer: Pick<PipelineObserver, 'flushed' | 'expressionFailed'>
  readonly clusterId: string
  /** Partition counts of the source topics, by topic; as of the last look at the topics. */
  readonly partitionCounts: ReadonlyMap<string, number>
  /** Identities of incarnations and builds: 8 random hex characters. */
  readonly newIdentity: () => string
}

/** What all partition tasks of a process share. */
export interface Shared extends StateShared {
  readonly transactions: TransactionPort
  readonly scorer: Scorer
  readonly batching: Batching
  readonly outlet: Outlet
  readonly observer: PipelineObserver
  /** Slices that may be decoded, applied and scored while an earlier one commits. */
  readonly depth: number
}

/** What belongs to one input partition. */
export interface StateSetup {
  readonly shared: StateShared
  readonly source: SourcePlan
  readonly decoder: Decoder
  readonly input: InputPartition
  readonly trials: Pick<ProcessTrials, 'turns'>
}

export interface PartitionSetup extends StateSetup {
  readonly shared: Shared
  readonly trials: ProcessTrials
}

export function sourceOf(plan: Plan, name: string): SourcePlan {
  const source = plan.sources.find((candidate) => candidate.name === name)
  if (source === undefined) throw new Error(`no source ${name}`)
  return source
}

export function scoredSource(plan: Plan): SourcePlan {
  return sourceOf(plan, plan.featuresSpec.scored)
}

/** Lateness of a source, ms: how far behind its watermark an event may be and still count. */
export function latenessMs(source: SourcePlan, horizonMs: number): number {
  return source.allowedLatenessMs ?? horizonMs
}

/** How long the store keeps what is written, ms: horizon + lateness + the longest outage. */
export function keptForMs(plan: Plan): number {
  const scored = scoredSource(plan)
  const { horizonMs } = plan.features
  return scored.outOfOrderMs + horizonMs + latenessMs(scored, horizonMs) + plan.store.outageMaxMs
}

/** outOfOrder + horizon + lateness: what is older than the largest event time by more is invisible to every reader. */
export function visibleSpanMs(plan: Plan): number {
  const scored = scoredSource(plan)
  return (
    Math.max(...plan.sources.map((source) => source.outOfOrderMs)) +
    plan.features.horizonMs +
    latenessMs(scored, plan.features.horizonMs)
  )
}
