/**
 * CEL expressions over events and scored rows.
 *
 * Missing: a field that is absent, null or of another type than its schema says makes the expression an error, as in
 * CEL; `false && …` and `true || …` hide errors of the other side. An expression in error, or one whose number is not
 * finite, gives null where a number is expected and false where a condition is. Booleans become 1 and 0.
 */
import type { ASTNode, ParseResult } from '@marcbachmann/cel-js'
import { canonicalText } from './canonical.ts'
import { toClosure } from './closure.ts'
import { numberFunctions } from './language.ts'
import { didYouMean } from './nearest.ts'
import type { ExpressionScope, Variable } from './scope.ts'

export type Expected = 'number' | 'boolean'

export interface Expression<Context> {
  readonly ok: true
  /** As written, without white space around it. */
  readonly text: string
  /** The same for all ways of writing it that differ in white space, comments, quotes and needless brackets. */
  readonly canonical: string
  /** Only whole numbers come out, as long as they stay below 2^53. */
  readonly integer: boolean
  /** Names it uses, sorted; members of groups with their prefix (`features.x`). */
  readonly references: readonly string[]
  /** Number expected: finite, or null where missing. */
  number(context: Context): number | null
  /** Condition expected: false in error. */
  test(context: Context): boolean
}

export interface ExpressionProblem {
  readonly ok: false
  /** Characters from the start of the text as given. */
  readonly offset: number
  readonly message: string
  readonly suggestion: string
}

export function compileExpression<Context>(
  written: string,
  scope: ExpressionScope<Context>,
  expected: Expected,
  engineOnly = false,
): Expression<Context> | ExpressionProblem {
  const text = written.trim()
  const shift = written.length - written.trimStart().length
  let parsed: ParseResult
  try {
    parsed = scope.environment.parse(text)
  } catch (error) {
    return problemOf(error, text, shift, scope)
  }
  const checked = parsed.check()
  if (!checked.valid) return problemOf(checked.error, text, shift, scope)
  const mismatch = typeMismatch(checked.type ?? 'dyn', text, expected)
  if (mismatch !== null) return { ok: false, offset: shift, ...mismatch }

  const used = referencesIn(parsed.ast, scope)
  const fast = engineOnly ? null : toClosure(parsed.ast, scope)
  const run = fast ?? engine(parsed, used)
  return {
    ok: true,
    text,
    canonical: canonicalText(parsed.ast),
    integer: isWhole(parsed.ast, scope),
    references: [...used.keys()].toSorted(),
    number: (context) => toNumber(run(context)),
    test: (context) => run(context) === true,
  }
}

function toNumber(value: unknown): number | null {
  if (typeof value === 'number') return Number.isFinite(value) ? value : null
  if (typeof value === 'boolean') return value ? 1 : 0
  if (typeof value === 'bigint') return Number(value)
  // CEL's uint is an object around a bigint.
  if (typeof value === 'object' && value !== null && typeof value.valueOf() === 'bigint') return Number(value)
  return null
}

interface Used<Context> {
  readonly group: string | null
  readonly name: string
  readonly variable: Variable<Context>
}

/** Runs the engine over an object of just what is used and not missing. */
function engine<Context>(
  parsed: ParseResult,
  used: ReadonlyMap<string, Used<Context>>,
): (context: Context) => unknown {
  const groups = [...new Set([...used.values()].flatMap(({ group }) => group ?? []))]
  return (context) => {
    const names: Record<string, unknown> = {}
    for (const group of groups) names[group] = {}
    for (const { group, name, variable } of used.values()) {
      const value = variable.read(context)
      if (value === undefined || value === null) continue
      if (group === null) names[name] = value
      else (names[group] as Record<string, unknown>)[name] = value
    }
    try {
      return parsed(names) as unknown
    } catch {
      // CEL reports errors of evaluation (a missing field, an index out of range) by throwing.
      return undefined
    }
  }
}

function referencesIn<Context>(root: ASTNode, scope: ExpressionScope<Context>): Map<string, Used<Context>> {
  const used = new Map<string, Used<Context>>()
  visit(root, (node) => {
    if (node.op === 'id') {
      const variable = scope.variables.get(node.args)
      if (variable !== undefined) used.set(node.args, { group: null, name: node.args, variable })
    }
    const member = memberOf(node)
    const variable = member === null ? undefined : scope.groups.get(member.group)?.get(member.name)
    if (member !== null && variable !== undefined)
      used.set(`${member.group}.${member.name}`, { ...member, variable })
  })
  return used
}

/** `features.x` and `features["x"]`. */
function memberOf(node: ASTNode): { group: string; name: string } | null {
  if (node.op === '.' && node.args[0].op === 'id') return { group: node.args[0].args, name: node.args[1] }
  if (node.op !== '[]') return null
  const [group, name] = node.args
  return group.op === 'id' && name.op === 'value' && typeof name.args === 'string'
    ? { group: group.args, name: name.args }
    : null
}

function visit(node: unknown, see: (node: ASTNode) => void): void {
  if (Array.isArray(node)) {
    for (const item of node) visit(item, see)
  } else if (isNode(node)) {
    see(node)
    visit(node.args, see)
  }
}

function isNode(value: unknown): value is ASTNode {
  return typeof value === 'object' && value !== null && 'op' in value && 'args' in value
}

/** Whole fields and literals, and + - * of them; booleans count as whole (1 and 0). */
function isWhole<Context>(node: ASTNode, scope: ExpressionScope<Context>): boolean {
  switch (node.op) {
    case 'value':
      return typeof node.args === 'bigint' || typeof node.args === 'boolean'
    case 'id': {
      const variable = scope.variables.get(node.args)
      return variable !== undefined && (variable.integer || variable.type === 'boolean')
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

function typeMismatch(
  type: string,
  text: string,
  expected: Expected,
): { message: string; suggestion: string } | null {
  const numeric = ['double', 'int', 'uint'].includes(type)
  if (type === 'dyn' || type === 'bool') return null
  if (expected === 'number') {
    if (numeric) return null
    return {
      message: `this is ${plainType(type)}, and a number or a condition is needed`,
      suggestion:
        type === 'string' ? 'Compare it (for example == "x"), or use size(…).' : 'Make it a number.',
    }
  }
  return {
    message: `this is ${plainType(type)}, and a condition (true or false) is needed`,
    suggestion: numeric ? `Compare it, for example ${text} > 0.` : 'Compare it, for example == "x".',
  }
}

function plainType(type: string): string {
  if (type === 'double' || type === 'int' || type === 'uint') return 'a number'
  if (type === 'string') return 'text'
  return `of type ${type}`
}

interface EngineError {
  readonly summary?: string
  readonly code?: string
  readonly message: string
  readonly range?: { readonly start: number; readonly end: number }
}

function problemOf<Context>(
  error: unknown,
  text: string,
  shift: number,
  scope: ExpressionScope<Context>,
): ExpressionProblem {
  const { summary, code, message, range } = error as EngineError
  const reason = (summary ?? message).split('\n')[0]!
  const start = Math.min(range?.start ?? 0, text.length)
  return {
    ok: false,
    offset: shift + start,
    message: plainReason(reason),
    suggestion: suggestionFor(code, reason, text.slice(start, range?.end ?? start), scope),
  }
}

function plainReason(reason: string): string {
  const overload = /^no such overload: (.+)$/.exec(reason)
  if (overload === null) return reason.charAt(0).toLowerCase() + reason.slice(1)
  const types = overload[1]!.replaceAll(/\b(double|int|uint)\b/g, 'number').replaceAll(/\bstring\b/g, 'text')
  return `${types} is not defined`
}

function suggestionFor<Context>(
  code: string | undefined,
  reason: string,
  part: string,
  scope: ExpressionScope<Context>,
): string {
  const grouped = [...scope.groups].flatMap(([group, members]) =>
    [...members.keys()].map((name) => `${group}.${name}`),
  )
  if (code === 'unknown_variable') {
    const prefixed = grouped.find((name) => name.endsWith(`.${part}`))
    if (prefixed !== undefined) return `Did you mean ${prefixed}?`
    return didYouMean(part, [...scope.variables.keys(), ...scope.groups.keys(), ...grouped])
  }
  if (code === 'no_such_key') {
    const member = reason.replace(/^.*: /, '')
    return didYouMean(
      member,
      [...scope.groups.values()].flatMap((members) => [...members.keys()]),
    )
  }
  if (reason.includes('null'))
    return 'A missing field cannot be compared with null: the condition is false by itself.'
  if (code === 'no_such_overload')
    return 'Both sides must be of one kind: numbers, texts ("x") or conditions.'
  if (code === 'no_matching_overload') {
    return `Functions: ${[...numberFunctions.keys()].join(', ')}, size, startsWith, endsWith, contains, matches.`
  }
  if (code === 'invalid_logical_operand') return 'Compare the number first, for example x > 0 && y > 0.'
  return 'Write CEL, for example amountCents / 100 or hourUtc(ts) <= 6.'
}
