import type { BatchPlan } from '../batch/plan.ts'
import type { DecidePlan } from '../decide/plan.ts'
import type { SourcePlan } from '../decode/plan.ts'
import type { FeaturesSpec } from '../features/spec.ts'
import type { CompiledFeatures } from '../features/compiled.ts'
import type { KafkaPlan } from '../kafka/plan.ts'
import type { ModelPlan } from '../model/plan.ts'
import type { RedisPlan } from '../redis/plan.ts'
import type { SinkPlan } from '../sink/plan.ts'
import type { Problem } from './problem.ts'

/** A checked topology, compiled and frozen: nothing optional, durations in ms, sizes in bytes. */
export interface Plan {
  readonly name: string
  readonly file: string
  readonly kafka: KafkaPlan
  readonly registryUrl: string | null
  /** What is served: the scored source, and those that features read. */
  readonly sources: readonly SourcePlan[]
  /** State sources that no feature reads: labels for training. Only `replay --labels` reads them. */
  readonly labelSources: readonly SourcePlan[]
  readonly featuresSpec: FeaturesSpec
  readonly features: CompiledFeatures
  readonly model: ModelPlan
  readonly batch: BatchPlan
  readonly decide: DecidePlan
  readonly sinks: SinkPlan
  readonly redis: RedisPlan
  readonly store: StorePlan
  readonly limits: LimitsPlan
  readonly expressions: ExpressionsPlan
  /** What works and is probably not meant so. */
  readonly warnings: readonly Problem[]
  /** Everything the stored state depends on; part of the namespace in Redis. */
  readonly stateHash: string
}

export interface StorePlan {
  readonly cacheMaxBytes: number
  readonly unflushedRowsMax: number
  readonly unflushedAgeMaxMs: number
  readonly outageMaxMs: number
  readonly onLogGone: 'refuse' | 'accept-gap'
  readonly onPartitionsAdded: 'refuse' | 'accept'
  readonly onForeignOffset: 'rebuild' | 'refuse'
}

export interface ExpressionsPlan {
  /** What becomes of an event on which an expression is in error. */
  readonly onError: 'missing' | 'dead-letter'
}

export interface LimitsPlan {
  readonly rowsPerTransactionMax: number
  readonly queuedRowsMax: number
  readonly deadLetterShareMax: { readonly share: number; readonly of: number }
  readonly startWaitMs: number
  readonly drainMs: number
  readonly stallMs: number
}
