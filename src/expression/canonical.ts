/**
 * The one way in which an expression is written when white space, comments, quotes and needless brackets do not count:
 * expressions with the same canonical text compute the same. It is CEL again, for people to read.
 */
import type { ASTNode } from '@marcbachmann/cel-js'

/** How tightly operators bind; a side that binds less gets brackets. */
const binding: Readonly<Record<string, number>> = {
  '?:': 1,
  '||': 2,
  '&&': 3,
  '==': 4,
  '!=': 4,
  '<': 5,
  '<=': 5,
  '>': 5,
  '>=': 5,
  in: 5,
  '+': 6,
  '-': 6,
  '*': 7,
  '/': 7,
  '%': 7,
  '!_': 8,
  '-_': 8,
}
const tightest = 9

export function canonicalText(node: ASTNode): string {
  switch (node.op) {
    case 'value':
      return literal(node.args)
    case 'id':
      return node.args
    case '?:': {
      const [condition, then, otherwise] = node.args
      const own = bindingOf(node)
      return `${within(condition, own + 1)} ? ${within(then, own + 1)} : ${within(otherwise, own)}`
    }
    case '!_':
      return `!${within(node.args, bindingOf(node))}`
    case '-_':
      return `-${within(node.args, tightest)}`
    case '.':
    case '.?':
      return `${within(node.args[0], tightest)}${node.op}${node.args[1]}`
    case '[]':
      return `${within(node.args[0], tightest)}[${canonicalText(node.args[1])}]`
    case '[?]':
      return `${within(node.args[0], tightest)}[?${canonicalText(node.args[1])}]`
    case 'call':
      return `${node.args[0]}(${listed(node.args[1])})`
    case 'rcall':
      return `${within(node.args[1], tightest)}.${node.args[0]}(${listed(node.args[2])})`
    case 'list':
      return `[${listed(node.args)}]`
    case 'map':
      return `{${node.args.map(([key, value]) => `${canonicalText(key)}: ${canonicalText(value)}`).join(', ')}}`
    default: {
      // Sums and products are computed from the left, and rounding depends on it: the right side keeps its brackets.
      const [left, right] = node.args
      const own = bindingOf(node)
      return `${within(left, own)} ${node.op} ${within(right, own + 1)}`
    }
  }
}

function listed(nodes: readonly ASTNode[]): string {
  return nodes.map(canonicalText).join(', ')
}

function within(node: ASTNode, least: number): string {
  const text = canonicalText(node)
  return bindingOf(node) < least ? `(${text})` : text
}

function bindingOf({ op }: ASTNode): number {
  return binding[op] ?? tightest
}

/** Whole numbers and decimals are of two kinds in CEL (7 / 2 is 3), so 1 and 1.0 stay apart. */
function literal(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value)
  if (typeof value === 'number') return decimal(value)
  if (typeof value === 'bigint' || typeof value === 'boolean' || value === null) return String(value)
  if (value instanceof Uint8Array)
    return `b"${Array.from(value, (byte) => `\\x${byte.toString(16).padStart(2, '0')}`).join('')}"`
  // CEL's uint is an object around a bigint.
  const whole = (value as object).valueOf()
  return typeof whole === 'bigint' ? `${whole}u` : JSON.stringify(whole)
}

function decimal(value: number): string {
  const text = String(value)
  return /^-?\d+$/.test(text) ? `${text}.0` : text
}
