import { wholeOf } from './decimal.ts'
import { Fault } from './fault.ts'

/**
 * Numbers of JSON that a double cannot tell from their neighbours. JSON.parse makes doubles: 9007199254740993 becomes
 * …992, and 1e400 Infinity. A value that holds a double beyond ±(2^53 − 1) is read a second time, with whole numbers as
 * bigints. All others pay only for a look at their numbers: about 30 ns for an event of five fields.
 */
export function holdsLarge(root: unknown): boolean {
  if (typeof root !== 'object' || root === null) return isLarge(root)
  let pending: object[] | null = null
  // No recursion: JSON.parse reads any depth.
  for (let at: object | undefined = root; at !== undefined; at = pending?.pop()) {
    for (const name in at) {
      const value = (at as Readonly<Record<string, unknown>>)[name]
      if (typeof value === 'number') {
        if (value > Number.MAX_SAFE_INTEGER || value < -Number.MAX_SAFE_INTEGER) return true
      } else if (typeof value === 'object' && value !== null) (pending ??= []).push(value)
    }
  }
  return false
}

function isLarge(value: unknown): boolean {
  return typeof value === 'number' && Math.abs(value) > Number.MAX_SAFE_INTEGER
}

/** A number beyond all doubles, as it was written. */
class Overflow {
  readonly token: string
  constructor(token: string) {
    this.token = token
  }
}

type Reviver = (key: string, value: unknown, context: { readonly source?: string }) => unknown
// The third parameter is newer than the typings.
const parse = JSON.parse as (text: string, reviver: Reviver) => unknown

/** The same JSON with whole numbers beyond ±(2^53 − 1) as bigints. A number that no double can hold is a fault. */
export function parseExact(text: string): unknown {
  let overflows = false
  const exact = parse(text, (_, value, { source }) => {
    if (!isLarge(value) || source === undefined) return value
    if (Number.isFinite(value)) return wholeOf(source) ?? value
    overflows = true
    return new Overflow(source)
  })
  return overflows ? (overflowFault(exact, '') ?? exact) : exact
}

function overflowFault(value: unknown, at: string): Fault | null {
  if (value instanceof Overflow) {
    const token = value.token.length > 40 ? `${value.token.slice(0, 40)}…` : value.token
    return new Fault('DECODE', `at ${at || '/'}: expected a number within ±1.8e308, found ${token}`)
  }
  if (typeof value !== 'object' || value === null) return null
  for (const [name, inner] of Object.entries(value)) {
    const fault = overflowFault(inner, `${at}/${name.replaceAll('~', '~0').replaceAll('/', '~1')}`)
    if (fault !== null) return fault
  }
  return null
}

/** What a JSON pointer names. */
export function valueAt(root: unknown, pointer: string): unknown {
  let at = root
  for (const step of pointer.split('/').slice(1)) {
    if (typeof at !== 'object' || at === null) return undefined
    const name = step.replaceAll('~1', '/').replaceAll('~0', '~')
    at = (at as Readonly<Record<string, unknown>>)[name]
  }
  return at
}

/** Text under which two JSON values are the same exactly when they are equal, in whatever order their members stand. */
export function canonicalValue(value: unknown): string {
  if (typeof value === 'bigint') return `${value}n`
  if (typeof value === 'number') return String(value) // −0 is 0
  if (Array.isArray(value)) return `[${value.map(canonicalValue).join(',')}]`
  if (typeof value !== 'object' || value === null) return JSON.stringify(value) ?? 'null'
  const members = Object.entries(value).map(
    ([name, inner]) => `${JSON.stringify(name)}:${canonicalValue(inner)}`,
  )
  return `{${members.toSorted().join(',')}}`
}
