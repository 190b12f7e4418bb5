import { describe, expect, test } from 'vitest'
import { stepsMax } from '../../../src/expression/budget.ts'
import { compileExpression } from '../../../src/expression/compile.ts'
import { linearPattern } from '../../../src/expression/linear-pattern.ts'
import { createScope, type Variable, type VariableType } from '../../../src/expression/scope.ts'

type Fields = Readonly<Record<string, unknown>>

function field(name: string, type: VariableType): [string, Variable<Fields>] {
  return [name, { type, integer: false, read: (fields) => fields[name] }]
}

const scope = createScope<Fields>(
  new Map([field('nums', 'numbers'), field('name', 'text'), field('pattern', 'text')]),
  new Map(),
)

function run(text: string, fields: Fields): { value: boolean; heard: string[] } {
  const compiled = compileExpression(text, scope, 'boolean')
  if (!compiled.ok) throw new Error(compiled.message)
  const heard: string[] = []
  return { value: compiled.test(fields, (message) => heard.push(message)), heard }
}

const items = (count: number): number[] => Array.from({ length: count }, (_, index) => index)
const exceeded = [`loops over lists take more than ${stepsMax} steps`]

describe('loops of an expression', () => {
  test.each([
    'nums.all(a, nums.all(b, nums.all(c, nums.all(d, a + b + c + d >= 0.0))))',
    'nums.exists(a, nums.exists(b, nums.exists(c, a + b + c < 0.0)))',
    'nums.all(a, nums.all(b, b in nums))',
    'nums.map(a, nums.map(b, a * b)).all(row, row.all(x, x >= 0.0))',
  ])('end after so many steps, with an error and no result: %s', (text) => {
    expect(run(text, { nums: items(2_000) })).toEqual({ value: false, heard: exceeded })
    expect(run(text, { nums: items(5) }).heard).toEqual([])
  })

  test('pay for each text or list that they look at', () => {
    const text = 'nums.all(a, !name.contains("x"))'
    expect(run(text, { nums: items(1_000), name: 'y'.repeat(1_000_000) }).heard).toEqual(exceeded)
    expect(run(text, { nums: items(1_000), name: 'y'.repeat(1_000) })).toEqual({ value: true, heard: [] })
  })

  test('are paid for, and what is only given a name is not', () => {
    const text = 'cel.bind(t, name, t.contains("x"))'
    for (let again = 0; again < 3; again++)
      expect(run(text, { name: `${'y'.repeat(1_000_000)}x` })).toEqual({ value: true, heard: [] })
  })

  test('may go over every item of the longest list, each time anew', () => {
    for (let again = 0; again < 3; again++)
      expect(run('nums.all(a, a >= 0.0)', { nums: items(90_000) })).toEqual({ value: true, heard: [] })
  })
})

describe('a regular expression', () => {
  // Of some 30 characters each of these takes an engine that tries all ways for minutes.
  test.each(['^(a+)+$', '^(a|a)*$', '^(.*a){12}$', '^([a-z]+)*[.]$'])(
    'that others take for ever over ends in proportion to the text: %s',
    (pattern) => {
      const text = `${'a'.repeat(20_000)}!`
      expect(linearPattern(pattern).test(text)).toBe(false)
      expect(run('name.matches(pattern)', { name: text, pattern })).toEqual({ value: false, heard: [] })
    },
  )

  test('is found anywhere in the text, as CEL and JSON Schema say', () => {
    expect(linearPattern('b+').test('abc')).toBe(true)
    expect(linearPattern('^b').test('abc')).toBe(false)
    expect(linearPattern('^\\p{L}\\u0042$').test('éB')).toBe(true)
  })

  test('of the event that is none, or is endless, is an error without its text', () => {
    for (const pattern of ['(', '(?<=a)b', 'a'.repeat(1_001)])
      expect(run('name.matches(pattern)', { name: 'a', pattern })).toEqual({
        value: false,
        heard: ['Invalid regular expression'],
      })
  })
})
