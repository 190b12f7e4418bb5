import fc from 'fast-check'
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

const mixed = createScope<Fields>(
  new Map([
    field('any', 'any'),
    field('amount', 'number'),
    field('name', 'text'),
    field('tags', 'texts'),
    field('nums', 'numbers'),
    field('mcc', 'any'),
  ]),
)

/** Its number and what it reports as an error. */
function run(text: string, fields: Fields): readonly [number | null, string | null] {
  const compiled = compileExpression(text, mixed, 'number')
  if (!compiled.ok) throw new Error(`${text}: ${compiled.message}`)
  let heard: string | null = null
  const value = compiled.number(fields, (message) => (heard = message))
  return [value, heard]
}

test.each([
  ['mcc in [5411, 5812]', { mcc: 5411 }, 1],
  ['mcc in [5411, 5812]', { mcc: 1 }, 0],
  ['mcc in [5411, 5812]', { mcc: '5411' }, 0],
  ['mcc in [1, 2.5, 5411]', { mcc: 5411 }, 1],
  ['amount in [1, 2.5]', { amount: 2.5 }, 1],
  ['amount in nums', { amount: 3, nums: [1, 3] }, 1],
  ['3 in nums', { nums: [1, 3] }, 1],
  ['2.5 in nums', { nums: [1, 3] }, 0],
  ['any.cents in [250, 1]', { any: { cents: 250 } }, 1],
  ['any.inner.list[1] == 2', { any: { inner: { list: [1, 2] } } }, 1],
  ['"a" in any', { any: { a: 1 } }, 1],
  ['any["a-b"] + 1', { any: { 'a-b': 1 } }, 2],
  ['any == 1', { any: 'text' }, 0],
  ['any == [1, 2]', { any: [1, 2.0] }, 1],
  ['has(amount)', { amount: 0 }, 1],
  ['has(amount)', { amount: null }, 0],
  ['has(any.x.y)', { any: { x: null } }, 0],
  ['amount == null', {}, 1],
  ['null != amount', { amount: 1 }, 1],
  ['tags == null || size(tags) == 0', {}, 1],
  ['has(amount) ? amount : 7.0', {}, 7],
  ['amount == null ? 7.0 : amount', { amount: 1 }, 1],
])('%s of %j is %d, and no error', (text, fields, expected) => {
  expect(run(text, fields)).toEqual([expected, null])
})

test.each([
  ['amount > 1', {}],
  ['any.cents > 1', { any: {} }],
  ['any.cents > 1', { any: { cents: null } }],
  ['any.a.b.c > 1', {}],
  ['amount in [1]', { amount: null }],
  ['size(tags) > 1', {}],
  ['name.startsWith("x")', {}],
  ['amount / 0', { amount: 1 }],
])('%s of %j is missing, which is no error', (text, fields) => {
  expect(run(text, fields)).toEqual([null, null])
})

test.each([
  ['amount > 1', { amount: 'x' }, 'amount is text, not number'],
  ['any > 1', { any: 'x' }, 'text > number is not defined'],
  ['any + 1', { any: true }, 'condition + number is not defined'],
  ['any.x > 1', { any: 'x' }, 'text has no fields'],
  ['any && amount > 1', { any: 'x', amount: 2 }, '&& of text, which is no condition'],
  ['any ? 1 : 2', { any: 1 }, '? of number, which is no condition'],
  ['nums[2] > 1', { nums: [1, 2] }, 'index outside a list of 2'],
  ['int(name)', { name: 'abc' }, 'int() cannot read this text'],
  ['hourUtc(any)', { any: 'x' }, 'hourUtc(text) is not defined'],
  ['any', { any: [1] }, 'the result is list, not a number'],
  ['name.matches(any)', { name: 'x', any: '(' }, 'nvalid regular expression'],
  ['amount > 1 || any > 1', { any: 'x' }, 'text > number'],
])('%s of %j is an error that says why', (text, fields, message) => {
  const [value, heard] = run(text, fields)
  expect(value).toBeNull()
  expect(heard).toContain(message)
})

test('an error that the other side of "and" and "or" hides is none', () => {
  expect(run('any > 1 || amount > 1', { any: 'x', amount: 2 })).toEqual([1, null])
  expect(run('any > 1 && amount > 1', { any: 'x', amount: 0 })).toEqual([0, null])
  expect(run('nums.exists(n, n > name.size())', { nums: [1, 9], name: 'ab' })).toEqual([1, null])
})

test('messages of errors hold nothing that the event says', () => {
  const secret = '4111-1111-1111-1111'
  for (const text of [
    'int(name)',
    'double(name)',
    'bool(name)',
    'timestamp(name) == timestamp(name)',
    'any[name]',
  ])
    expect(run(text, { name: secret, any: [1] })[1]).not.toContain('4111')
})

test.each([
  '',
  ' 1',
  '1 ',
  '1_000',
  '+1',
  '0x10',
  '0b1',
  '1.',
  '.5',
  '٣',
  'Infinity',
  'NaN',
  'inf',
  '1e400',
  '01',
  '--1',
])('text %j is no number: double(), int() and uint() of it are errors', (written) => {
  for (const name of ['double', 'int', 'uint']) {
    const [value, heard] = run(`${name}(name)`, { name: written })
    expect([value, heard]).toEqual([null, `${name}() cannot read this text`])
  }
})

test.each([
  ['double(name)', '1e3', 1000],
  ['double(name)', '-0.5E-1', -0.05],
  ['int(name)', '-12', -12],
  ['uint(name)', '12', 12],
  ['int(amount)', '', 1],
])('%s reads %j', (text, written, expected) => {
  expect(run(text, { name: written, amount: 1.9 })).toEqual([expected, null])
})

test.each([
  ['int(name)', '1.5'],
  ['int(name)', '1e3'],
  ['int(name)', '9223372036854775808'],
  ['uint(name)', '-1'],
  ['double(int(name))', '1.0'],
  ['bool(name)', 'yes'],
  ['timestamp(name).getHours()', '2026-02-30T00:00:00Z'],
  ['timestamp(name).getHours()', 'January 31 2026 12:00 UTC'],
  ['timestamp(name).getHours()', '2026-01-31T12:00:00'],
  ['duration(name).getSeconds()', 's'],
  ['duration(name).getSeconds()', '1 h'],
])('%s does not read %j', (text, written) => {
  const [value, heard] = run(text, { name: written })
  expect(value).toBeNull()
  expect(heard).not.toBeNull()
})

test.each([
  ['3 in tags', 'number in list<text> is not defined'],
  ['"3" in nums', 'text in list<number> is not defined'],
  ['int("")', 'this never works'],
  ['1 / 0 > amount', 'this never works: division by zero'],
  ['name.matches("(")', 'this never works'],
  ['name.matches("(?=a)b")', 'without look-around and back references'],
  ['sqrt(amount)', 'sqrt is not supported yet'],
  ['pow(amount, 2)', 'pow is not supported yet'],
  ['amount + has(3)', 'has() asks for a field'],
  ['has(amout)', 'unknown variable: amout'],
])('%s is refused: %s', (text, message) => {
  const compiled = compileExpression(text, mixed, 'number')
  expect(compiled.ok ? '' : compiled.message).toContain(message)
})

test.each([
  ['size(tags) / 4', 'Write size(tags) / 4.0'],
  ['  1 / 2', 'Write 1 / 2.0'],
  ['int(amount) / size(tags)', 'Write int(amount) / double(size(tags))'],
  ['amount in ["x", 1]', 'Remove it'],
])('%s works and warns', (text, suggestion) => {
  const compiled = compileExpression(text, mixed, 'number')
  expect(compiled.ok && compiled.warnings).toEqual([
    expect.objectContaining({
      offset: text.length - text.trimStart().length,
      suggestion: expect.stringContaining(suggestion) as string,
    }),
  ])
})

test.each(['size(tags) / 4.0', '4 / 2', '7 % 2', 'hourUtc(amount) / 24', 'amount / 4', 'amount in [1, 2.5]'])(
  '%s does not warn',
  (text) => {
    const compiled = compileExpression(text, mixed, 'number')
    expect(compiled.ok && compiled.warnings).toEqual([])
  },
)

const json = fc.letrec<{ value: unknown }>((tie) => ({
  value: fc.oneof(
    { depthSize: 'small' },
    fc.constantFrom(null, true, false, 0, -1, 2.5, 5411, 'x', '', '12', '(', 9007199254740993n),
    fc.array(tie('value'), { maxLength: 3 }),
    fc.dictionary(fc.constantFrom('x', 'y', '12'), tie('value'), { maxKeys: 3, noNullPrototype: false }),
  ),
})).value

const untyped = fc.letrec<{ any: string }>((tie) => {
  const two = fc.tuple(tie('any'), tie('any'))
  return {
    any: fc.oneof(
      { depthSize: 'small', withCrossShrink: true },
      fc.constantFrom(
        'any',
        'mcc',
        'any.x',
        'any["y"]',
        'any[0]',
        '1',
        '2.5',
        '"x"',
        'true',
        '[1, "x"]',
        '{"x": 1}',
      ),
      fc
        .tuple(
          tie('any'),
          fc.constantFrom('+', '-', '*', '/', '%', '<', '>=', '==', '!=', 'in', '&&', '||'),
          tie('any'),
        )
        .map(([a, op, b]) => `(dyn(${a}) ${op} dyn(${b}))`),
      fc
        .tuple(fc.constantFrom('int', 'double', 'size', 'string', 'bool', 'hourUtc', '-', '!'), tie('any'))
        .map(([f, a]) => `${f}(dyn(${a}))`),
      two.map(([a, b]) => `dyn(${a})[dyn(${b})]`),
      two.map(([a, b]) => `dyn(${a}).exists(v, v == dyn(${b}))`),
      two.map(([a, b]) => `dyn(${a}).filter(v, dyn(${b}))`),
      two.map(([a, b]) => `dyn(${a}).matches(dyn(${b}))`),
      fc.tuple(tie('any'), tie('any'), tie('any')).map(([a, b, c]) => `(dyn(${a}) ? dyn(${b}) : dyn(${c}))`),
      tie('any').map((a) => `(dyn(${a}) == null)`),
    ),
  }
}).any

test('whatever an expression meets, it gives a number, nothing, or nothing with a reason', () => {
  fc.assert(
    fc.property(untyped, json, json, (text, any, mcc) => {
      const compiled = compileExpression(text, mixed, 'number')
      if (!compiled.ok) return
      let heard: string | null = null
      const value = compiled.number({ any, mcc }, (message) => (heard = message))
      expect(value === null || (typeof value === 'number' && heard === null)).toBe(true)
    }),
    { numRuns: 2000 },
  )
})
