import { describe, expect, test } from 'vitest'
import { decide } from '../../../src/decide/decide.ts'
import type { DecideContext, DecidePlan } from '../../../src/decide/plan.ts'

const plan: DecidePlan = {
  outcomes: [
    { name: 'decline', test: ({ score }) => score >= 0.95 },
    { name: 'review', test: ({ score }) => score >= 0.8 },
  ],
  rules: [
    {
      id: 'card-testing',
      severity: 'medium',
      follows: 'none',
      test: ({ features }) => (features['small'] ?? 0) >= 5,
    },
    { id: 'model-score', severity: 'high', follows: 'up', test: ({ score }) => score >= 0.8 },
    {
      id: 'always-watched',
      severity: 'info',
      follows: 'none',
      test: ({ fields }) => fields['watched'] === true,
    },
  ],
  reasons: 3,
}

function context(score: number, rest: Partial<DecideContext> = {}): DecideContext {
  return { score, scoreType: 'float32', fields: {}, values: {}, features: {}, flags: [], ...rest }
}

describe('the decision', () => {
  test('is the first outcome that matches', () => {
    expect(decide(plan, context(0.96)).decision).toBe('decline')
    expect(decide(plan, context(0.95)).decision).toBe('decline')
    expect(decide(plan, context(0.94)).decision).toBe('review')
  })

  test('is none when no outcome matches', () => {
    expect(decide(plan, context(0.1)).decision).toBe('none')
    expect(decide({ ...plan, outcomes: [] }, context(1)).decision).toBe('none')
  })
})

describe('the alert rules', () => {
  test('give no severity when none fires', () => {
    expect(decide(plan, context(0.1))).toMatchObject({ rules: [], severity: null })
  })

  test('are all listed when they fire, in the order of the topology, with the highest severity', () => {
    const decided = decide(plan, context(0.9, { features: { small: 7 }, fields: { watched: true } }))
    expect(decided.rules).toEqual([
      { id: 'card-testing', severity: 'medium' },
      { id: 'model-score', severity: 'high' },
      { id: 'always-watched', severity: 'info' },
    ])
    expect(decided.severity).toBe('high')
  })

  test('fire whatever the decision is', () => {
    expect(decide(plan, context(0.1, { fields: { watched: true } }))).toEqual({
      decision: 'none',
      rules: [{ id: 'always-watched', severity: 'info' }],
      severity: 'info',
    })
  })
})
