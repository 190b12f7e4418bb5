/** Expressions of a topology, compiled, with problems at their place in the file. */
import { compileExpression } from '../expression/compile.ts'
import type { Expected, Expression } from '../expression/compile.ts'
import { createScope } from '../expression/scope.ts'
import type { ExpressionScope, Variable } from '../expression/scope.ts'
import type { DecideContext } from '../decide/plan.ts'
import type { EventExpression, EventPredicate } from '../features/spec.ts'
import type { Event } from '../record/event.ts'
import type { TopologyDocument } from './document.ts'
import type { FieldTypes } from './event-types.ts'
import type { Path } from './problem.ts'

export type EventScope = ExpressionScope<Event>

/** Names that rules see besides fields and values. */
export const ruleWords = ['score', 'values', 'features', 'flags'] as const

export function eventScope(fields: FieldTypes): EventScope {
  return createScope(
    new Map(
      [...fields].map(([name, { type, integer }]): [string, Variable<Event>] => [
        name,
        { type, integer, read: (event) => event.fields[name] },
      ]),
    ),
  )
}

/**
 * What rules see: fields of the event and values by their bare names, `values.x`, `features.x`, `score` and `flags`.
 * A missing number is NaN in the row and missing in CEL.
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
  const variables = new Map<string, Variable<DecideContext>>()
  for (const [name, { type, integer }] of fields) {
    variables.set(name, { type, integer, read: (context) => context.fields[name] })
  }
  const valueMembers = new Map(values.map((name) => [name, number((context) => context.values[name])]))
  for (const [name, variable] of valueMembers) variables.set(name, variable)
  variables.set(
    'score',
    number((context) => context.score),
  )
  variables.set('flags', { type: 'texts', integer: false, read: (context) => context.flags })
  const featureMembers = new Map(features.map((name) => [name, number((context) => context.features[name])]))
  return createScope(
    variables,
    new Map([
      ['values', valueMembers],
      ['features', featureMembers],
    ]),
  )
}

export interface Hints {
  /** A better suggestion for a name that the scope does not know. */
  suggest?(name: string): string | null
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
  if (compiled.ok) return compiled
  const unknown = /^(?:unknown variable|no such key): (\w+)/.exec(compiled.message)?.[1]
  if (unknown !== undefined && hints.isFaulty?.(unknown) === true) return null
  const better = unknown === undefined ? null : (hints.suggest?.(unknown) ?? null)
  document.add(path, `${compiled.message}.`, better ?? compiled.suggestion, { offset: compiled.offset })
  return null
}

export function eventExpression(expression: Expression<Event>): EventExpression {
  const { canonical: text, integer, references } = expression
  return { text, integer, references, evaluate: (event) => expression.number(event) }
}

export function eventPredicate(expression: Expression<Event>): EventPredicate {
  const { canonical: text, references } = expression
  return { text, references, test: (event) => expression.test(event) }
}
