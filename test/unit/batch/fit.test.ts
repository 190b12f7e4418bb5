import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { addRun, costOf, emptyFit } from '../../../src/batch/fit.ts'

const sizes = fc.array(fc.integer({ min: 1, max: 4096 }), { minLength: 30, maxLength: 200 })
const fitOf = (runs: readonly (readonly [number, number])[]) =>
  runs.reduce((fit, [rows, ms]) => addRun(fit, rows, ms), emptyFit)

describe('the fitted cost of runs', () => {
  it('is unknown before the first run', () => {
    expect(costOf(emptyFit)).toBeNull()
  })

  it('is the true one when runs of different sizes obey it', () => {
    const cost = fc.record({
      a: fc.double({ min: 0, max: 10, noNaN: true }),
      b: fc.double({ min: 1e-3, max: 1, noNaN: true }),
    })
    fc.assert(
      fc.property(sizes, cost, (rows, { a, b }) => {
        fc.pre(new Set(rows.slice(-20)).size > 5)
        const fitted = costOf(fitOf(rows.map((n) => [n, a + b * n])))!
        for (const n of rows) expect(fitted.a + fitted.b * n).toBeCloseTo(a + b * n, 4)
        expect(fitted.b).toBeCloseTo(b, 4)
      }),
    )
  })

  it('follows a machine that becomes slower', () => {
    const runs = (ms: number) =>
      Array.from({ length: 600 }, (_, i) => [1 + (i % 50), ms * (1 + (i % 50))] as const)
    expect(costOf(fitOf([...runs(0.01), ...runs(0.05)]))!.b).toBeCloseTo(0.05, 3)
  })

  it('never has a negative start, a free row or anything that is not a number', () => {
    const ms = fc.oneof(fc.constant(0), fc.double({ min: 0, max: 1e6, noNaN: true }))
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.integer({ min: 1, max: 4096 }), ms), { minLength: 1 }), (runs) => {
        const { a, b } = costOf(fitOf(runs))!
        expect(Number.isFinite(a) && a >= 0).toBe(true)
        expect(Number.isFinite(b) && b > 0).toBe(true)
      }),
    )
  })

  it('lays everything on the rows while all runs had one size', () => {
    const { a, b } = costOf(fitOf(Array.from({ length: 50 }, () => [100, 5])))!
    expect(a).toBe(0)
    expect(b).toBeCloseTo(0.05)
  })

  it('goes through zero when the best line would start below it', () => {
    const { a, b } = costOf(fitOf([...Array.from({ length: 9 }, () => [10, 1] as const), [100, 100]]))!
    expect(a).toBe(0)
    expect(b).toBeGreaterThan(0.9)
  })
})
