/**
 * zod types of what people write in a topology. Each says in one sentence what is wrong and what to write, takes the
 * text that a substitution left where a number or a boolean is expected, and describes itself to editors (JSON Schema).
 */
import { z } from 'zod'
import { didYouMean } from './nearest.ts'
import {
  durationPattern,
  formatDuration,
  formatSize,
  parseDuration,
  parseSize,
  sizePattern,
} from './quantity.ts'

/** What a parser returns for text it refuses. */
class Refused {
  readonly message: string
  constructor(message: string) {
    this.message = message
  }
}

// Editors check files before substitution, so a reference stands in for any scalar.
const reference = { type: 'string', pattern: String.raw`^\$\{(env|file):` }

function scalar<T>(expected: string, json: Record<string, unknown>, parse: (value: unknown) => T | Refused) {
  return z
    .unknown()
    .transform((value, context): T => {
      const result =
        value === undefined || value === null ? new Refused(`is missing: write ${expected}.`) : parse(value)
      if (!(result instanceof Refused)) return result
      context.issues.push({ code: 'custom', message: result.message, input: value })
      return z.NEVER
    })
    .meta(json)
}

export interface TextRules {
  readonly pattern?: RegExp
  /** What the text is, for messages: "a topic name (letters, digits, . _ -)". */
  readonly expected?: string
  readonly lengthMax?: number
  /** May hold a password: never shown in messages. */
  readonly secret?: boolean
}

export function text(rules: TextRules = {}) {
  const expected = rules.expected ?? 'text'
  const lengthMax = rules.lengthMax ?? 10_000
  const json = {
    type: 'string',
    ...(rules.pattern === undefined ? {} : { pattern: orReference(rules.pattern) }),
  }
  return scalar(expected, json, (value) => {
    const written = typeof value === 'number' || typeof value === 'boolean' ? String(value) : value
    if (typeof written !== 'string') return new Refused(`${shown(value)} is not text. Write ${expected}.`)
    if (written.length > lengthMax) return new Refused(`is longer than ${lengthMax} characters.`)
    if (rules.pattern === undefined || rules.pattern.test(written)) return written
    return new Refused(`${rules.secret === true ? 'this' : shown(written)} is not ${expected}.`)
  })
}

/** A name that expressions can use. */
export function identifierPattern(allowWindow: boolean): RegExp {
  return allowWindow ? /^[A-Za-z_](\w|\{window\})*$/ : /^[A-Za-z_]\w*$/
}

export function duration(limits: { min?: number; max?: number } = {}) {
  return scalar(
    'a duration, for example 1d',
    anyOf({ type: 'string', pattern: durationPattern }),
    (value) => {
      const durationMs = typeof value === 'string' ? parseDuration(value) : null
      if (durationMs === null) {
        return new Refused(
          `${shown(value)} is not a duration. Write a number and one of ms s m h d, for example 1d.`,
        )
      }
      return within(durationMs, limits, formatDuration, 'duration')
    },
  )
}

export function size(limits: { min?: number; max?: number } = {}) {
  return scalar('a size, for example 128MB', anyOf({ type: 'string', pattern: sizePattern }), (value) => {
    const bytes = typeof value === 'string' ? parseSize(value) : null
    if (bytes === null) {
      return new Refused(
        `${shown(value)} is not a size. Write a number and one of KB MB GB, for example 128MB.`,
      )
    }
    return within(bytes, limits, formatSize, 'size')
  })
}

export function integer(limits: { min?: number; max?: number } = {}) {
  const json = { type: 'integer', ...minimumOf(limits) }
  return scalar('a whole number', anyOf(json), (value) => {
    const number = numberOf(value)
    if (number === null || !Number.isSafeInteger(number))
      return new Refused(`${shown(value)} is not a whole number.`)
    return within(number, limits, String, 'number')
  })
}

export function number(limits: { min?: number; max?: number } = {}) {
  return scalar('a number', anyOf({ type: 'number', ...minimumOf(limits) }), (value) => {
    const parsed = numberOf(value)
    if (parsed === null) return new Refused(`${shown(value)} is not a number.`)
    return within(parsed, limits, String, 'number')
  })
}

export function flag() {
  return scalar('true or false', anyOf({ type: 'boolean' }), (value) => {
    if (value === true || value === 'true') return true
    if (value === false || value === 'false') return false
    return new Refused(`${shown(value)} is neither true nor false.`)
  })
}

/** `notYet` answers for words that people look for and that are no choice. */
export function oneOf<const T extends string>(
  choices: readonly T[],
  notYet: (written: string) => string | null = () => null,
) {
  const expected = `one of ${choices.join(', ')}`
  return scalar(expected, anyOf({ enum: choices }), (value) => {
    const found = choices.find((choice) => choice === value)
    if (found !== undefined) return found
    const known = typeof value === 'string' ? notYet(value) : null
    if (known !== null) return new Refused(known)
    return new Refused(
      `${shown(value)} is not ${expected}. ${typeof value === 'string' ? hint(value, choices) : ''}`.trim(),
    )
  })
}

/** CEL; the boolean and the numbers that YAML reads by itself are expressions too. */
export function expression() {
  const json = { type: ['string', 'boolean', 'number'] }
  return scalar('an expression, for example amountCents / 100', json, (value) => {
    if (typeof value === 'boolean' || typeof value === 'number') return String(value)
    if (typeof value !== 'string')
      return new Refused(`${shown(value)} is not an expression. Write CEL in one text.`)
    if (value.length > 4000)
      return new Refused('is longer than 4000 characters. Split it into values or rules.')
    return value
  })
}

/** An object without other keys than these; an unknown one is answered with the nearest known. */
export function object<T extends z.core.$ZodLooseShape>(shape: T, expected = 'key: value lines') {
  const keys = Object.keys(shape)
  return z.strictObject(shape, {
    error: (issue) => {
      if (issue.code === 'unrecognized_keys') {
        return issue.keys.map((key) => `is not a known key. ${didYouMean(key, keys)}`).join('\n')
      }
      if (issue.input === undefined || issue.input === null)
        return `is missing: write ${expected} (${keys.join(', ')}).`
      return `${shown(issue.input)} is not ${expected}. Known keys: ${keys.join(', ')}.`
    },
  })
}

/** Named entries: `name: {…}`. */
export function entries<T extends z.ZodType>(name: RegExp, nameExpected: string, value: T) {
  const key = z.string().regex(name, { error: (issue) => `${shown(issue.input)} is not ${nameExpected}.` })
  return z.record(key, value, {
    error: (issue) => `${shown(issue.input)} is not a list of "name: …" entries.`,
  })
}

/** A list that may be empty. */
export function anyNumberOf<T extends z.ZodType>(value: T, expected: string) {
  return z.array(value, { error: (issue) => `${shown(issue.input)} is not ${expected}.` })
}

/** Keys and values that are handed on as they are. */
export function settings(expected: string) {
  return z.record(z.string(), z.unknown(), { error: (issue) => `${shown(issue.input)} is not ${expected}.` })
}

/** A list of at least one. */
export function listOf<T extends z.ZodType>(value: T, expected: string) {
  return z
    .array(value, {
      error: ({ input }) =>
        input === undefined || input === null
          ? `is missing: write ${expected}.`
          : `${shown(input)} is not ${expected}.`,
    })
    .min(1, { error: `is empty. Write ${expected}.` })
}

export function shown(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value.length > 60 ? `${value.slice(0, 57)}…` : value)
  if (Array.isArray(value)) return 'A list'
  if (typeof value === 'object' && value !== null) return 'A group of keys'
  return typeof value === 'number' || typeof value === 'boolean' ? String(value) : 'Nothing'
}

function hint(written: string, choices: readonly string[]): string {
  const meant = didYouMean(written, choices)
  return meant.startsWith('Did') ? meant : ''
}

function within(
  amount: number,
  limits: { min?: number; max?: number },
  format: (amount: number) => string,
  what: string,
): number | Refused {
  const { min = -Infinity, max = Infinity } = limits
  if (amount < min)
    return new Refused(`${format(amount)} is too small; the smallest ${what} allowed here is ${format(min)}.`)
  if (amount > max)
    return new Refused(`${format(amount)} is too large; the largest ${what} allowed here is ${format(max)}.`)
  return amount
}

function numberOf(value: unknown): number | null {
  if (typeof value === 'number') return Number.isFinite(value) ? value : null
  if (typeof value !== 'string' || !/^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$/.test(value.trim())) return null
  const parsed = Number(value)
  return Number.isFinite(parsed) ? parsed : null
}

function minimumOf(limits: { min?: number; max?: number }): Record<string, unknown> {
  return {
    ...(limits.min === undefined ? {} : { minimum: limits.min }),
    ...(limits.max === undefined ? {} : { maximum: limits.max }),
  }
}

function anyOf(json: Record<string, unknown>): Record<string, unknown> {
  return { anyOf: [json, reference] }
}

function orReference(pattern: RegExp): string {
  return String.raw`(${pattern.source})|\$\{(env|file):`
}
