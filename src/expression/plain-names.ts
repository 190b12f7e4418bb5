/** One name for each field: `event.amount` and `event["amount"]` are `amount`, `payload["cents"]` is `payload.cents`. */
import type { ASTNode } from '@marcbachmann/cel-js'
import { bindingOf, memberOf, visit } from './ast.ts'
import { loopOf } from './loops.ts'
import type { ExpressionScope } from './scope.ts'

const group = 'event'
// The parser takes them for its own behind a point.
const words: ReadonlySet<string> = new Set(['in', 'true', 'false', 'null'])

/** A tree that means the same. Only what names and texts say is copied. */
export function withPlainNames<Context>(root: ASTNode, scope: ExpressionScope<Context>): ASTNode {
  let isHidden = false
  visit(root, (node) => {
    // `list.exists(amount, …)`, `cel.bind(event, …)`: there the name stands for something else.
    const local = loopOf(node)?.local ?? bindingOf(node)?.name
    if (local !== undefined) isHidden ||= local === group || scope.groups.get(group)?.has(local) === true
  })
  return isHidden ? root : plain(root, scope)
}

function plain<Context>(node: ASTNode, scope: ExpressionScope<Context>): ASTNode {
  const member = memberOf(node)
  if (member === null) return { ...node, args: plainParts(node.args, scope) } as ASTNode
  const { holder, name } = member
  const variable =
    holder.op === 'id' && holder.args === group ? scope.groups.get(group)?.get(name) : undefined
  if (variable !== undefined && scope.variables.get(name) === variable)
    return { ...node, op: 'id', args: name }
  const inner = plain(holder, scope)
  const [, key] = node.args as readonly unknown[]
  return /^[A-Za-z_]\w*$/.test(name) && !words.has(name)
    ? { ...node, op: '.', args: [inner, name] }
    : ({ ...node, args: [inner, key] } as ASTNode)
}

function plainParts<Context>(args: unknown, scope: ExpressionScope<Context>): unknown {
  if (Array.isArray(args)) return args.map((arg: unknown) => plainParts(arg, scope))
  return typeof args === 'object' && args !== null && 'op' in args ? plain(args as ASTNode, scope) : args
}
