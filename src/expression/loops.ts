/** `exists(x, …)` and its like. */
import type { ASTNode } from '@marcbachmann/cel-js'
import { Failure } from './failure.ts'
import { condition } from './values.ts'
import type { Value } from './values.ts'

/** Goes over the items; `steps` see the one in turn. */
export type Loop = (items: readonly Value[], steps: readonly ((item: Value) => Value)[]) => Value

const loops: Readonly<Record<string, Loop>> = {
  'exists/2': (items, [test]) => settled(items, test!, true),
  'all/2': (items, [test]) => settled(items, test!, false),
  'exists_one/2': (items, [test]) => {
    const kept = filtered(items, test!)
    return Array.isArray(kept) ? kept.length === 1 : kept
  },
  'filter/2': (items, [test]) => filtered(items, test!),
  'map/2': (items, [transform]) => firstFailure(items.map(transform!)),
  'map/3': (items, [test, transform]) => {
    const kept = filtered(items, test!)
    return Array.isArray(kept) ? firstFailure(kept.map(transform!)) : kept
  },
}

/** The loop that a node is, and the name that its items have in there; null: it is none. */
export function loopOf(node: ASTNode): { readonly loop: Loop; readonly local: string } | null {
  if (node.op !== 'rcall') return null
  const [name, , operands] = node.args
  const loop = loops[`${name}/${operands.length}`]
  const local = operands[0]
  return loop === undefined || local?.op !== 'id' ? null : { loop, local: local.args }
}

/** As `||` (or `&&`) over all of them: one that settles it hides errors of the others. */
function settled(items: readonly Value[], test: (item: Value) => Value, settles: boolean): Value {
  let trouble: Value = !settles
  for (const item of items) {
    const value = condition('exists', test(item))
    if (value === settles) return settles
    if (value !== !settles && !(trouble instanceof Failure)) trouble = value
  }
  return trouble
}

/** An item without an answer leaves no list. */
function filtered(items: readonly Value[], test: (item: Value) => Value): Value {
  const kept: Value[] = []
  for (const item of items) {
    const value = condition('filter', test(item))
    if (typeof value !== 'boolean') return value
    if (value) kept.push(item)
  }
  return kept
}

/** The items, unless one of them is an error. */
export function firstFailure(items: readonly Value[]): Value {
  return items.find((item) => item instanceof Failure) ?? items
}
