/**
 * What the topology asks of the features stage, checked and with expressions compiled.
 * `compileFeatures(spec)` turns it into CompiledFeatures (compile.ts).
 */
import type { FailureSink } from '../expression/failure.ts'
import type { Event } from '../record/event.ts'
import type { AggregateName } from './aggregates/table.ts'

export interface FeaturesSpec {
  readonly entities: readonly EntitySpec[]
  /** Name of the scored source: its events get rows. */
  readonly scored: string
  readonly values: readonly ValueSpec[]
  readonly features: readonly FeatureSpec[]
  readonly eventsPerEntityMax: number
}

export interface EntitySpec {
  readonly name: string
  /** Event field (or fields, for a pair key) whose text identifies the entity. */
  readonly keys: readonly string[]
  readonly merge: boolean
}

/**
 * An expression over one event. Same `text` (canonical) means same column. Null: missing, or in error, of which `failures`
 * hears; the place it names is the first in the topology where the text stands.
 */
export interface EventExpression {
  readonly text: string
  /** Fields it reads; absent: not known. */
  readonly references?: readonly string[]
  /** It reads others, too, which it names only when it runs. */
  readonly isOpen?: boolean
  readonly integer: boolean
  evaluate(event: Event, failures?: FailureSink): number | null
}

export interface EventPredicate {
  readonly text: string
  readonly references?: readonly string[]
  readonly isOpen?: boolean
  test(event: Event, failures?: FailureSink): boolean
}

export interface ValueSpec {
  readonly name: string
  readonly expression: EventExpression
}

/** Which ends of the window belong to it: `(]` is (t − D − W, t − D]. */
export type WindowEdges = '(]' | '[)' | '[]' | '()'

export interface WindowSpec {
  readonly windowMs: number
  readonly delayMs: number
  readonly edges: WindowEdges
  /** Whether the event itself is in its own window (when its time is). */
  readonly current: boolean
}

export interface AggregateSpec extends WindowSpec {
  readonly kind: 'aggregate'
  readonly name: string
  readonly over: string
  readonly from: string
  readonly aggregate: AggregateName
  /** Null where the aggregate reads none. */
  readonly value: EventExpression | null
  readonly where: EventPredicate | null
  readonly divideBy: number
  readonly settings: AggregateSettings
  /** Result for a window that gives none; null: missing. */
  readonly default: number | null
}

/** What only some aggregates take; those of others are absent. */
export interface AggregateSettings {
  /** Of a rate: (hits + weight · prior) / (count + weight). */
  readonly smoothing?: { readonly weight: number; readonly prior: number }
  /** Whether deviations are those of a sample (÷ n − 1, the default) or of all there is (÷ n). */
  readonly estimate?: 'sample' | 'population'
  /** Share of the values below a quantile, 0 to 1. */
  readonly q?: number
  /** Age at which an event counts half. */
  readonly halfLifeMs?: number
  /** What a slope is given for. */
  readonly perMs?: number
  /** Place counted from the newest event, which is 1. */
  readonly n?: number
}

/** Computed from two other features or values of the same row; keeps no state. */
export interface RatioSpec {
  readonly kind: 'ratio'
  readonly name: string
  readonly of: string
  readonly to: string
  /** When `to` is 0 or either is missing. */
  readonly default: number | null
}

export type FeatureSpec = AggregateSpec | RatioSpec
