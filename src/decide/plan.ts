import type { Direction } from '../expression/direction.ts'
import type { FailureSink } from '../expression/failure.ts'
import type { ScoreType, Severity } from '../record/prediction.ts'

/** What rules and outcomes can see of one scored event. */
export interface DecideContext {
  readonly score: number
  /** Precision of the model's output: `score` is compared in it. */
  readonly scoreType: ScoreType
  /** Event fields by name, then values and features (numbers; NaN where missing). */
  readonly fields: Readonly<Record<string, unknown>>
  readonly values: Readonly<Record<string, number>>
  readonly features: Readonly<Record<string, number>>
  readonly flags: readonly string[]
}

/** `failures` hears of an error in it; it is false then. */
export type DecideCondition = (context: DecideContext, failures?: FailureSink) => boolean

export interface DecidePlan {
  readonly outcomes: readonly { readonly name: string; readonly test: DecideCondition }[]
  readonly rules: readonly DecideRule[]
  /** What outcomes and rules name: fields (`x`, `event.x`), values and features; null or absent: not known. */
  readonly references?: readonly string[] | null
  /** Number of reasons on an alert; 0 = off. */
  readonly reasons: number
}

export interface DecideRule {
  readonly id: string
  readonly severity: Severity
  /** Which way the score moves for it to fire, as far as its text tells. */
  readonly follows: Direction
  readonly test: DecideCondition
}
