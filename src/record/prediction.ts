export interface ModelIdentity {
  readonly name: string
  readonly version: string
  /** `sha256:` + hex of the model file. */
  readonly digest: string
}

/** Flags a prediction may carry. */
export type PredictionFlag = 'late' | 'unaligned' | 'capped' | 'gap' | 'expression-error'

/** Precision of a model's score. */
export type ScoreType = 'float32' | 'float64'

/** One scored event. Published as JSON (schemas/output/prediction.schema.json) or Avro. */
export interface Prediction {
  readonly id: string
  readonly key: string
  /** Event time, epoch ms. */
  readonly occurredAt: number
  /** Wall clock at scoring, epoch ms. */
  readonly scoredAt: number
  readonly score: number
  readonly decision: string
  readonly model: ModelIdentity
  readonly flags: readonly PredictionFlag[]
  /**
   * Only with flag `unaligned`: `topic:partition` → how many offsets of it were in the log when the event came and had not
   * been read; partitions whose end was not known are left out.
   */
  readonly behind?: Readonly<Record<string, number>>
  readonly position: { readonly topic: string; readonly partition: number; readonly offset: number }
  /** As computed in float64; null where missing. */
  readonly features?: Readonly<Record<string, number | null>>
  readonly values?: Readonly<Record<string, number | null>>
  /** `topic:partition` → offset below which that partition's share was visible; set when a merged feature was computed. */
  readonly watermarks?: Readonly<Record<string, number>>
  /** Entity → as `watermarks`, for entities that saw more than that: only on a Redis Cluster, with several merged entities. */
  readonly entityWatermarks?: Readonly<Record<string, Readonly<Record<string, number>>>>
}

export interface AlertRuleHit {
  readonly id: string
  readonly severity: Severity
}

export const severities = ['info', 'low', 'medium', 'high', 'critical'] as const
export type Severity = (typeof severities)[number]

/** Why the score is where the rules fire: replacing `feature` by `baseline` moves it back by `effect`, which is above 0. */
export interface Reason {
  readonly feature: string
  readonly value: number
  readonly baseline: number
  readonly effect: number
}

export interface Alert extends Prediction {
  readonly alertId: string
  readonly severity: Severity
  readonly rules: readonly AlertRuleHit[]
  readonly reasons: readonly Reason[]
  readonly caseKey: string
}
