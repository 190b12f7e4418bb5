import { Environment } from '@marcbachmann/cel-js'
import type { ASTNode } from '@marcbachmann/cel-js'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { canonicalText } from '../../../src/expression/canonical.ts'

const cel = new Environment({ unlistedVariablesAreDyn: true })

function canonical(text: string): string {
  return canonicalText(cel.parse(text).ast)
}

test.each([
  ['a/100', 'a / 100'],
  ['( a )  /\n100', 'a / 100'],
  ['a / 100 // in whole units', 'a / 100'],
  ['a-b-c', 'a - b - c'],
  ['a-(b-c)', 'a - (b - c)'],
  ['(a*b)+c', 'a * b + c'],
  ['a*(b+c)', 'a * (b + c)'],
  ['a/(b*c)', 'a / (b * c)'],
  ['!(a&&b)||c', '!(a && b) || c'],
  ["k == 'x  y'", 'k == "x  y"'],
  ["k=='// no comment'", 'k == "// no comment"'],
  ['x in[1,2.0,3u]', 'x in [1, 2.0, 3u]'],
  ['(a?b:c)?d:(e?f:g)', '(a ? b : c) ? d : e ? f : g'],
  ['(a==b)in c', '(a == b) in c'],
  ['a==(b in c)', 'a == b in c'],
  ['-(a.b)', '-a.b'],
  ['(-a).b', '(-a).b'],
  ['-(-a)', '-(-a)'],
  ['k . startsWith( "a" )', 'k.startsWith("a")'],
  ['tags.exists(t,t>1)', 'tags.exists(t, t > 1)'],
  ['e["type"]', 'e["type"]'],
  ['{"a":1}["a"]', '{"a": 1}["a"]'],
])('%j is written as %j', (written, expected) => {
  expect(canonical(written)).toBe(expected)
})

test.each([
  ['1', '1.0'],
  ['k == "a b"', 'k == "a  b"'],
  ['a - b - c', 'a - (b - c)'],
  ['a / b * c', 'a / (b * c)'],
  ['a + b + c', 'a + (b + c)'], // rounding depends on it
])('%j and %j stay two expressions', (one, other) => {
  expect(canonical(one)).not.toBe(canonical(other))
})

const leaf = fc.constantFrom('a', 'b', '1', '2.5', '1e30', '"x \\" y"', "'//'", 'true', 'null', 'f.g')
const { tree } = fc.letrec<{ tree: string }>((tie) => ({
  tree: fc.oneof(
    { maxDepth: 5 },
    leaf,
    fc
      .tuple(tie('tree'), fc.constantFrom('+', '-', '*', '/', '%', '<', '==', 'in', '&&', '||'), tie('tree'))
      .map(([left, operator, right]) => `(${left}) ${operator}\n(${right})`),
    fc.tuple(fc.constantFrom('-', '!'), tie('tree')).map(([operator, of]) => `${operator}(${of})`),
    fc.tuple(tie('tree'), tie('tree'), tie('tree')).map(([a, b, c]) => `(${a})?(${b}):(${c})`),
    fc.tuple(tie('tree'), tie('tree')).map(([a, b]) => `f( ${a},${b} )`),
    fc.tuple(tie('tree'), tie('tree')).map(([a, b]) => `(${a})[${b}]`),
    fc.tuple(tie('tree'), tie('tree')).map(([a, b]) => `(${a}).m(${b})`),
  ),
}))

test('the canonical text means the same as what was written, and is its own canonical text', () => {
  fc.assert(
    fc.property(tree, (text) => {
      const again = canonical(text)
      expect(meaning(cel.parse(again).ast)).toEqual(meaning(cel.parse(text).ast))
      expect(canonical(again)).toBe(again)
    }),
    { numRuns: 500 },
  )
})

/** Operators and operands without positions. */
function meaning({ op, args }: ASTNode): unknown {
  const of = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(of)
    if (typeof value === 'bigint') return `${value}n`
    return typeof value === 'object' && value !== null && 'op' in value ? meaning(value as ASTNode) : value
  }
  return [op, of(args)]
}
