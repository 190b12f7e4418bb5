/** Which way a number has to move for a condition to hold: read from the expression alone. */
import type { ASTNode } from '@marcbachmann/cel-js'
import type { ExpressionScope } from './scope.ts'

/**
 * `up`: holds above, never below again; `down`: the other way round; `none`: the number plays no part; `mixed`: a range, an
 * equality, or nothing that can be told from the text.
 */
export type Direction = 'up' | 'down' | 'none' | 'mixed'

/** How the condition (or number) `text` follows the variable `name`. `text` must compile in this scope. */
export function directionOf<Context>(text: string, name: string, scope: ExpressionScope<Context>): Direction {
  return follow(scope.environment.parse(text.trim()).ast, name)
}

const monotone: ReadonlySet<string> = new Set([
  'min',
  'max',
  'log',
  'double',
  'int',
  'round',
  'floor',
  'ceil',
])

function follow(node: ASTNode, name: string): Direction {
  switch (node.op) {
    case 'value':
      return 'none'
    case 'id':
      return node.args === name ? 'up' : 'none'
    case '&&':
    case '||':
    case '+':
      return both(follow(node.args[0], name), follow(node.args[1], name))
    case '-':
    case '>':
    case '>=':
      return both(follow(node.args[0], name), opposite(follow(node.args[1], name)))
    case '<':
    case '<=':
      return both(opposite(follow(node.args[0], name)), follow(node.args[1], name))
    case '!_':
    case '-_':
      return opposite(follow(node.args, name))
    case '*':
      return product(node.args[0], node.args[1], name)
    case '/':
      return follow(node.args[1], name) === 'none'
        ? scaled(follow(node.args[0], name), signOf(node.args[1]))
        : 'mixed'
    case '?:':
      return choice(node.args, name)
    case 'call': {
      const [called, operands] = node.args
      const directions = operands.map((operand) => follow(operand, name))
      if (directions.every((direction) => direction === 'none')) return 'none'
      return monotone.has(called) ? directions.reduce(both) : 'mixed'
    }
    default:
      return mentions(node.args, name) ? 'mixed' : 'none'
  }
}

function both(a: Direction, b: Direction): Direction {
  if (a === 'none') return b
  return b === 'none' || a === b ? a : 'mixed'
}

function opposite(direction: Direction): Direction {
  return direction === 'up' ? 'down' : direction === 'down' ? 'up' : direction
}

function product(a: ASTNode, b: ASTNode, name: string): Direction {
  const [left, right] = [follow(a, name), follow(b, name)]
  if (left === 'none') return scaled(right, signOf(a))
  return right === 'none' ? scaled(left, signOf(b)) : 'mixed'
}

function scaled(direction: Direction, sign: number): Direction {
  if (direction === 'none') return 'none'
  return sign > 0 ? direction : sign < 0 ? opposite(direction) : 'mixed'
}

/** Of a number that is written out; 0 where only the event tells. */
function signOf(node: ASTNode): number {
  if (node.op === '-_') return -signOf(node.args)
  if (node.op !== 'value') return 0
  return typeof node.args === 'bigint' || typeof node.args === 'number' ? Math.sign(Number(node.args)) : 0
}

/** `score > 0.5 ? true : false` is its condition, the other way round its opposite. */
function choice([condition, yes, no]: readonly [ASTNode, ASTNode, ASTNode], name: string): Direction {
  const branches = both(follow(yes, name), follow(no, name))
  const asked = follow(condition, name)
  if (asked === 'none') return branches
  if (yes.op !== 'value' || no.op !== 'value') return 'mixed'
  const [high, low] = [Number(yes.args), Number(no.args)]
  return high > low ? asked : high < low ? opposite(asked) : high === low ? 'none' : 'mixed'
}

function mentions(node: unknown, name: string): boolean {
  if (Array.isArray(node)) return node.some((each) => mentions(each, name))
  if (typeof node !== 'object' || node === null) return false
  if ('op' in node && node.op === 'id' && 'args' in node && node.args === name) return true
  return 'args' in node && mentions(node.args, name)
}
