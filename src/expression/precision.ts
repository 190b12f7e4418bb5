/** In which precision numbers are compared: that of a float32 score, where one is on either side. */
import type { ASTNode } from '@marcbachmann/cel-js'
import { variableOf } from './resolve.ts'
import type { ExpressionScope } from './scope.ts'
import { isNumeric } from './values.ts'
import type { Value } from './values.ts'

interface PrecisionScope<Context> {
  readonly scope: ExpressionScope<Context>
  /** Names that stand for something else here. */
  readonly locals: ReadonlyMap<string, unknown>
}

export type Precision<Context> = (context: Context) => ((value: number) => number) | null

/** Of the operand that has one of its own, or is computed from such and from literals: `1 - score`, `score * 100`. */
export function precisionOf<Context>(
  args: readonly ASTNode[],
  at: PrecisionScope<Context>,
): Precision<Context> | null {
  for (const arg of args) {
    const found = preciseIn(arg, at)
    if (found !== null && found !== 'literal') return (context) => found(context)
  }
  return null
}

/** Null: it reads something else too, whose precision is a double's. */
function preciseIn<Context>(
  node: ASTNode,
  at: PrecisionScope<Context>,
): Precision<Context> | 'literal' | null {
  switch (node.op) {
    case 'value':
      return 'literal'
    case 'id':
    case '.':
    case '[]': {
      if (node.op === 'id' && at.locals.has(node.args)) return null
      const variable = variableOf(node, at.scope)?.variable
      return variable?.precision === undefined ? null : (context) => variable.precision!(context)
    }
    case '-_':
      return preciseIn(node.args, at)
    case '+':
    case '-':
    case '*':
    case '/':
      return shared(node.args, at)
    case 'call':
      return ['min', 'max', 'abs'].includes(node.args[0]) ? shared(node.args[1], at) : null
    case '?:':
      return shared([node.args[1], node.args[2]], at)
    default:
      return null
  }
}

function shared<Context>(
  nodes: readonly ASTNode[],
  at: PrecisionScope<Context>,
): Precision<Context> | 'literal' | null {
  const all = nodes.map((node) => preciseIn(node, at))
  if (all.includes(null)) return null
  return all.find((found) => found !== 'literal') ?? 'literal'
}

export function rounded(value: Value, round: ((value: number) => number) | null): Value {
  if (round === null) return value
  if (Array.isArray(value)) return value.map((item) => rounded(item, round))
  return isNumeric(value) ? round(Number(value)) : value
}
