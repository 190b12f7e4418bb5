import { describe, expect, test } from 'vitest'
import type { DecideContext } from '../../../src/decide/plan.ts'
import { worseOf } from '../../../src/decide/worse.ts'
import type { Severity } from '../../../src/record/prediction.ts'
import { compileDecide } from '../../../src/topology/decide.ts'
import { TopologyDocument } from '../../../src/topology/document.ts'
import { ruleScope } from '../../../src/topology/expressions.ts'

type Rules = Readonly<Record<string, string | [when: string, severity: Severity]>>

/** Which way the score is worse for an event that these rules see. */
function worse(written: Rules, score: number, amount = 0): string {
  const alerts = Object.entries(written).map(([id, rule]) => {
    const [when, severity] = typeof rule === 'string' ? [rule, 'high' as const] : rule
    return [id, { when, severity }] as const
  })
  const document = new TopologyDocument('t.yaml', 'x: 1', { env: {}, folder: '.' })
  const scope = ruleScope(new Map([['amount', { type: 'number', integer: false }]]), [], [])
  const options = { outcome: [{ scored: 'true' }], alerts: Object.fromEntries(alerts), reasons: 3 }
  const plan = compileDecide(document, options, scope, () => false)
  expect(document.problems).toEqual([])
  const at = (moved: number): DecideContext => ({
    score: moved,
    scoreType: 'float32',
    fields: { amount },
    values: {},
    features: {},
    flags: [],
  })
  const fired = plan.rules.filter((rule) => rule.test(at(score))).map(({ id }) => id)
  expect(fired.length).toBeGreaterThan(0)
  return worseOf(plan, new Set(fired), score, at)
}

describe('which way the score is worse', () => {
  test('follows the rule that fired', () => {
    expect(worse({ fraud: 'score >= 0.8' }, 0.9)).toBe('higher')
    expect(worse({ odd: 'score < 0.1' }, 0.05)).toBe('lower')
    expect(worse({ odd: '!(score > 0.2)' }, 0.05)).toBe('lower')
    expect(worse({ odd: 'score <= -0.1 && amount > 10' }, -0.2, 50)).toBe('lower')
  })

  test('follows the one that fired when others go the other way', () => {
    const rules = { odd: 'score < 0.1', fraud: 'score > 0.9' }
    expect([worse(rules, 0.05), worse(rules, 0.95)]).toEqual(['lower', 'higher'])
    const both = { tails: 'score < 0.1 || score > 0.9' }
    expect([worse(both, 0.05), worse(both, 0.95)]).toEqual(['lower', 'higher'])
    expect([worse({ far: 'abs(score) > 3' }, -4), worse({ far: 'abs(score) > 3' }, 4)]).toEqual([
      'lower',
      'higher',
    ])
  })

  test('in a range is the side away from the scores without an alert', () => {
    const steps = { medium: 'score >= 0.5 && score < 0.8', high: 'score >= 0.8' }
    expect([worse(steps, 0.51), worse(steps, 0.79), worse(steps, 0.9)]).toEqual([
      'higher',
      'higher',
      'higher',
    ])
    const down = { medium: 'score > -0.5 && score < -0.2', high: 'score <= -0.5' }
    expect([worse(down, -0.21), worse(down, -0.49), worse(down, -0.9)]).toEqual(['lower', 'lower', 'lower'])
  })

  test('in a range with ways out on both sides is away from the nearer', () => {
    const range = { unsure: 'score > 0.3 && score < 0.7' }
    expect([worse(range, 0.35), worse(range, 0.65)]).toEqual(['higher', 'lower'])
  })

  test('depends on the event where the text leaves it open', () => {
    expect(worse({ product: 'score * amount > 10' }, 5, 100)).toBe('higher')
    expect(worse({ product: 'score * amount > 10' }, -5, -100)).toBe('lower')
  })

  test('is that of the other rules when the one that fired does not name the score', () => {
    const large = { large: 'amount > 1000' }
    expect(worse(large, 0.5, 5000)).toBe('higher')
    expect(worse({ ...large, odd: 'score < 0.1 && amount < 10' }, 0.5, 5000)).toBe('lower')
    expect(worse({ ...large, odd: 'score < 0.1', fraud: 'score > 0.9' }, 0.5, 5000)).toBe('higher')
  })

  test('is that of the gravest where rules that fired contradict each other without a way out', () => {
    const rules: Rules = { low: ['score < 0.9', 'critical'], high: ['score > 0.1', 'low'] }
    expect(worse(rules, 0.5)).toBe('lower')
    const other: Rules = { low: ['score < 0.9', 'low'], high: ['score > 0.1', 'critical'] }
    expect(worse(other, 0.5)).toBe('higher')
  })
})
