import type { Alert, Prediction } from '../../src/record/prediction.ts'
import type { Plan } from '../../src/topology/plan.ts'
import type { LoggedInput, Position } from './card-world.ts'
import type { RefereeRecord } from './referee.ts'

export interface Outputs {
  readonly predictions: readonly Published<Prediction>[]
  readonly alerts: readonly Published<Alert>[]
  readonly deadLetters: readonly RefereeRecord[]
}

export interface Published<T> {
  readonly record: RefereeRecord
  readonly value: T
}

export interface CheckOptions {
  /** Also compare delayed features with all there is, not only with what was visible: nothing was scored too early. */
  readonly complete?: boolean
  /** Nothing was ever missing, so no prediction says it may be (`gap`). */
  readonly gapless?: boolean
  /** Inputs the model throws on. */
  readonly poison?: (input: LoggedInput) => boolean
  /** Inputs that kill or hang the process: dead letters (POISON), not applied. */
  readonly killers?: (input: LoggedInput) => boolean
  /** Inputs that were passed over: they gave nothing. */
  readonly skipped?: (input: LoggedInput) => boolean
  /** Inputs that state was not built from. */
  readonly unseen?: (input: LoggedInput) => boolean
  /** Predictions whose features are not looked at (made with another topology, or other state). */
  readonly otherFeatures?: (at: Prediction['position']) => boolean
}

/** What a run left behind. */
export interface Evidence {
  readonly plan: Plan
  /** The source logs. */
  readonly input: readonly LoggedInput[]
  /** What the group has committed. */
  readonly positions: readonly Position[]
  readonly outputs: Outputs
}

export function placeOf({ topic, partition }: { topic: string; partition: number }): string {
  return `${topic}:${partition}`
}

export function positionOf(at: { topic: string; partition: number; offset: number }): string {
  return `${at.topic}:${at.partition}:${at.offset}`
}
