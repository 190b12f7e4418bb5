/** What the engine's parser and type check leave in a syntax tree beyond its published types. */
import type { ASTNode } from '@marcbachmann/cel-js'

interface Macro {
  readonly args?: readonly ASTNode[]
  readonly var?: string
  readonly val?: ASTNode
  readonly exp?: ASTNode
  typeCheck(checker: Checker, macro: Macro, context: unknown): unknown
}

interface Checker {
  check(node: ASTNode, context: unknown): unknown
  getType(name: string): unknown
  createError(code: string, message: string, node: ASTNode): Error
}

interface Annotated {
  readonly checkedType?: { readonly name: string }
  readonly meta?: { readonly macro?: Macro }
}

/** Name of the type that the check found: `double`, `int`, `dyn`, …; null before it. */
export function typeOf(node: ASTNode): string | null {
  return (node as Annotated).checkedType?.name ?? null
}

/** `has(x)` takes any field, not only members of objects. */
export function loosenHas(root: ASTNode): void {
  visit(root, (node) => {
    const macro = node.op === 'call' && node.args[0] === 'has' ? (node as Annotated).meta?.macro : undefined
    if (macro === undefined) return
    macro.typeCheck = (checker, { args }, context) => {
      const [field] = args ?? []
      if (field === undefined || !['id', '.', '[]'].includes(field.op))
        throw checker.createError('invalid_macro_argument', 'has() asks for a field', field ?? node)
      checker.check(field, context)
      return checker.getType('bool')
    }
  })
}

/** `cel.bind(name, value, expression)`. */
export function bindingOf(node: ASTNode): { name: string; value: ASTNode; body: ASTNode } | null {
  const macro = node.op === 'rcall' && node.args[0] === 'bind' ? (node as Annotated).meta?.macro : undefined
  if (macro?.var === undefined || macro.val === undefined || macro.exp === undefined) return null
  return { name: macro.var, value: macro.val, body: macro.exp }
}

export function visit(node: unknown, see: (node: ASTNode) => void): void {
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

/** `features.x` and `features["x"]`. */
export function memberOf(node: ASTNode): { holder: ASTNode; name: string } | null {
  if (node.op === '.') return { holder: node.args[0], name: node.args[1] }
  if (node.op !== '[]') return null
  const [holder, key] = node.args
  return key.op === 'value' && typeof key.args === 'string' ? { holder, name: key.args } : null
}

/** The literal of a node, a minus before it included; null for all else. */
export function literalOf(node: ASTNode): { readonly value: unknown } | null {
  if (node.op === 'value') return { value: node.args }
  if (node.op !== '-_' || node.args.op !== 'value') return null
  const { args } = node.args
  return typeof args === 'number' || typeof args === 'bigint' ? { value: -args } : null
}

export function isNull(node: ASTNode): boolean {
  return node.op === 'value' && node.args === null
}
