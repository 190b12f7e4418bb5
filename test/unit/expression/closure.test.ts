import fc from 'fast-check'
import { expect, test } from 'vitest'
import { compileExpression } from '../../../src/expression/compile.ts'
import { createScope } from '../../../src/expression/scope.ts'
import type { Variable, VariableType } from '../../../src/expression/scope.ts'

type Fields = Readonly<Record<string, unknown>>

function field(name: string, type: VariableType): [string, Variable<Fields>] {
  return [name, { type, integer: false, read: (fields) => fields[name] }]
}

const scope = createScope<Fields>(
  new Map([
    field('a', 'number'),
    field('b', 'number'),
    field('p', 'boolean'),
    field('q', 'boolean'),
    field('s', 'text'),
    field('t', 'text'),
    field('tags', 'texts'),
  ]),
  new Map([['features', new Map([field('x', 'number')])]]),
)

const doubleLiteral = fc
  .double({ noNaN: true, noDefaultInfinity: true, min: -1e9, max: 1e9 })
  .map((value) => (Number.isInteger(value) ? `${value}.0` : value.toFixed(6)))
const intLiteral = fc.integer({ min: 0, max: 5000 }).map(String)
const textLiteral = fc.constantFrom('"x"', "'FR'", '"late"', '""')
const operator = (...ops: string[]): fc.Arbitrary<string> => fc.constantFrom(...ops)

const { condition } = fc.letrec<{ number: string; condition: string; text: string }>((tie) => ({
  number: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    fc.constantFrom('a', 'b', 'features.x'),
    doubleLiteral,
    fc
      .tuple(tie('number'), operator('+', '-', '*', '/', '%'), fc.oneof(tie('number'), intLiteral))
      .map(([l, op, r]) => `(${l} ${op} ${r})`),
    fc
      .tuple(intLiteral, operator('+', '-', '*', '/', '%'), tie('number'))
      .map(([l, op, r]) => `(${l} ${op} ${r})`),
    tie('number').map((n) => `-(${n})`),
    fc
      .tuple(operator('hourUtc', 'weekdayUtc', 'minuteUtc', 'abs', 'log'), tie('number'))
      .map(([f, n]) => `${f}(${n})`),
    fc.tuple(operator('min', 'max'), tie('number'), intLiteral).map(([f, n, i]) => `${f}(${n}, ${i})`),
    fc.tuple(tie('condition'), tie('number'), tie('number')).map(([c, y, n]) => `(${c} ? ${y} : ${n})`),
  ),
  text: fc.oneof({ depthSize: 'small' }, fc.constantFrom('s', 't'), textLiteral),
  condition: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    fc.constantFrom(
      'p',
      'q',
      'true',
      'false',
      's in tags',
      '"late" in tags',
      's in ["x", "FR"]',
      'a in [1, 2, 3]',
    ),
    fc.constantFrom('tags.exists(v, v == s)', 'tags.all(v, v != t)', 'tags.exists_one(v, v == "x")'),
    fc.constantFrom(
      'size(tags) > 1',
      'tags.filter(v, v != s) == []',
      's < t',
      's.startsWith(t)',
      'size(s) == size(t)',
    ),
    fc.constantFrom(
      'tags.map(v, size(v)) == [1, 2]',
      '[1, 2].exists(v, a > v)',
      'tags[1] == s',
      '7 / 2 == 3',
      '-7 % 4 == -3',
    ),
    fc
      .tuple(tie('number'), operator('<', '<=', '>', '>=', '==', '!='), fc.oneof(tie('number'), intLiteral))
      .map(([l, op, r]) => `(${l} ${op} ${r})`),
    fc.tuple(tie('text'), operator('==', '!='), tie('text')).map(([l, op, r]) => `(${l} ${op} ${r})`),
    fc
      .tuple(tie('condition'), operator('==', '!='), tie('condition'))
      .map(([l, op, r]) => `((${l}) ${op} (${r}))`),
    fc
      .tuple(tie('condition'), operator('&&', '||'), tie('condition'))
      .map(([l, op, r]) => `(${l} ${op} ${r})`),
    tie('condition').map((c) => `!(${c})`),
  ),
}))

const anyNumber = fc.oneof(fc.integer({ min: -10, max: 10 }), fc.double(), fc.constant(1_767_225_600_000))
const sometimes = <T>(value: fc.Arbitrary<T>): fc.Arbitrary<T | null | undefined | string> =>
  fc.oneof({ weight: 8, arbitrary: value }, fc.constantFrom(null, undefined, 'wrong type'))
const fields: fc.Arbitrary<Fields> = fc.record({
  a: sometimes(anyNumber),
  b: sometimes(anyNumber),
  x: sometimes(anyNumber),
  p: sometimes(fc.boolean()),
  q: sometimes(fc.boolean()),
  s: fc.oneof(fc.constantFrom('x', 'FR', 'late', ''), fc.constantFrom(null, 7)),
  t: fc.constantFrom('x', 'FR', 'late', ''),
  tags: fc.oneof(fc.array(fc.constantFrom('x', 'FR', 'late')), fc.constant(null)),
})

/** What the engine itself makes of it: a number, true and false as 1 and 0, null for whatever has no result. */
function engine(text: string): (fields: Fields) => number | null {
  const parsed = scope.environment.parse(text)
  parsed.check()
  return (fields) => {
    const named = (...names: string[]): Fields =>
      Object.fromEntries(
        Object.entries(fields).filter(
          ([name, value]) => names.includes(name) && value !== null && value !== undefined,
        ),
      )
    try {
      const value: unknown = parsed({ ...named('a', 'b', 'p', 'q', 's', 't', 'tags'), features: named('x') })
      if (typeof value === 'boolean') return value ? 1 : 0
      return typeof value === 'number' && Number.isFinite(value) ? value : null
    } catch {
      return null
    }
  }
}

test('a closure gives what the CEL engine gives, also for missing and wrong fields', () => {
  fc.assert(
    fc.property(condition, fc.array(fields, { minLength: 3, maxLength: 3 }), (text, events) => {
      const fast = compileExpression(text, scope, 'number')
      const slow = engine(text)
      if (!fast.ok) throw new Error(`${text} does not compile: ${fast.message}`)
      for (const event of events) {
        expect(fast.number(event), `${text} of ${JSON.stringify(event)}`).toBe(slow(event))
        expect(fast.test(event)).toBe(slow(event) === 1)
      }
    }),
    { numRuns: 1500 },
  )
})

test('numbers out of closures are those of the engine, bit by bit', () => {
  const numeric = fc.constantFrom(
    'a / 100',
    'a',
    '-a',
    'a - b * 2',
    '3 % a',
    'a % 2.5',
    'features.x + a',
    'hourUtc(a)',
    'weekdayUtc(a)',
    'p ? a : b',
    'min(a, 3)',
  )
  fc.assert(
    fc.property(numeric, fields, (text, event) => {
      const fast = compileExpression(text, scope, 'number')
      expect(fast.ok && fast.number(event)).toBe(engine(text)(event))
    }),
  )
})

function holds(text: string, fields: Fields): boolean {
  const compiled = compileExpression(text, scope, 'boolean')
  if (!compiled.ok) throw new Error(compiled.message)
  return compiled.test(fields)
}

const beyond = fc.bigInt({ min: 2n ** 53n, max: 2n ** 63n - 1n })

test('whole numbers beyond 2^53 are compared from all their digits', () => {
  const near = fc.bigInt({ min: -2n, max: 2n })
  fc.assert(
    fc.property(beyond, near, fc.constantFrom('<', '<=', '>', '>=', '==', '!='), (written, distance, op) => {
      const read = written + distance
      const expected: Record<string, boolean> = {
        '<': read < written,
        '<=': read <= written,
        '>': read > written,
        '>=': read >= written,
        '==': read === written,
        '!=': read !== written,
      }
      // The decoder hands on as bigint what a double may not hold.
      const event = { a: Number.isSafeInteger(Number(read)) ? Number(read) : read, b: written }
      for (const text of [`a ${op} ${written}`, `a ${op} b`, `-b ${op} -a`]) {
        expect(holds(text, event), `${text} of ${read}`).toBe(expected[op])
      }
      expect(holds(`a in [1, ${written}, 2.5]`, event)).toBe(read === written)
    }),
  )
})

test('whole numbers beyond 2^53 are computed with all their digits, but for divisions', () => {
  fc.assert(
    fc.property(beyond, fc.integer({ min: 1, max: 100 }), (whole, other) => {
      const right = BigInt(other)
      const exact: Record<string, bigint> = {
        '+': whole + right,
        '-': whole - right,
        '*': whole * right,
        '%': whole % right,
      }
      for (const [op, expected] of Object.entries(exact))
        expect(holds(`a ${op} ${other} == b`, { a: whole, b: expected }), `${whole} ${op} ${other}`).toBe(
          true,
        )
      expect(holds(`a / ${other} == b`, { a: whole, b: Number(whole) / other })).toBe(true)
      expect(holds(`max(a, ${other}) == b && min(a, b) == b && abs(-a) == b`, { a: whole, b: whole })).toBe(
        true,
      )
    }),
  )
})
