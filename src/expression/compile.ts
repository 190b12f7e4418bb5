/**
 * CEL expressions over events and scored rows.
 *
 * Missing: a field that is absent or null leaves the expression without a result; `false && …` and `true || …` hide it, as
 * CEL hides errors. An error is another thing: what is there cannot be used so (a text where a number is expected, an
 * index beyond a list, text that is no number). Both give null where a number is expected and false where a condition is,
 * and so does a number that is not finite; only errors are reported. Booleans become 1 and 0.
 */
import type { ASTNode, ParseResult } from '@marcbachmann/cel-js'
import { loosenHas, memberOf, typeOf, visit } from './ast.ts'
import { canonicalText } from './canonical.ts'
import { NoField, toClosure } from './closure.ts'
import type { Closure } from './closure.ts'
import { explainMismatch, explainNoField, problemOf } from './explain.ts'
import type { ExpressionProblem } from './explain.ts'
import { Failure } from './failure.ts'
import { numberFunctions } from './language.ts'
import { withPlainNames } from './plain-names.ts'
import { textNumber } from './text-number.ts'
import { fieldTypeOf, variableOf } from './resolve.ts'
import type { ExpressionScope } from './scope.ts'
import { kindOf } from './values.ts'
import { constantFailure, warningsOf } from './verdicts.ts'
import type { ExpressionWarning } from './verdicts.ts'

export type { ExpressionProblem } from './explain.ts'

/** `label`: a text, a number or a condition, of which only matters whether two are the same. */
export type Expected = 'number' | 'boolean' | 'label'

/** Hears of an error; the message holds nothing of the event. */
export type OnFailure = (message: string) => void

export interface Expression<Context> {
  readonly ok: true
  /** As written, without white space around it. */
  readonly text: string
  /** The same for all ways of writing it that differ in white space, comments, quotes, needless brackets and `event.`. */
  readonly canonical: string
  /** Only whole numbers come out, as long as they stay below 2^53. */
  readonly integer: boolean
  /** Names it uses, sorted; members of groups with their prefix (`features.x`). */
  readonly references: readonly string[]
  /** It names a member of a group only when it runs (`event[x]`): `references` lacks it. */
  readonly isOpen: boolean
  /** It works, and probably not as meant. */
  readonly warnings: readonly ExpressionWarning[]
  /** A label that may be a text: `number` then gives one that stands for it. */
  readonly isText: boolean
  /** Number or label expected: finite, or null where missing or in error. */
  number(context: Context, onFailure?: OnFailure): number | null
  /** Condition expected: false where missing or in error. */
  test(context: Context, onFailure?: OnFailure): boolean
}

export function compileExpression<Context>(
  written: string,
  scope: ExpressionScope<Context>,
  expected: Expected,
): Expression<Context> | ExpressionProblem {
  const text = written.trim()
  const shift = written.length - written.trimStart().length
  let parsed: ParseResult
  try {
    parsed = scope.environment.parse(text)
  } catch (error) {
    return problemOf(error, text, shift, scope)
  }
  const { ast } = parsed
  loosenHas(ast)
  const checked = parsed.check()
  if (!checked.valid) return problemOf(checked.error, text, shift, scope)
  const mismatch = explainMismatch(checked.type ?? 'dyn', text, expected, scope)
  if (mismatch !== null) return { ok: false, offset: shift, ...mismatch, isText: checked.type === 'string' }
  const failing = constantFailure(ast, scope)
  if (failing !== null) return { ok: false, ...failing, offset: shift + failing.offset }

  let run: Closure<Context>
  try {
    run = toClosure(ast, scope)
  } catch (error) {
    if (!(error instanceof NoField)) throw error
    const { start, args: name } = error.node
    return { ok: false, offset: shift + start, ...explainNoField(name, scope) }
  }
  return {
    ok: true,
    text,
    canonical: canonicalText(withPlainNames(parsed.ast, scope)),
    integer: isWhole(ast, scope),
    references: referencesIn(ast, scope),
    isOpen: isOpen(ast, scope),
    warnings: warningsOf(ast, text, scope).map((warning) => ({ ...warning, offset: shift + warning.offset })),
    isText: expected === 'label' && ['string', 'dyn'].includes(checked.type ?? 'dyn'),
    number: (context, onFailure) => numberOf(run, expected, context, onFailure),
    test: (context, onFailure) => conditionOf(run, context, onFailure),
  }
}

function numberOf<Context>(
  run: Closure<Context>,
  expected: Expected,
  context: Context,
  onFailure?: OnFailure,
): number | null {
  const value = run(context)
  if (expected === 'label' && typeof value === 'string') return textNumber(value)
  if (typeof value === 'number') return Number.isFinite(value) ? value : null
  if (typeof value === 'boolean') return value ? 1 : 0
  if (typeof value === 'bigint') return Number(value)
  if (value !== undefined) onFailure?.(failureOf(value, 'a number'))
  return null
}

function conditionOf<Context>(run: Closure<Context>, context: Context, onFailure?: OnFailure): boolean {
  const value = run(context)
  if (typeof value === 'boolean') return value
  if (value !== undefined) onFailure?.(failureOf(value, 'a condition'))
  return false
}

function failureOf(value: unknown, expected: string): string {
  return value instanceof Failure ? value.message : `the result is ${kindOf(value)}, not ${expected}`
}

function referencesIn<Context>(root: ASTNode, scope: ExpressionScope<Context>): readonly string[] {
  const used = new Set<string>()
  visit(root, (node) => {
    const named = variableOf(node, scope)
    if (named !== null) used.add(named.name)
  })
  return [...used].toSorted()
}

function isOpen<Context>(root: ASTNode, { groups }: ExpressionScope<Context>): boolean {
  let found = false
  visit(root, (node) => {
    if (node.op !== '[]' || memberOf(node) !== null) return
    const [holder] = node.args
    if (holder.op === 'id' && groups.has(holder.args)) found = true
  })
  return found
}

/** Whole fields and literals, and + - * of them; booleans count as whole (1 and 0). */
function isWhole<Context>(node: ASTNode, scope: ExpressionScope<Context>): boolean {
  switch (node.op) {
    case 'value':
      return typeof node.args === 'bigint' || typeof node.args === 'boolean'
    case 'id':
    case '.':
    case '[]': {
      const field = fieldTypeOf(node, scope)
      return field !== null && (field.integer || field.type === 'boolean')
    }
    case '+':
    case '-':
    case '*':
      return isWhole(node.args[0], scope) && isWhole(node.args[1], scope)
    case '-_':
      return isWhole(node.args, scope)
    case '?:':
      return isWhole(node.args[1], scope) && isWhole(node.args[2], scope)
    case 'call': {
      const [name, args] = node.args
      if (['int', 'uint', 'bool'].includes(typeOf(node) ?? '')) return true
      return numberFunctions.get(name)?.whole === true && args.every((arg) => isWhole(arg, scope))
    }
    case '==':
    case '!=':
    case '<':
    case '<=':
    case '>':
    case '>=':
    case 'in':
    case '&&':
    case '||':
    case '!_':
      return true
    default:
      return false
  }
}
