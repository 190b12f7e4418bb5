/**
 * The common forms of CEL as plain JavaScript closures, several times faster than the engine. Each means exactly what
 * the engine means (a property test compares them); whatever is not here is left to the engine.
 */
import type { ASTNode } from '@marcbachmann/cel-js'
import { arithmetic, numberFunctions } from './language.ts'
import type { ExpressionScope, Variable } from './scope.ts'

/** Undefined: an error, such as a missing field; CEL carries it through all operators but `false &&` and `true ||`. */
export type Closure<Context> = (context: Context) => number | boolean | string | undefined

type Kind = 'number' | 'boolean' | 'text'
/** `literal`: an int literal, which is a number only beside one. */
interface Typed<Context> {
  readonly kind: Kind
  readonly literal: boolean
  readonly run: Closure<Context>
}

const comparisons: Readonly<Record<string, (a: never, b: never) => boolean>> = {
  '<': (a, b) => a < b,
  '<=': (a, b) => a <= b,
  '>': (a, b) => a > b,
  '>=': (a, b) => a >= b,
  '==': (a, b) => a === b,
  '!=': (a, b) => a !== b,
}

const typeofKind = { number: 'number', boolean: 'boolean', text: 'string' } as const

/** Null when some part is left to the engine. `node` must have passed the type check. */
export function toClosure<Context>(node: ASTNode, scope: ExpressionScope<Context>): Closure<Context> | null {
  const typed = compile(node, scope)
  return typed === null || typed.literal ? null : typed.run
}

function compile<Context>(node: ASTNode, scope: ExpressionScope<Context>): Typed<Context> | null {
  switch (node.op) {
    case 'value':
      return literal(node.args)
    case 'id':
      return variable(scope.variables.get(node.args))
    case '.': {
      const [group, member] = node.args
      if (group.op !== 'id' || scope.variables.has(group.args)) return null
      return variable(scope.groups.get(group.args)?.get(member))
    }
    case 'call':
      return call(node.args, scope)
    case '&&':
    case '||':
      return logical(node.op === '||', node.args, scope)
    case '!_':
      return negation(compile(node.args, scope))
    case '-_':
      return minus(compile(node.args, scope))
    case '?:':
      return choice(node.args, scope)
    case 'in':
      return membership(node.args, scope)
    default:
      return Object.hasOwn(arithmetic, node.op) || Object.hasOwn(comparisons, node.op)
        ? binary(node.op, node.args as [ASTNode, ASTNode], scope)
        : null
  }
}

function literal<Context>(value: unknown): Typed<Context> | null {
  if (typeof value === 'bigint') {
    const number = Number(value)
    return Number.isSafeInteger(number) ? { kind: 'number', literal: true, run: () => number } : null
  }
  if (typeof value === 'number') return { kind: 'number', literal: false, run: () => value }
  if (typeof value === 'boolean') return { kind: 'boolean', literal: false, run: () => value }
  if (typeof value === 'string') return { kind: 'text', literal: false, run: () => value }
  return null
}

function variable<Context>(found: Variable<Context> | undefined): Typed<Context> | null {
  if (found === undefined) return null
  const { type } = found
  if (type !== 'number' && type !== 'boolean' && type !== 'text') return null
  const expected = typeofKind[type]
  return {
    kind: type,
    literal: false,
    run: (context) => {
      const value = found.read(context)
      return typeof value === expected ? (value as number | boolean | string) : undefined
    },
  }
}

function binary<Context>(
  op: string,
  args: readonly [ASTNode, ASTNode],
  scope: ExpressionScope<Context>,
): Typed<Context> | null {
  const left = compile(args[0], scope)
  const right = compile(args[1], scope)
  // Two int literals are CEL's 64-bit arithmetic.
  if (left === null || right === null || left.kind !== right.kind || (left.literal && right.literal))
    return null
  const compute = arithmetic[op]
  if (compute !== undefined) return left.kind === 'number' ? arithmetical(compute, left.run, right) : null
  // Booleans and text are only compared for equality here; order of text is by code point in CEL.
  if (left.kind !== 'number' && op !== '==' && op !== '!=') return null
  const compare = comparisons[op] as (a: unknown, b: unknown) => boolean
  return { kind: 'boolean', literal: false, run: comparing(compare, left.run, right) }
}

function arithmetical<Context>(
  compute: (a: number, b: number) => number,
  left: Closure<Context>,
  right: Typed<Context>,
): Typed<Context> {
  return {
    kind: 'number',
    literal: false,
    run: (context) => {
      const a = left(context)
      const b = right.run(context)
      return a === undefined || b === undefined ? undefined : compute(a as number, b as number)
    },
  }
}

function comparing<Context>(
  compare: (a: unknown, b: unknown) => boolean,
  left: Closure<Context>,
  right: Typed<Context>,
): Closure<Context> {
  return (context) => {
    const a = left(context)
    const b = right.run(context)
    return a === undefined || b === undefined ? undefined : compare(a, b)
  }
}

function logical<Context>(
  settles: boolean,
  args: readonly [ASTNode, ASTNode],
  scope: ExpressionScope<Context>,
): Typed<Context> | null {
  const left = compile(args[0], scope)
  const right = compile(args[1], scope)
  if (left?.kind !== 'boolean' || right?.kind !== 'boolean') return null
  return {
    kind: 'boolean',
    literal: false,
    run: (context) => {
      const a = left.run(context)
      if (a === settles) return settles
      const b = right.run(context)
      if (b === settles) return settles
      return a === undefined || b === undefined ? undefined : !settles
    },
  }
}

function negation<Context>(operand: Typed<Context> | null): Typed<Context> | null {
  if (operand?.kind !== 'boolean') return null
  return {
    kind: 'boolean',
    literal: false,
    run: (context) => {
      const value = operand.run(context)
      return value === undefined ? undefined : !value
    },
  }
}

function minus<Context>(operand: Typed<Context> | null): Typed<Context> | null {
  if (operand?.kind !== 'number') return null
  return {
    kind: 'number',
    literal: operand.literal,
    run: (context) => {
      const value = operand.run(context)
      // An int literal has no negative zero.
      return value === undefined ? undefined : operand.literal ? 0 - (value as number) : -(value as number)
    },
  }
}

function choice<Context>(
  args: readonly [ASTNode, ASTNode, ASTNode],
  scope: ExpressionScope<Context>,
): Typed<Context> | null {
  const [condition, yes, no] = args.map((arg) => compile(arg, scope)) as [
    Typed<Context> | null,
    Typed<Context> | null,
    Typed<Context> | null,
  ]
  if (condition?.kind !== 'boolean' || yes === null || no === null) return null
  if (yes.kind !== no.kind || yes.literal || no.literal) return null
  return {
    kind: yes.kind,
    literal: false,
    run: (context) => {
      const chosen = condition.run(context)
      return chosen === undefined ? undefined : chosen ? yes.run(context) : no.run(context)
    },
  }
}

function call<Context>(
  args: readonly [string, readonly ASTNode[]],
  scope: ExpressionScope<Context>,
): Typed<Context> | null {
  const [name, operands] = args
  const found = numberFunctions.get(name)
  if (found === undefined || operands.length !== found.arity) return null
  const first = compile(operands[0]!, scope)
  const second = found.arity === 1 ? first : compile(operands[1]!, scope)
  if (first?.kind !== 'number' || second?.kind !== 'number') return null
  return arithmetical((a, b) => found.apply(a, b), first.run, second)
}

/** `"late" in flags`, `country in ["FR", "DE"]`. */
function membership<Context>(
  args: readonly [ASTNode, ASTNode],
  scope: ExpressionScope<Context>,
): Typed<Context> | null {
  const item = compile(args[0], scope)
  if (item?.kind !== 'text') return null
  const list = textList(args[1], scope)
  if (list === null) return null
  return {
    kind: 'boolean',
    literal: false,
    run: (context) => {
      const value = item.run(context)
      const texts = list(context)
      return value === undefined || !Array.isArray(texts) ? undefined : texts.includes(value)
    },
  }
}

function textList<Context>(
  node: ASTNode,
  scope: ExpressionScope<Context>,
): ((context: Context) => unknown) | null {
  if (node.op === 'id') {
    const found = scope.variables.get(node.args)
    return found?.type === 'texts' ? (context) => found.read(context) : null
  }
  if (node.op !== 'list') return null
  const texts = node.args.map((item) => (item.op === 'value' ? item.args : null))
  return texts.every((text) => typeof text === 'string') ? () => texts : null
}
