/**
 * What is added to CEL: numbers of events are doubles while CEL reads `100` as an int, so the operators between the two
 * are defined, and a few functions over numbers. Literals alone keep CEL's meaning: `1 / 2` is 0. The engine's type check
 * reads this; expressions run as closures (closure.ts), and a test compares the two.
 */
import type { Environment } from '@marcbachmann/cel-js'

type Numeric = number | bigint

const hourMs = 3_600_000
const dayMs = 86_400_000

/** Hour of the day in UTC, 0 to 23, of an epoch time in ms. */
export function hourUtc(timeMs: number): number {
  return modulo(Math.floor(timeMs / hourMs), 24)
}

/** Minute of the hour in UTC, 0 to 59. */
export function minuteUtc(timeMs: number): number {
  return modulo(Math.floor(timeMs / 60_000), 60)
}

/** Day of the week in UTC: Monday is 0, Sunday 6. Day 0 of the epoch was a Thursday. */
export function weekdayUtc(timeMs: number): number {
  return modulo(Math.floor(timeMs / dayMs) + 3, 7)
}

function modulo(value: number, by: number): number {
  return ((value % by) + by) % by
}

export interface NumberFunction {
  readonly arity: 1 | 2
  /** Whole for whole arguments. */
  readonly whole: boolean
  readonly apply: (a: number, b: number) => number
}

export const numberFunctions: ReadonlyMap<string, NumberFunction> = new Map<string, NumberFunction>([
  ['hourUtc', { arity: 1, whole: true, apply: hourUtc }],
  ['minuteUtc', { arity: 1, whole: true, apply: minuteUtc }],
  ['weekdayUtc', { arity: 1, whole: true, apply: weekdayUtc }],
  ['abs', { arity: 1, whole: true, apply: Math.abs }],
  ['log', { arity: 1, whole: false, apply: Math.log }],
  ['min', { arity: 2, whole: true, apply: Math.min }],
  ['max', { arity: 2, whole: true, apply: Math.max }],
])

export const arithmetic: Readonly<Record<string, (a: number, b: number) => number>> = {
  '+': (a, b) => a + b,
  '-': (a, b) => a - b,
  '*': (a, b) => a * b,
  '/': (a, b) => a / b,
  '%': (a, b) => a % b,
}

export function addArithmetic(environment: Environment): void {
  for (const [op, apply] of Object.entries(arithmetic)) {
    const mixed = (a: Numeric, b: Numeric): number => apply(Number(a), Number(b))
    environment.registerOperator(`double ${op} int: double`, mixed)
    environment.registerOperator(`int ${op} double: double`, mixed)
    if (op === '%') environment.registerOperator('double % double: double', mixed)
  }
  // `int == double`, its mirror and both `!=` follow from this one.
  environment.registerOperator('double == int: bool', (a: number, b: bigint) => a === Number(b))
  environment.registerOperator('double in list<int>: bool', (a: number, list: Iterable<bigint>) =>
    Array.from(list).some((item) => a === Number(item)),
  )
  environment.registerOperator('int in list<double>: bool', (a: bigint, list: Iterable<number>) =>
    Array.from(list).some((item) => Number(a) === item),
  )
}

/** `x == null`: whether it is missing. CEL knows null only beside null and what has no type. */
export function addNullTests(environment: Environment, types: Iterable<string>): void {
  for (const type of types) environment.registerOperator(`${type} == null: bool`, () => false)
}

export function addFunctions(environment: Environment): void {
  for (const [name, { arity, apply }] of numberFunctions) {
    const handler = (a: Numeric, b: Numeric = 0): number => apply(Number(a), Number(b))
    const types = ['double', 'int']
    const signatures = arity === 1 ? types : types.flatMap((a) => types.map((b) => `${a}, ${b}`))
    for (const signature of signatures) {
      environment.registerFunction(`${name}(${signature}): double`, handler)
    }
  }
}
