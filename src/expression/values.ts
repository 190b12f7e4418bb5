/**
 * Values of running expressions, and what operators do with them.
 *
 * Undefined is *missing*: a field that is absent or null. A Failure is an *error*: what is there cannot be used so. Doubles
 * are numbers; ints of CEL (literals, sizes) and whole numbers of events beyond 2^53 are bigints.
 */
import { callEngine } from './engine.ts'
import { Failure } from './failure.ts'
import { arithmetic } from './language.ts'

export type Value = unknown

/** Of two operands that give no result together: an error is not hidden by something missing. */
export function worse(a: Value, b: Value): Failure | undefined {
  if (a instanceof Failure) return a
  return b instanceof Failure ? b : undefined
}

export function isUsable(value: Value): boolean {
  return value !== undefined && !(value instanceof Failure)
}

export function isNumeric(value: Value): value is number | bigint {
  return typeof value === 'number' || typeof value === 'bigint'
}

/** The value, or a Failure when it is there and no condition. */
export function condition(op: string, value: Value): Value {
  if (typeof value === 'boolean' || !isUsable(value)) return value
  return new Failure(`${op} of ${kindOf(value)}, which is no condition`)
}

/** What people call it. */
export function kindOf(value: Value): string {
  if (isNumeric(value)) return 'number'
  if (typeof value === 'string') return 'text'
  if (typeof value === 'boolean') return 'condition'
  if (Array.isArray(value)) return 'list'
  if (isGroup(value)) return 'object'
  return value === undefined || value === null ? 'null' : value.constructor.name.toLowerCase()
}

/** An object of the event: JSON's, or a record of Avro, which has a class of its own. */
export function isGroup(value: Value): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !isExotic(value)
}

/** Times, durations, bytes, types: objects of the engine, and what JavaScript has of its own. */
function isExotic(value: Value): boolean {
  if (typeof value !== 'object' || value === null) return false
  return value instanceof Date || ArrayBuffer.isView(value) || Symbol.toStringTag in value
}

/** Whole numbers beyond 2^53 keep their digits where the result is whole too. Texts and lists are joined by +. */
export function calculate(op: string, a: Value, b: Value): Value {
  if (typeof a === 'number' && typeof b === 'number') return arithmetic[op]!(a, b)
  if (!isUsable(a) || !isUsable(b)) return worse(a, b)
  if (isNumeric(a) && isNumeric(b)) return exactly(op, a, b) ?? arithmetic[op]!(Number(a), Number(b))
  if (op === '+' && typeof a === 'string' && typeof b === 'string') return a + b
  if (op === '+' && Array.isArray(a) && Array.isArray(b)) return [...(a as unknown[]), ...(b as unknown[])]
  return isExotic(a) || isExotic(b) ? callEngine(`a0 ${op} a1`, [a, b]) : noOverload(op, a, b)
}

/** Null: not two whole numbers, or none that keeps its digits. */
function exactly(op: string, a: number | bigint, b: number | bigint): number | bigint | null {
  if (!isWholeNumber(a) || !isWholeNumber(b) || op === '/') return null
  const [left, right] = [BigInt(a), BigInt(b)]
  if (op === '%' && right === 0n) return null
  return narrowed(
    op === '+' ? left + right : op === '-' ? left - right : op === '*' ? left * right : left % right,
  )
}

function isWholeNumber(value: number | bigint): boolean {
  return typeof value === 'bigint' || Number.isSafeInteger(value)
}

/** As numbers of events are: doubles up to 2^53. */
function narrowed(value: bigint): number | bigint {
  const number = Number(value)
  return Number.isSafeInteger(number) ? number : value
}

const intMax = 2n ** 63n - 1n
const uintMax = 2n ** 64n - 1n

/** Arithmetic of two ints of CEL: 64 bits, and division drops the rest. */
export function calculateWhole(op: string, a: Value, b: Value, signed: boolean): Value {
  if (typeof a !== 'bigint' || typeof b !== 'bigint') return calculate(op, a, b)
  if (b === 0n && (op === '/' || op === '%')) return new Failure('division by zero')
  const result = op === '+' ? a + b : op === '-' ? a - b : op === '*' ? a * b : op === '/' ? a / b : a % b
  const fits = signed ? result <= intMax && result >= -intMax - 1n : result >= 0n && result <= uintMax
  return fits ? result : new Failure(`the result of ${op} does not fit 64 bits`)
}

/** Exact, also between a double and a whole number beyond 2^53. Values of different kinds are not equal. */
export function equal(a: Value, b: Value): boolean {
  // oxlint-disable-next-line eqeqeq -- 5n == 5: JavaScript compares the two exactly
  if (isNumeric(a) && isNumeric(b)) return a == b
  if (a === b) return true
  if (Array.isArray(a) && Array.isArray(b))
    return a.length === b.length && a.every((item, i) => equal(item ?? undefined, b[i] ?? undefined))
  if (isGroup(a) && isGroup(b)) return equalGroups(a, b)
  return isExotic(a) && isExotic(b) && callEngine('a0 == a1', [a, b]) === true
}

function equalGroups(a: Readonly<Record<string, unknown>>, b: Readonly<Record<string, unknown>>): boolean {
  const names = Object.keys(a)
  return (
    names.length === Object.keys(b).length &&
    names.every((name) => Object.hasOwn(b, name) && equal(a[name] ?? undefined, b[name] ?? undefined))
  )
}

const orders: Readonly<Record<string, (a: never, b: never) => boolean>> = {
  '<': (a, b) => a < b,
  '<=': (a, b) => a <= b,
  '>': (a, b) => a > b,
  '>=': (a, b) => a >= b,
}

export const comparisons: ReadonlySet<string> = new Set(['==', '!=', ...Object.keys(orders)])

export function compare(op: string, a: Value, b: Value): Value {
  if (!isUsable(a) || !isUsable(b)) return worse(a, b)
  if (op === '==') return equal(a, b)
  if (op === '!=') return !equal(a, b)
  const order = orders[op] as (a: Value, b: Value) => boolean
  if (isNumeric(a) ? isNumeric(b) : typeof a === typeof b && typeof a !== 'object') return order(a, b)
  return isExotic(a) && isExotic(b) ? callEngine(`a0 ${op} a1`, [a, b]) : noOverload(op, a, b)
}

/** Two doubles, which is what nearly every comparison is between. */
export const comparedNumbers: Readonly<Record<string, (a: number, b: number) => boolean>> = {
  ...(orders as Readonly<Record<string, (a: number, b: number) => boolean>>),
  '==': (a, b) => a === b,
  '!=': (a, b) => a !== b,
}

/** An item of a list, or a name of an object. */
export function isIn(item: Value, holder: Value): Value {
  if (!isUsable(item) || !isUsable(holder)) return worse(item, holder)
  if (Array.isArray(holder)) return holder.some((other) => equal(item, other ?? undefined))
  if (isGroup(holder)) return isKey(item) && Object.hasOwn(holder, String(item))
  return noOverload('in', item, holder)
}

/** A field of an object, or an item of a list. An absent or null one is missing; an index beyond the list is an error. */
export function select(holder: Value, key: Value): Value {
  if (!isUsable(holder) || !isUsable(key)) return worse(holder, key)
  if (Array.isArray(holder)) return itemOf(holder, key)
  if (!isGroup(holder)) return new Failure(`${kindOf(holder)} has no fields`)
  if (!isKey(key)) return new Failure(`fields are named by text, not by ${kindOf(key)}`)
  const name = String(key)
  return Object.hasOwn(holder, name) ? (holder[name] ?? undefined) : undefined
}

function isKey(value: Value): value is string | number | bigint | boolean {
  return typeof value === 'string' || typeof value === 'boolean' || isNumeric(value)
}

function itemOf(list: readonly unknown[], key: Value): Value {
  const index = isNumeric(key) ? Number(key) : NaN
  if (!Number.isInteger(index)) return new Failure('items of a list are named by whole numbers')
  if (index < 0 || index >= list.length) return new Failure(`index outside a list of ${list.length}`)
  return list[index] ?? undefined
}

export function noOverload(op: string, a: Value, b: Value): Failure {
  return new Failure(`${kindOf(a)} ${op} ${kindOf(b)} is not defined`)
}
