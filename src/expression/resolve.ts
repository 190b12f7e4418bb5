/** Which variable a part of an expression names: `x`, `features.x`, `event["x"].y`. */
import type { ASTNode } from '@marcbachmann/cel-js'
import { memberOf } from './ast.ts'
import type { ExpressionScope, FieldType, Variable } from './scope.ts'

export interface Named<Context> {
  /** `x` or `features.x`. */
  readonly name: string
  readonly variable: Variable<Context>
}

/** Null for all but a variable as a whole. */
export function variableOf<Context>(node: ASTNode, scope: ExpressionScope<Context>): Named<Context> | null {
  if (node.op === 'id') {
    const variable = scope.variables.get(node.args)
    return variable === undefined ? null : { name: node.args, variable }
  }
  const member = memberOf(node)
  if (member === null || member.holder.op !== 'id') return null
  const group = member.holder.args
  const variable = scope.groups.get(group)?.get(member.name)
  return variable === undefined ? null : { name: `${group}.${member.name}`, variable }
}

/** Type of a variable or of a field inside one; null where it is not known. */
export function fieldTypeOf<Context>(node: ASTNode, scope: ExpressionScope<Context>): FieldType | null {
  const named = variableOf(node, scope)
  if (named !== null) return named.variable
  if (node.op === '[]' && memberOf(node) === null) return fieldTypeOf(node.args[0], scope)?.items ?? null
  const member = memberOf(node)
  return member === null ? null : (fieldTypeOf(member.holder, scope)?.members?.get(member.name) ?? null)
}
