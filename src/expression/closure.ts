/**
 * Expressions as plain JavaScript closures, several times faster than the engine, which parses and checks them. Each means
 * what CEL means (a property test compares them with the engine), but for numbers of events: see values.ts.
 */
import type { ASTNode } from '@marcbachmann/cel-js'
import { bindingOf, isNull, memberOf, typeOf, visit } from './ast.ts'
import { takeStep, takeStepsFor, withinBudget, type Budget } from './budget.ts'
import { callEngine, plain } from './engine.ts'
import { Failure } from './failure.ts'
import { functionOf, methodOf } from './functions.ts'
import { arithmetic, numberFunctions } from './language.ts'
import type { NumberFunction } from './language.ts'
import { firstFailure, loopOf } from './loops.ts'
import type { Loop } from './loops.ts'
import { precisionOf, rounded } from './precision.ts'
import type { Precision } from './precision.ts'
import { variableOf } from './resolve.ts'
import type { ExpressionScope, Variable, VariableType } from './scope.ts'
import {
  calculate,
  calculateWhole,
  compare,
  comparedNumbers,
  comparisons,
  condition,
  isIn,
  isNumeric,
  isUsable,
  kindOf,
  select,
  worse,
} from './values.ts'
import type { Value } from './values.ts'

/** Undefined where missing, a Failure in error. */
export type Closure<Context> = (context: Context) => Value

/** What a name stands for inside `exists(name, …)`. */
interface Cell {
  value: Value
}

interface Compiling<Context> {
  readonly scope: ExpressionScope<Context>
  readonly locals: ReadonlyMap<string, Cell>
  readonly budget: Budget
  /** It is run once for each item of something. */
  readonly inLoop: boolean
}

/** `node` must have passed the type check. */
export function toClosure<Context>(node: ASTNode, scope: ExpressionScope<Context>): Closure<Context> {
  const budget: Budget = { left: 0 }
  const run = compile(node, { scope, locals: new Map(), budget, inLoop: false })
  return hasLoop(node) ? withinBudget(budget, run) : run
}

function hasLoop(root: ASTNode): boolean {
  let found = false
  visit(root, (node) => {
    found ||= loopOf(node) !== null
  })
  return found
}

function compile<Context>(node: ASTNode, at: Compiling<Context>): Closure<Context> {
  switch (node.op) {
    case 'value':
      return constant(plain(node.args))
    case 'id':
    case '.':
    case '[]':
      return access(node, at)
    case 'call':
      return call(node.args, at)
    case 'rcall':
      return method(node, at)
    case '&&':
    case '||':
      return logical(node.op, compile(node.args[0], at), compile(node.args[1], at))
    case '!_':
      return negation(compile(node.args, at))
    case '-_':
      return minus(compile(node.args, at))
    case '?:':
      return choice(node.args, at)
    case 'list': {
      const items = node.args.map((item) => compile(item, at))
      if (node.args.every(({ op }) => op === 'value'))
        return constant(items.map((item) => item(undefined as never)))
      return (context) => firstFailure(items.map((item) => item(context)))
    }
    case 'map':
      return object(node.args, at)
    default:
      return binary(node.op, node.args as [ASTNode, ASTNode], at)
  }
}

function constant<Context>(value: Value): Closure<Context> {
  return () => value
}

function object<Context>(
  entries: readonly (readonly [ASTNode, ASTNode])[],
  at: Compiling<Context>,
): Closure<Context> {
  const members = entries.map(([key, value]) => [compile(key, at), compile(value, at)] as const)
  return (context) => {
    const made: Record<string, Value> = {}
    for (const [key, value] of members) {
      const name = key(context)
      const member = value(context)
      if (!isUsable(name) || member instanceof Failure) return worse(name, member)
      Object.defineProperty(made, String(name), { value: member, enumerable: true, configurable: true })
    }
    return made
  }
}

function access<Context>(node: ASTNode, at: Compiling<Context>): Closure<Context> {
  const { scope, locals } = at
  const cell = node.op === 'id' ? locals.get(node.args) : undefined
  if (cell !== undefined) return () => cell.value
  const member = memberOf(node)
  const isShadowed = member?.holder.op === 'id' && locals.has(member.holder.args)
  const named = isShadowed ? null : variableOf(node, scope)
  if (named !== null) return variable(named.name, named.variable)
  if (node.op === 'id') return typeName(node)
  const [holder, key] = node.args as [ASTNode, ASTNode | string]
  if (holder.op === 'id' && !locals.has(holder.args)) refuseWordAsHolder(holder, scope)
  const keyed: Closure<Context> = typeof key === 'string' ? constant(key) : compile(key, at)
  const group = holder.op === 'id' && !locals.has(holder.args) ? scope.groups.get(holder.args) : undefined
  if (group !== undefined) {
    const members = [...group].map(([name, member]) => [name, variable(name, member)] as const)
    const byName = new Map<Value, Closure<Context>>(members)
    return (context) => {
      const name = keyed(context)
      return isUsable(name) ? byName.get(name)?.(context) : name
    }
  }
  const held = compile(holder, at)
  return (context) => select(held(context), keyed(context))
}

/** Names of types, for type(x) == string. */
function typeName<Context>(node: Extract<ASTNode, { op: 'id' }>): Closure<Context> {
  const type = callEngine(node.args, [])
  if (type instanceof Failure) throw new NoField(node)
  return constant(type)
}

/** Thrown where a name stands for no field of the event, which the type check lets pass. */
export class NoField extends Error {
  readonly node: Extract<ASTNode, { op: 'id' }>
  constructor(node: Extract<ASTNode, { op: 'id' }>) {
    super(`${node.args} is no field`)
    this.node = node
  }
}

/** `map.size`: types have no members. Namespaces of the engine (`google.protobuf.Timestamp`) do. */
function refuseWordAsHolder<Context>(
  holder: Extract<ASTNode, { op: 'id' }>,
  { variables, groups }: ExpressionScope<Context>,
): void {
  if (variables.has(holder.args) || groups.has(holder.args)) return
  const isField = groups.get('event')?.has(holder.args) === true
  if (isField || !namespaces.has(holder.args)) throw new NoField(holder)
}

const namespaces: ReadonlySet<string> = new Set(['google'])

const expectations: Readonly<Record<Exclude<VariableType, 'any'>, (value: unknown) => boolean>> = {
  number: isNumeric,
  boolean: (value) => typeof value === 'boolean',
  text: (value) => typeof value === 'string',
  texts: Array.isArray,
  numbers: Array.isArray,
  list: Array.isArray,
  object: (value) => typeof value === 'object' && value !== null && !Array.isArray(value),
}

function variable<Context>(name: string, found: Variable<Context>): Closure<Context> {
  const { type } = found
  if (type === 'any') return (context) => found.read(context) ?? undefined
  const fits = expectations[type]
  return (context) => {
    const value = found.read(context)
    if (fits(value)) return value
    return value === undefined || value === null
      ? undefined
      : new Failure(`${name} is ${kindOf(value)}, not ${type}`)
  }
}

function binary<Context>(
  op: string,
  args: readonly [ASTNode, ASTNode],
  at: Compiling<Context>,
): Closure<Context> {
  if (comparisons.has(op) && (isNull(args[0]) || isNull(args[1]))) return nullTest(op, args, at)
  const whole = args.every((arg) => wholeTypes.has(typeOf(arg) ?? ''))
  const [left, right] = args.map((arg) => (whole ? compile(arg, at) : operand(arg, at))) as [
    Closure<Context>,
    Closure<Context>,
  ]
  if (op === 'in') return membership(left, charged(right, at), precisionOf(args, at))
  if (comparisons.has(op)) return comparing(op, left, right, precisionOf(args, at))
  if (whole) {
    const signed = typeOf(args[0]) === 'int'
    return (context) => calculateWhole(op, left(context), right(context), signed)
  }
  const compute = arithmetic[op]!
  return (context) => {
    const a = left(context)
    const b = right(context)
    return typeof a === 'number' && typeof b === 'number' ? compute(a, b) : calculate(op, a, b)
  }
}

const wholeTypes: ReadonlySet<string> = new Set(['int', 'uint'])

/** A literal beside a double is one, where that changes nothing. */
function operand<Context>(node: ASTNode, at: Compiling<Context>): Closure<Context> {
  if (node.op === 'value' && typeof node.args === 'bigint' && Number.isSafeInteger(Number(node.args)))
    return constant(Number(node.args))
  return compile(node, at)
}

/** `x == null`: it is missing. */
function nullTest<Context>(
  op: string,
  args: readonly [ASTNode, ASTNode],
  at: Compiling<Context>,
): Closure<Context> {
  const tested = compile(isNull(args[0]) ? args[1] : args[0], at)
  return (context) => {
    const value = tested(context)
    return value instanceof Failure ? value : (value === undefined) === (op === '==')
  }
}

function comparing<Context>(
  op: string,
  left: Closure<Context>,
  right: Closure<Context>,
  precision: Precision<Context> | null,
): Closure<Context> {
  const compute = comparedNumbers[op]!
  if (precision === null) {
    return (context) => {
      const a = left(context)
      const b = right(context)
      return typeof a === 'number' && typeof b === 'number' ? compute(a, b) : compare(op, a, b)
    }
  }
  return (context) => {
    const round = precision(context)
    return compare(op, rounded(left(context), round), rounded(right(context), round))
  }
}

/** Inside a loop: what looks at all of a list or a text is paid for. */
function charged<Context>(run: Closure<Context>, { inLoop, budget }: Compiling<Context>): Closure<Context> {
  if (!inLoop) return run
  return (context) => {
    const value = run(context)
    takeStepsFor(budget, value)
    return value
  }
}

/** `"late" in flags`, `mcc in [5411, 5812]`. */
function membership<Context>(
  item: Closure<Context>,
  list: Closure<Context>,
  precision: Precision<Context> | null,
): Closure<Context> {
  if (precision === null) return (context) => isIn(item(context), list(context))
  return (context) => {
    const round = precision(context)
    return isIn(rounded(item(context), round), rounded(list(context), round))
  }
}

function logical<Context>(
  op: '&&' | '||',
  left: Closure<Context>,
  right: Closure<Context>,
): Closure<Context> {
  const settles = op === '||'
  return (context) => {
    const a = left(context)
    if (a === settles) return settles
    const b = right(context)
    if (b === settles) return settles
    return a === !settles && b === !settles ? !settles : worse(condition(op, a), condition(op, b))
  }
}

function negation<Context>(operand: Closure<Context>): Closure<Context> {
  return (context) => {
    const value = condition('!', operand(context))
    return typeof value === 'boolean' ? !value : value
  }
}

function minus<Context>(operand: Closure<Context>): Closure<Context> {
  return (context) => {
    const value = operand(context)
    if (isNumeric(value)) return -value
    return isUsable(value) ? new Failure(`-${kindOf(value)} is not defined`) : value
  }
}

function choice<Context>(
  args: readonly [ASTNode, ASTNode, ASTNode],
  at: Compiling<Context>,
): Closure<Context> {
  const [asked, yes, no] = args.map((arg) => compile(arg, at)) as [
    Closure<Context>,
    Closure<Context>,
    Closure<Context>,
  ]
  return (context) => {
    const chosen = condition('?', asked(context))
    return typeof chosen === 'boolean' ? (chosen ? yes(context) : no(context)) : chosen
  }
}

function call<Context>(
  [name, operands]: readonly [string, readonly ASTNode[]],
  at: Compiling<Context>,
): Closure<Context> {
  const args = operands.map((arg) => compile(arg, at))
  if (name === 'has') {
    return (context) => {
      const value = args[0]!(context)
      return value instanceof Failure ? value : value !== undefined
    }
  }
  const apply = functionOf(name, args.length)
  const slow: Closure<Context> = (context) =>
    applied(
      apply,
      args.map((arg) => arg(context)),
    )
  const numbers = numberFunctions.get(name)
  return numbers === undefined ? slow : ofNumbers(numbers, args, slow)
}

/** Doubles in, a double out, without a list of them; `slow` does what is not that. */
function ofNumbers<Context>(
  { arity, apply }: NumberFunction,
  args: readonly Closure<Context>[],
  slow: Closure<Context>,
): Closure<Context> {
  const first = args[0]!
  const second: Closure<Context> = arity === 1 ? () => 0 : args[1]!
  return (context) => {
    const a = first(context)
    const b = second(context)
    return typeof a === 'number' && typeof b === 'number' ? apply(a, b) : slow(context)
  }
}

function applied(apply: (args: readonly Value[]) => Value, values: readonly Value[]): Value {
  const failure = values.find((value) => value instanceof Failure)
  if (failure !== undefined) return failure
  return values.includes(undefined) ? undefined : apply(values)
}

function method<Context>(node: ASTNode, at: Compiling<Context>): Closure<Context> {
  const binding = bindingOf(node)
  if (binding !== null) {
    const cell: Cell = { value: undefined }
    const value = compile(binding.value, at)
    const body = compile(binding.body, within(at, binding.name, cell))
    return (context) => {
      cell.value = value(context)
      return cell.value instanceof Failure ? cell.value : body(context)
    }
  }
  const [name, receiver, operands] = node.args as [string, ASTNode, readonly ASTNode[]]
  const held = charged(compile(receiver, at), at)
  const found = loopOf(node)
  if (found !== null) {
    const cell: Cell = { value: undefined }
    const inner = { ...within(at, found.local, cell), inLoop: true }
    return looping(
      found.loop,
      held,
      operands.slice(1).map((step) => compile(step, inner)),
      cell,
      at.budget,
    )
  }
  const args = operands.map((arg) => compile(arg, at))
  const apply = methodOf(name, args.length)
  return (context) => applied(apply, [held(context), ...args.map((arg) => arg(context))])
}

function within<Context>(at: Compiling<Context>, name: string, cell: Cell): Compiling<Context> {
  return { ...at, locals: new Map([...at.locals, [name, cell]]) }
}

function looping<Context>(
  loop: Loop,
  held: Closure<Context>,
  bodies: readonly Closure<Context>[],
  cell: Cell,
  budget: Budget,
): Closure<Context> {
  return (context) => {
    const holder = held(context)
    if (!isUsable(holder)) return holder
    if (typeof holder !== 'object' || holder === null) return new Failure(`${kindOf(holder)} has no items`)
    const items = Array.isArray(holder)
      ? holder.map((item) => (item as unknown) ?? undefined)
      : Object.keys(holder)
    const steps = bodies.map((body) => (item: Value) => {
      takeStep(budget)
      cell.value = item
      return body(context)
    })
    return loop(items, steps)
  }
}
