import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { rankReasons, reasonVariants } from '../../../src/decide/reasons.ts'

describe('the questions asked for reasons', () => {
  test('replace one input each by its baseline, in the order of the inputs', () => {
    const values = new Map([
      ['a', 5],
      ['b', 2],
    ])
    const baseline = new Map([
      ['b', 1],
      ['a', 0],
    ])
    expect(reasonVariants(values, baseline)).toEqual([
      { feature: 'a', value: 5, baseline: 0 },
      { feature: 'b', value: 2, baseline: 1 },
    ])
  })

  test('leave out inputs at their baseline, without one, or without a value', () => {
    const values = new Map([
      ['usual', 3],
      ['unknown', 9],
      ['missing', NaN],
      ['odd', 1],
    ])
    const baseline = new Map([
      ['usual', 3],
      ['missing', 1],
      ['odd', Infinity],
      ['elsewhere', 4],
    ])
    expect(reasonVariants(values, baseline)).toEqual([])
  })

  test('leave out differences that the model cannot see in 32 bits', () => {
    expect(reasonVariants(new Map([['a', Math.fround(0.1)]]), new Map([['a', 0.1]]))).toEqual([])
  })
})

describe('the reasons', () => {
  const variants = ['a', 'b', 'c', 'd'].map((feature) => ({ feature, value: 1, baseline: 0 }))

  test('are the replacements that lower the score most, strongest first', () => {
    expect(rankReasons('higher', 0.75, variants, Float64Array.of(0.5, 0.25, 0.75, 0.875), 3)).toEqual([
      { feature: 'b', value: 1, baseline: 0, effect: 0.5 },
      { feature: 'a', value: 1, baseline: 0, effect: 0.25 },
    ])
  })

  test('are those that raise the score most where a lower one is worse, with a positive effect all the same', () => {
    expect(rankReasons('lower', 0.0625, variants, Float64Array.of(0.125, 0.5625, 0.0625, 0), 3)).toEqual([
      { feature: 'b', value: 1, baseline: 0, effect: 0.5 },
      { feature: 'a', value: 1, baseline: 0, effect: 0.0625 },
    ])
  })

  test('are at most as many as asked for, ties in the order of the inputs', () => {
    const reasons = rankReasons('higher', 1, variants, [0, 0, 0, 0], 2)
    expect(reasons.map(({ feature }) => feature)).toEqual(['a', 'b'])
    expect(rankReasons('higher', 1, variants, [0, 0, 0, 0], 0)).toEqual([])
  })

  test('never hold an effect that is not a positive number', () => {
    expect(rankReasons('higher', 0.5, variants, [NaN, Infinity, -Infinity], 4)).toEqual([])
    fc.assert(
      fc.property(fc.double(), fc.array(fc.double(), { maxLength: 4 }), fc.nat(5), (score, scores, count) => {
        const effects = rankReasons('higher', score, variants, scores, count).map(({ effect }) => effect)
        expect(effects.length).toBeLessThanOrEqual(count)
        expect(effects.every((effect) => effect > 0 && effect < Infinity)).toBe(true)
        expect(effects).toEqual(effects.toSorted((a, b) => b - a))
      }),
    )
  })
})
