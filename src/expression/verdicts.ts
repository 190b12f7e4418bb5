/** What can be said of an expression before it ever runs: it fails always, or it does not do what it seems to say. */
import type { ASTNode } from '@marcbachmann/cel-js'
import { literalOf, typeOf, visit } from './ast.ts'
import { toClosure } from './closure.ts'
import { Failure } from './failure.ts'
import { withoutTexts } from './explain.ts'
import type { Explained } from './explain.ts'
import { linearPattern } from './linear-pattern.ts'
import { fieldTypeOf } from './resolve.ts'
import type { ExpressionScope } from './scope.ts'
import { equal } from './values.ts'

export interface ExpressionWarning extends Explained {
  /** Characters from the start of the text as given. */
  readonly offset: number
}

/** A part without any field that is in error: `int("x")`, `1 / 0`, `name.matches("(")`. */
export function constantFailure<Context>(
  root: ASTNode,
  scope: ExpressionScope<Context>,
): ExpressionWarning | null {
  let found: ExpressionWarning | null = null
  visit(root, (node) => {
    if (found !== null) return
    const message = patternFailure(node) ?? (isConstant(node) ? failureOf(node, scope) : null)
    if (message !== null)
      found = {
        offset: node.start,
        message: `this never works: ${message}`,
        suggestion: 'Correct it, or remove it.',
      }
  })
  return found
}

function failureOf<Context>(node: ASTNode, scope: ExpressionScope<Context>): string | null {
  const value = toClosure(node, scope)({} as Context) // without names, nothing is read of it
  return value instanceof Failure ? value.message : null
}

function isConstant(node: ASTNode): boolean {
  let names = 0
  visit(node, ({ op }) => {
    if (op === 'id') names++
  })
  return names === 0
}

function patternFailure(node: ASTNode): string | null {
  if (node.op !== 'rcall' || node.args[0] !== 'matches') return null
  const pattern = node.args[2][0]
  if (pattern?.op !== 'value' || typeof pattern.args !== 'string') return null
  try {
    linearPattern(pattern.args)
    return null
  } catch (error) {
    return (error as Error).message
  }
}

export function warningsOf<Context>(
  root: ASTNode,
  text: string,
  scope: ExpressionScope<Context>,
): readonly ExpressionWarning[] {
  const warnings: ExpressionWarning[] = []
  visit(root, (node) => {
    const found =
      zeroDivision(node, text) ??
      wholeDivision(node, text) ??
      lostDigits(node, text) ??
      neverFound(node, scope) ??
      neverOfType(node) ??
      maybeWrong(node, text, scope)
    if (found !== null) warnings.push({ offset: node.start, ...found })
  })
  return [...warnings, ...spelledSubtractions(text, scope)]
}

/** `amount / 0` is never a number. */
function zeroDivision(node: ASTNode, text: string): Explained | null {
  if (node.op !== '/' && node.op !== '%') return null
  const literal = literalOf(node.args[1])?.value
  if (literal !== 0 && literal !== 0n) return null
  return {
    message: `${text.slice(node.start, node.end)} divides by zero, which gives no number`,
    suggestion: 'Correct it, or remove it.',
  }
}

/** CEL divides two ints without a rest; numbers of events are doubles, so only literals, sizes and int() are ints. */
function wholeDivision(node: ASTNode, text: string): Explained | null {
  if (node.op !== '/' || !node.args.every((arg) => ['int', 'uint'].includes(typeOf(arg) ?? ''))) return null
  const [left, right] = node.args
  const [dividend, divisor] = [literalOf(left)?.value, literalOf(right)?.value]
  if (typeof dividend === 'bigint' && typeof divisor === 'bigint' && dividend % divisor === 0n) return null
  const written = ({ start, end }: ASTNode): string => text.slice(start, end)
  const double = divisor === undefined ? `double(${written(right)})` : `${written(right)}.0`
  return {
    message: `${written(node)} divides two whole numbers, which drops what is behind the point`,
    suggestion: `Write ${written(left)} / ${double}, or int(…) around it when that is meant.`,
  }
}

/** `9007199254740993.0` is a double, and there is none of that value. */
function lostDigits(node: ASTNode, text: string): Explained | null {
  if (node.op !== 'value' || typeof node.args !== 'number') return null
  const [written, whole] = /^(\d+)\.0*$/.exec(text.slice(node.start, node.end)) ?? []
  if (written === undefined || whole === undefined || BigInt(whole) === BigInt(node.args)) return null
  return { message: `${written} is ${BigInt(node.args)} as a double`, suggestion: `Write ${whole}.` }
}

const literalKinds: Readonly<Record<string, string>> = {
  number: 'number',
  bigint: 'number',
  string: 'text',
  boolean: 'condition',
}
const fieldKinds: Readonly<Record<string, string>> = { number: 'number', text: 'text', boolean: 'condition' }

/** What a field can be: `number` and `text` for `type: [integer, string]`; null where that is not known. */
function kindsOf<Context>(node: ASTNode, scope: ExpressionScope<Context>): readonly string[] | null {
  const field = fieldTypeOf(node, scope)
  if (field === null) return null
  const kinds = (field.kinds ?? [field.type]).map((type) => fieldKinds[type])
  return kinds.every((kind) => kind !== undefined) ? [...new Set(kinds)] : null
}

/** `country in ["DE", 5]`, `code == true`: what is of another kind is never found. */
function neverFound<Context>(node: ASTNode, scope: ExpressionScope<Context>): Explained | null {
  const holder = node.op === 'in' ? fieldTypeOf(node.args[1], scope)?.items?.values : undefined
  if (holder !== undefined) return notAmong(literalOf((node.args as [ASTNode])[0]), holder)
  const literals =
    node.op === '=='
      ? [node.args[1]]
      : node.op === 'in' && node.args[1].op === 'list'
        ? node.args[1].args
        : []
  const kinds = literals.length === 0 ? null : kindsOf((node.args as [ASTNode])[0], scope)
  if (kinds === null) return null
  const values = fieldTypeOf((node.args as [ASTNode])[0], scope)?.values
  for (const item of literals) {
    const literal = literalOf(item)
    const kind = literal === null ? undefined : literalKinds[typeof literal.value]
    if (kind === undefined) continue
    if (kinds.includes(kind)) {
      const unknown = values === undefined ? null : notAmong(literal, values)
      if (unknown !== null) return unknown
      continue
    }
    return {
      message: `${shown(literal!.value)} is never found: what is looked for is ${kinds.join(' or ')}`,
      suggestion: 'Remove it, or write it as that.',
    }
  }
  return null
}

const valuesShownMax = 12

/** A literal that is none of the values that the schema allows. */
function notAmong(literal: { readonly value: unknown } | null, values: readonly unknown[]): Explained | null {
  if (literal === null || values.some((value) => equal(value, literal.value))) return null
  const known = values.slice(0, valuesShownMax).map(shown)
  return {
    message: `${shown(literal.value)} is never found: it is none of the values there are`,
    suggestion: `Known: ${[...known, ...(values.length > valuesShownMax ? ['…'] : [])].join(', ')}.`,
  }
}

function shown(value: unknown): string {
  return typeof value === 'string' ? JSON.stringify(value) : String(value)
}

/** `type(x) == int`: numbers of events are doubles. */
function neverOfType(node: ASTNode): Explained | null {
  if (node.op !== '==' && node.op !== '!=') return null
  const [asked, type] = node.args
  const isOfEvent = asked.op === 'call' && asked.args[0] === 'type' && typeOf(asked.args[1][0]!) !== 'int'
  if (!isOfEvent || type.op !== 'id' || !['int', 'uint'].includes(type.args)) return null
  return {
    message: `no number of an event is of type ${type.args}: they are doubles, whole or not`,
    suggestion: 'Write == double.',
  }
}

const numeric: ReadonlySet<string> = new Set(['<', '<=', '>', '>=', '+', '-', '*', '/', '%'])

/** `code > 5` of a field that may be text. */
function maybeWrong<Context>(node: ASTNode, text: string, scope: ExpressionScope<Context>): Explained | null {
  if (!numeric.has(node.op)) return null
  for (const arg of node.args as readonly ASTNode[]) {
    const kinds = kindsOf(arg, scope) ?? []
    if (kinds.length < 2) continue
    const name = text.slice(arg.start, arg.end)
    return {
      message: `${name} is ${kinds.join(' or ')} by its schema, and this is an error for one of them`,
      suggestion: `Ask first: type(${name}) == ${kinds.includes('number') ? 'double' : 'string'} && …`,
    }
  }
  return null
}

/** `user-id` is a subtraction, also where there is a field of that name. */
function spelledSubtractions<Context>(
  text: string,
  scope: ExpressionScope<Context>,
): readonly ExpressionWarning[] {
  const code = withoutTexts(text)
  return [...(scope.groups.get('event')?.keys() ?? [])].flatMap((name) => {
    if (!/^[A-Za-z_]\w*(-\w+)+$/.test(name)) return []
    const offset = code.search(new RegExp(`(?<![\\w.-])${name}(?![\\w-])`))
    if (offset < 0) return []
    return [
      {
        offset,
        message: `this subtracts, and ${name} is a field too`,
        suggestion: `For the field write event["${name}"].`,
      },
    ]
  })
}
