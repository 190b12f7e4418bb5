/** Text to other types, as strictly as JSON reads it: what a lenient reader makes of "", "0x10" or " 7" is a guess. */
import { callEngine } from './engine.ts'
import { Failure } from './failure.ts'
import type { Value } from './values.ts'

const jsonNumber = /^-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?$/
const jsonInteger = /^-?(?:0|[1-9][0-9]*)$/
const intMax = 2n ** 63n - 1n
const uintMax = 2n ** 64n - 1n

/** Conversions by name, of one argument that is there. */
export const conversions: ReadonlyMap<string, (value: Value) => Value> = new Map<
  string,
  (value: Value) => Value
>([
  ['double', toDouble],
  ['int', (value) => toWhole('int', value, -intMax - 1n, intMax)],
  ['uint', (value) => toWhole('uint', value, 0n, uintMax)],
  ['timestamp', toTimestamp],
  ['duration', toDuration],
])

function toDouble(value: Value): Value {
  if (typeof value === 'number') return value
  if (typeof value === 'bigint') return Number(value)
  if (typeof value !== 'string') return failure('double', value)
  const number = jsonNumber.test(value) ? Number(value) : NaN
  return Number.isFinite(number) ? number : failure('double', value)
}

function toWhole(name: string, value: Value, min: bigint, max: bigint): Value {
  const whole =
    typeof value === 'number' && Number.isFinite(value)
      ? BigInt(Math.trunc(value))
      : typeof value === 'string' && jsonInteger.test(value)
        ? BigInt(value)
        : value
  return typeof whole === 'bigint' && whole >= min && whole <= max ? whole : failure(name, value)
}

// RFC 3339, which CEL asks for.
const rfc3339 = /^(\d{4}-\d{2}-(\d{2}))T([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d{1,9})?(Z|[+-]\d{2}:\d{2})$/

function toTimestamp(value: Value): Value {
  if (typeof value === 'string') {
    const [, date, day] = rfc3339.exec(value) ?? []
    // The 30th of February would become the 2nd of March.
    if (date === undefined || new Date(`${date}T00:00:00Z`).getUTCDate() !== Number(day))
      return failure('timestamp', value)
  }
  const seconds = typeof value === 'number' && Number.isInteger(value) ? BigInt(value) : value
  return callEngine('timestamp(a0)', [seconds])
}

const goDuration = /^-?(?:[0-9]+(?:\.[0-9]+)?(?:h|m|s|ms|us|µs|ns))+$/

function toDuration(value: Value): Value {
  if (typeof value === 'string' && !goDuration.test(value)) return failure('duration', value)
  return callEngine('duration(a0)', [value])
}

function failure(name: string, value: Value): Failure {
  return new Failure(`${name}() cannot read this ${typeof value === 'string' ? 'text' : 'value'}`)
}
