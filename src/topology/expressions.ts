/** Expressions of a topology, compiled, with problems at their place in the file. */
import { compileExpression } from '../expression/compile.ts'
import type { Expected, Expression, OnFailure } from '../expression/compile.ts'
import type { FailureSink } from '../expression/failure.ts'
import { notYetFunction } from '../expression/not-yet.ts'
import { createScope } from '../expression/scope.ts'
import type { ExpressionScope, Variable } from '../expression/scope.ts'
import type { DecideContext } from '../decide/plan.ts'
import { isAggregateWord } from '../features/aggregates/hints.ts'
import { writtenScore } from '../decide/written-score.ts'
import type { EventExpression, EventPredicate } from '../features/spec.ts'
import type { Event } from '../record/event.ts'
import { predictionFlags } from '../record/prediction.ts'
import type { TopologyDocument } from './document.ts'
import type { FieldType, FieldTypes } from './event-types.ts'
import { pathText } from './problem.ts'
import type { Path } from './problem.ts'

export type EventScope = ExpressionScope<Event>

/** Names that rules see besides fields and values. */
export const ruleWords = ['score', 'values', 'features', 'flags', 'event'] as const

/** Fields by their bare names, and all of them as `event.x` and `event["x"]`. */
export function eventScope(fields: FieldTypes): EventScope {
  const members = fieldVariables<Event>(fields, (event) => event.fields)
  return createScope(members, new Map([['event', members]]))
}

function fieldVariables<Context>(
  fields: FieldTypes,
  fieldsOf: (context: Context) => Readonly<Record<string, unknown>>,
): ReadonlyMap<string, Variable<Context>> {
  return new Map(
    [...fields].map(([name, type]): [string, Variable<Context>] => [
      name,
      { ...type, read: (context) => fieldsOf(context)[name] },
    ]),
  )
}

/**
 * What rules see: fields of the event and values by their bare names, `event.x`, `values.x`, `features.x`, `score` and
 * `flags`. A missing number is NaN in the row and missing in CEL.
 */
export function ruleScope(
  fields: FieldTypes,
  values: readonly string[],
  features: readonly string[],
): ExpressionScope<DecideContext> {
  const number = (read: (context: DecideContext) => number | undefined): Variable<DecideContext> => ({
    type: 'number',
    integer: false,
    read: (context) => {
      const value = read(context)
      return Number.isNaN(value) ? undefined : value
    },
  })
  const eventMembers = fieldVariables<DecideContext>(fields, (context) => context.fields)
  const valueMembers = new Map(values.map((name) => [name, number((context) => context.values[name])]))
  const variables = new Map([...eventMembers, ...valueMembers])
  variables.set('score', {
    ...number(({ score, scoreType }) => writtenScore(score, scoreType)),
    precision: ({ scoreType }) => (scoreType === 'float32' ? Math.fround : null),
  })
  const flag: FieldType = { type: 'text', integer: false, values: predictionFlags }
  variables.set('flags', { type: 'texts', integer: false, items: flag, read: (context) => context.flags })
  const featureMembers = new Map(features.map((name) => [name, number((context) => context.features[name])]))
  return createScope(
    variables,
    new Map([
      ['event', eventMembers],
      ['values', valueMembers],
      ['features', featureMembers],
    ]),
  )
}

export interface Hints {
  /** A better suggestion for a name that the scope does not know. */
  suggest?(name: string): string | null
  /** A better suggestion where the result is a text and may be none. */
  readonly ofText?: string
  /** A name that exists but has problems of its own: nothing is said about its use. */
  isFaulty?(name: string): boolean
}

/** Null when it has a problem, which is added at the character concerned. */
export function compileAt<Context>(
  document: TopologyDocument,
  path: Path,
  text: string,
  scope: ExpressionScope<Context>,
  expected: Expected,
  hints: Hints = {},
): Expression<Context> | null {
  const compiled = compileExpression(text, scope, expected)
  if (compiled.ok) {
    for (const { message, suggestion, offset } of compiled.warnings)
      document.warn(path, `${message}.`, suggestion, { offset })
    return compiled
  }
  const unknown = /^(?:unknown variable|no such key): (\w+)/.exec(compiled.message)?.[1]
  if (unknown !== undefined && hints.isFaulty?.(unknown) === true) return null
  const better = unknown === undefined ? null : (hints.suggest?.(unknown) ?? null)
  const { called, offset, isText } = compiled
  const suggestion = isText === true ? hints.ofText : better
  if (called !== undefined && notYetFunction(called) === null && isAggregateWord(called)) {
    document.add(path, `${called} is no function of one event.`, windowsAre, { offset })
  } else document.add(path, `${compiled.message}.`, suggestion ?? compiled.suggestion, { offset })
  return null
}

const windowsAre = 'Windows are features: features: {x: {over: …, aggregate: …, window: 1d}}.'

export function eventExpression(expression: Expression<Event>, path: Path): EventExpression {
  const { canonical, integer, references, isOpen, isText } = expression
  // A column of numbers that stand for texts is another than one of the numbers themselves.
  const text = isText ? `hash(${canonical})` : canonical
  const place = pathText(path)
  const evaluate: EventExpression['evaluate'] = (event, failures) =>
    expression.number(event, onFailure(place, failures))
  return { text, integer, references, isOpen, evaluate }
}

export function eventPredicate(expression: Expression<Event>, path: Path): EventPredicate {
  const { canonical: text, references, isOpen } = expression
  const place = pathText(path)
  const test: EventPredicate['test'] = (event, failures) => expression.test(event, onFailure(place, failures))
  return { text, references, isOpen, test }
}

/** Tells the sink where the expression is. */
export function onFailure(place: string, failures: FailureSink | undefined): OnFailure | undefined {
  return failures === undefined ? undefined : (message) => failures.failed(place, message)
}
