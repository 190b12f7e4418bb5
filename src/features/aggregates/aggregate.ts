import type { FailureSink } from '../../expression/failure.ts'
import type { Event } from '../../record/event.ts'
import type { Registers } from '../scan.ts'
import type { AggregateSettings, AggregateSpec, EventExpression, EventPredicate } from '../spec.ts'

/** Turns what was read from the parts into the number of the scored event's row; NaN where the window gives none. */
export type Finish = (registers: Registers, event: Event, failures?: FailureSink) => number

/**
 * What an aggregate can have read of its window; equal wishes are read once. Each method gives the slot of the registers
 * in which the answer will be. Only events that satisfy `where` count (null: all), and that have a `value` (null: none is
 * needed).
 */
export interface Reads {
  /** How many, and the sum of their values. */
  tally(where: EventPredicate | null, value: EventExpression | null): number
  /** The smallest and the largest value. */
  extremes(where: EventPredicate | null, value: EventExpression | null): number
  /** Time and value of the newest one. */
  newest(where: EventPredicate | null, value: EventExpression | null): number
  /** Time and value of the oldest one. */
  oldest(where: EventPredicate | null, value: EventExpression | null): number
  /** All of them, oldest first. Costs a copy of the window for each row. */
  log(where: EventPredicate | null, value: EventExpression | null): number
  /** All events of the window, oldest first, with 1 as value where `where` holds, else 0. */
  flags(where: EventPredicate): number
}

/** Keys that only some aggregates take, as they are written. */
export const settingKeys = ['smoothing', 'estimate', 'q', 'halfLife', 'per', 'n'] as const
export type SettingKey = (typeof settingKeys)[number]

/** One entry of the table (table.ts): all that the service, `validate`, `describe` and the documents know of it. */
export interface Aggregate {
  /** What it gives, as a part of a sentence. */
  readonly gives: string
  /** `of an empty window` in docs/features.md. */
  readonly ofNothing: string
  /** What it reads of each event as `value`: a number, a text or a number (only whether two are the same matters), or nothing. */
  readonly value: 'number' | 'any' | 'none'
  readonly where: 'needed' | 'optional'
  /** Whether `divideBy` makes sense. */
  readonly divided: boolean
  /** Keys that only some aggregates take. */
  readonly settings: Readonly<Partial<Record<SettingKey, 'needed' | 'optional'>>>
  /** `current` where none is written. Default: true. */
  readonly current?: false
  /** It looks at the scored event itself, so its windows must be of the scored source. */
  readonly source?: 'scored'
  /** `default` where none is written. */
  readonly empty: (settings: AggregateSettings) => number | null
  /** What else people call it; capitals and underscores do not count. */
  readonly aliases: readonly string[]
  /**
   * How the parts of several partitions become one: added up, the first of each compared, or all events put in one order
   * of time. What could not be merged would have to be refused over merged entities; there is none.
   */
  readonly merged: 'sum' | 'each' | 'log'
  /** Of docs/features.md: what is written besides `over`, `aggregate` and `window`, and what it gives of the events there. */
  readonly example: { readonly lines: readonly string[]; readonly gives: number }
  /** Its settings in the line of `describe`; begins with a space if it is not empty. */
  readonly phrase?: (settings: AggregateSettings) => string
  readonly read: (feature: AggregateSpec, reads: Reads) => Finish
}

/** `default` of most: the model's missing policy decides. */
export const missing = (): null => null

/** Those that give a number of the events' own kind: what `value` is, or a share of it by `divideBy`. */
export const ofValues = {
  ofNothing: 'missing',
  value: 'number',
  where: 'optional',
  divided: true,
  settings: {},
  empty: missing,
} as const satisfies Partial<Aggregate>

/** Those that look only at when events happened. */
export const ofTimes = { ...ofValues, value: 'none', divided: false } as const satisfies Partial<Aggregate>

export const msPerSecond = 1000
