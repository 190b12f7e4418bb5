import fc from 'fast-check'
import { expect, test } from 'vitest'
import { compileExpression } from '../../../src/expression/compile.ts'
import { toClosure } from '../../../src/expression/closure.ts'
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
    fc.constantFrom('p', 'q', 'true', 'false', 's in tags', '"late" in tags', 's in ["x", "FR"]'),
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

test('a closure gives what the CEL engine gives, also for missing and wrong fields', () => {
  let compared = 0
  fc.assert(
    fc.property(condition, fc.array(fields, { minLength: 3, maxLength: 3 }), (text, events) => {
      const fast = compileExpression(text, scope, 'number')
      const slow = compileExpression(text, scope, 'number', true)
      if (!fast.ok || !slow.ok) throw new Error(`${text} does not compile: ${fast.ok ? '' : fast.message}`)
      for (const event of events) {
        expect(fast.number(event), `${text} of ${JSON.stringify(event)}`).toBe(slow.number(event))
        expect(fast.test(event)).toBe(slow.test(event))
      }
      if (isClosure(text)) compared++
    }),
    { numRuns: 1500 },
  )
  expect(compared).toBeGreaterThan(1000)
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
      const slow = compileExpression(text, scope, 'number', true)
      expect(fast.ok && fast.number(event)).toBe(slow.ok && slow.number(event))
    }),
  )
})

test.each([
  'a / 100',
  'a < 500',
  'hourUtc(a) <= 6',
  'p',
  'features.x >= 5 && a > 50 && !("late" in tags)',
  's == "x"',
])('%s runs as a closure', (text) => {
  expect(isClosure(text)).toBe(true)
})

test.each(['1 / 2', '1 + 2 == 3', 'size(s)', 's < "x"', '9007199254740993 < a', '[1, 2].exists(v, a > v)'])(
  '%s is left to the engine',
  (text) => {
    expect(isClosure(text)).toBe(false)
  },
)

function isClosure(text: string): boolean {
  const parsed = scope.environment.parse(text)
  parsed.check()
  return toClosure(parsed.ast, scope) !== null
}
