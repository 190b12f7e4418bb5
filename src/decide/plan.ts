import type { Direction } from '../expression/direction.ts'
import type { Severity } from '../record/prediction.ts'

/** What rules and outcomes can see of one scored event. */
export interface DecideContext {
  readonly score: number
  /** Event fields by name, then values and features (numbers; NaN where missing). */
  readonly fields: Readonly<Record<string, unknown>>
  readonly values: Readonly<Record<string, number>>
  readonly features: Readonly<Record<string, number>>
  readonly flags: readonly string[]
}

export interface DecidePlan {
  readonly outcomes: readonly { readonly name: string; test(context: DecideContext): boolean }[]
  readonly rules: readonly DecideRule[]
  /** Number of reasons on an alert; 0 = off. */
  readonly reasons: number
}

export interface DecideRule {
  readonly id: string
  readonly severity: Severity
  /** Which way the score moves for it to fire, as far as its text tells. */
  readonly follows: Direction
  test(context: DecideContext): boolean
}
