import { expect, test } from 'vitest'
import { compileExpression } from '../../../src/expression/compile.ts'
import type { Expected, Expression, ExpressionProblem } from '../../../src/expression/compile.ts'
import { createScope } from '../../../src/expression/scope.ts'
import type { Variable, VariableType } from '../../../src/expression/scope.ts'

type Fields = Readonly<Record<string, unknown>>

function field(name: string, type: VariableType, integer = false): [string, Variable<Fields>] {
  return [name, { type, integer, read: (fields) => fields[name] }]
}

const scope = createScope<Fields>(
  new Map([
    field('amountCents', 'number', true),
    field('ratio', 'number'),
    field('ts', 'number', true),
    field('fraud', 'boolean'),
    field('country', 'text'),
    field('tags', 'texts'),
    field('extra', 'any'),
    field('in', 'number'),
    field('card-id', 'number'),
  ]),
  new Map([['features', new Map([field('count_1d', 'number')])]]),
)

function compile(text: string, expected: Expected = 'number'): Expression<Fields> {
  const compiled = compileExpression(text, scope, expected)
  if (!compiled.ok) throw new Error(`${compiled.message} at ${compiled.offset}`)
  return compiled
}

function problem(text: string, expected: Expected = 'number'): ExpressionProblem {
  const compiled = compileExpression(text, scope, expected)
  if (compiled.ok) throw new Error(`${text} compiles`)
  return compiled
}

const event: Fields = {
  amountCents: 1250,
  ratio: 0.5,
  ts: Date.UTC(2026, 0, 31, 23, 59), // a Saturday
  fraud: true,
  country: 'FR',
  tags: ['late'],
  extra: { depth: 3 },
}

test.each([
  ['amountCents / 100', 12.5],
  ['100 / amountCents', 0.08],
  ['amountCents % 100', 50],
  ['-amountCents + 1', -1249],
  ['1 - amountCents', -1249],
  ['fraud', 1],
  ['!fraud', 0],
  ['amountCents == 1250', 1],
  ['1250 != amountCents', 0],
  ['amountCents in [1, 1250]', 1],
  ['hourUtc(ts)', 23],
  ['minuteUtc(ts)', 59],
  ['weekdayUtc(ts)', 5],
  ['hourUtc(-1)', 23],
  ['weekdayUtc(-1)', 2],
  ['weekdayUtc(0)', 3],
  ['abs(0 - amountCents)', 1250],
  ['min(amountCents, 3) + max(1, 2.5)', 5.5],
  ['log(1)', 0],
  ['size(country)', 2],
  ['uint(2)', 2],
  ['fraud ? amountCents : 0.0', 1250],
  ['"late" in tags', 1],
  ['country in ["DE", "FR"]', 1],
  ['country < "G"', 1],
  ['country.startsWith("F") && amountCents > 1e3', 1],
  ['extra.depth + 1', 4],
  ['features.count_1d', null],
  ['1 / 2', 0],
  ['1 / 2.0', 0.5],
])('%s is %d', (text, expected) => {
  expect(compile(text).number(event)).toBe(expected)
})

test('a number that is not finite is missing', () => {
  expect(compile('amountCents / 0').number(event)).toBeNull()
  expect(compile('log(0)').number(event)).toBeNull()
  expect(compile('0.0 / 0.0').number(event)).toBeNull()
})

test.each([
  ['absent', {}],
  ['null', { amountCents: null }],
  ['text', { amountCents: '1250' }],
  ['a boolean', { amountCents: true }],
  ['a list', { amountCents: [1250] }],
])(
  'an amount that is %s is missing: null as a number, false as a condition, also when negated',
  (_, fields: Fields) => {
    expect(compile('amountCents / 100').number(fields)).toBeNull()
    expect(compile('amountCents < 500').number(fields)).toBeNull()
    expect(compile('amountCents < 500', 'boolean').test(fields)).toBe(false)
    expect(compile('!(amountCents < 500)', 'boolean').test(fields)).toBe(false)
    expect(compile('size(country) > 0 && amountCents > 0', 'boolean').test(fields)).toBe(false)
  },
)

test('a missing field is hidden by the other side of "and" and "or", as in CEL', () => {
  expect(compile('amountCents > 1 || fraud', 'boolean').test({ fraud: true })).toBe(true)
  expect(compile('amountCents > 1 && fraud').number({ fraud: false })).toBe(0)
  expect(compile('amountCents > 1 && fraud').number({ fraud: true })).toBeNull()
})

test('a name of the object prototype is not a field', () => {
  const inherited = createScope<Fields>(new Map([field('constructor', 'any'), field('toString', 'number')]))
  const compiled = compileExpression('toString + 1', inherited, 'number')
  expect(compiled.ok && compiled.number({})).toBeNull()
})

test.each([
  ['amountCents', true],
  ['amountCents * 2 - 1', true],
  ['-amountCents', true],
  ['fraud', true],
  ['amountCents > 3', true],
  ['fraud ? amountCents : ts', true],
  ['abs(amountCents)', true],
  ['hourUtc(ts)', true],
  ['amountCents / 100', false],
  ['amountCents * 0.5', false],
  ['ratio', false],
  ['amountCents + ratio', false],
  ['log(amountCents)', false],
  ['extra.depth', false],
])('%s gives only whole numbers: %s', (text, integer) => {
  expect(compile(text).integer).toBe(integer)
})

test('references name fields and members of groups, in both notations', () => {
  expect(compile('features.count_1d > amountCents && country == "x"', 'boolean').references).toEqual([
    'amountCents',
    'country',
    'features.count_1d',
  ])
  expect(compile('features["count_1d"] > 0').references).toEqual(['features.count_1d'])
  expect(compile('features["count_1d"] > 0').number({ count_1d: 2 })).toBe(1)
})

test('white space around does not make another expression', () => {
  expect(compile('  amountCents / 100\n').text).toBe('amountCents / 100')
})

test.each([
  ['amountCents + "x"', 0, 'number + text is not defined', 'of one kind'],
  ['fraud && amountCents + "x" > 1', 9, 'number + text is not defined', 'of one kind'],
  ['  amountCent / 100', 2, 'unknown variable: amountCent', 'Did you mean amountCents?'],
  ['1.0 + count_1d', 6, 'unknown variable: count_1d', 'Did you mean features.count_1d?'],
  ['features.count_7d > 1', 9, 'no such key: count_7d', 'Did you mean count_1d?'],
  ['amountCents >', 13, 'unexpected token: EOF', 'Write CEL'],
  ['amountCents ? 1 : 2', 0, 'ernary condition must be bool', ''],
  ['hourutc(ts)', 0, 'no matching overload', 'hourUtc'],
  ['ratio + null', 0, 'number + null is not defined', ''],
  ['fraud && amountCents', 0, 'requires bool', 'Compare the number'],
  ['country', 0, 'this is text', 'Compare it'],
  ['', 0, 'unexpected token', 'Write CEL'],
])('%j is a problem at character %d', (text, offset, message, suggestion) => {
  const found = problem(text)
  expect(found.offset).toBe(offset)
  expect(found.message).toContain(message)
  expect(found.suggestion).toContain(suggestion)
})

test('a number where a condition is needed is a problem that shows how to compare it', () => {
  expect(problem('amountCents', 'boolean')).toMatchObject({
    message: 'this is a number, and a condition (true or false) is needed',
    suggestion: 'Compare it, for example amountCents > 0.',
  })
})

test('fields whose names CEL cannot spell are left out instead of breaking the scope', () => {
  expect(scope.variables.has('in')).toBe(false)
  expect(scope.variables.has('card-id')).toBe(false)
})
