import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { compileExpression } from '../../../src/expression/compile.ts'
import { directionOf } from '../../../src/expression/direction.ts'
import { createScope, type Variable } from '../../../src/expression/scope.ts'

type Row = Readonly<Record<string, number>>
const number = (name: string): [string, Variable<Row>] => [
  name,
  { type: 'number', integer: false, read: (row) => row[name] },
]
const scope = createScope(new Map([number('score'), number('amount')]))
const direction = (text: string): string => directionOf(text, 'score', scope)

describe('which way a condition follows the score', () => {
  test.each([
    ['score >= 0.8', 'up'],
    ['score < 0.1', 'down'],
    ['0.1 >= score', 'down'],
    ['0.8 < score', 'up'],
    ['!(score > 0.2)', 'down'],
    ['!(score <= 0.2) && amount > 10', 'up'],
    ['score < 0.1 || (score < 0.3 && amount > 100)', 'down'],
    ['-score > 0.3', 'down'],
    ['1 - score > 0.9', 'down'],
    ['score * 100 >= 80', 'up'],
    ['score * -2.0 > 1.0', 'down'],
    ['score / 2.0 < 0.1', 'down'],
    ['max(score, 0.5) > 0.7', 'up'],
    ['score + amount > 3', 'up'],
    ['score > amount', 'up'],
    ['score > 0.5 ? true : false', 'up'],
    ['score > 0.5 ? false : true', 'down'],
    ['amount > 5 ? score > 0.5 : score > 0.9', 'up'],
    ['amount > 1000', 'none'],
    ['true', 'none'],
    ['score > 0.3 && score < 0.5', 'mixed'],
    ['score < -3 || score > 3', 'mixed'],
    ['score == 0.5', 'mixed'],
    ['abs(score) > 3', 'mixed'],
    ['score * amount > 10', 'mixed'],
    ['1.0 / score > 10.0', 'mixed'],
    ['amount > 5 ? score > 0.5 : score < 0.1', 'mixed'],
  ])('%s: %s', (text, expected) => {
    expect(direction(text)).toBe(expected)
  })

  test('is what the condition does: above where it fired it still fires, or below', () => {
    const part = fc.oneof(
      fc
        .tuple(fc.constantFrom('<', '<=', '>', '>='), fc.constantFrom('0.2', '0.5', '0.7'))
        .map(([op, at]) => `score ${op} ${at}`),
      fc.constantFrom('amount > 3', '-score < -0.4', '0.6 > score', 'score * 2 > 1', 'score > amount / 10'),
    )
    const { condition } = fc.letrec<{ condition: string }>((tie) => ({
      condition: fc.oneof(
        { maxDepth: 3 },
        part,
        tie('condition').map((one) => `!(${one})`),
        fc
          .tuple(tie('condition'), fc.constantFrom('&&', '||'), tie('condition'))
          .map(([a, op, b]) => `(${a} ${op} ${b})`),
      ),
    }))
    fc.assert(
      fc.property(condition, fc.nat(10), (text, amount) => {
        const compiled = compileExpression(text, scope, 'boolean')
        if (!compiled.ok) throw new Error(compiled.message)
        const fires = Array.from({ length: 21 }, (_, i) => compiled.test({ score: i / 20, amount }))
        const follows = direction(text)
        const changes = fires.filter((fired, i) => i > 0 && fired !== fires[i - 1])
        if (follows === 'up') expect(changes).not.toContain(false)
        if (follows === 'down') expect(changes).not.toContain(true)
        if (follows === 'none') expect(changes).toEqual([])
      }),
    )
  })
})
