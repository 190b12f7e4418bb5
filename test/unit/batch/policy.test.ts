import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { nextPolicy, startPolicy } from '../../../src/batch/policy.ts'
import type { PolicyObservation, PolicyState } from '../../../src/batch/policy.ts'

const plan = { targetMs: 20, rowsMax: 2048 }
const idle: PolicyObservation = { oldestAtMs: null, run: null }
const ran = (rows: number, tookMs: number, waitedMs = 0): PolicyObservation => ({
  oldestAtMs: null,
  run: { rows, tookMs, waitedMs },
})

/** The state after runs that cost a + b·n ms, of sizes that vary. */
function taught(a: number, b: number, runs = 300, from = startPolicy(plan)): PolicyState {
  let state = from
  for (let i = 0; i < runs; i++)
    state = nextPolicy(state, ran(1 + ((i * 37) % 64), a + b * (1 + ((i * 37) % 64))), 0).state
  return state
}
const sizeAfter = (state: PolicyState, waitedMs = 0): number =>
  nextPolicy(state, { oldestAtMs: 100, run: null }, 100 + waitedMs).sizeTarget

describe('the batch policy', () => {
  it('begins with a careful size, and with rowsMax if that is less', () => {
    expect(nextPolicy(startPolicy(plan), idle, 0).sizeTarget).toBe(256)
    expect(nextPolicy(startPolicy({ ...plan, rowsMax: 10 }), idle, 0).sizeTarget).toBe(10)
  })

  it('caps a batch at what fits into nine tenths of the target', () => {
    expect(sizeAfter(taught(0.03, 0.05))).toBe(Math.floor((0.9 * 20 - 0.03) / 0.05))
  })

  it('takes off the time that the oldest row has waited', () => {
    expect(sizeAfter(taught(0.03, 0.05), 8)).toBe(Math.floor((0.9 * 20 - 0.03 - 8) / 0.05))
  })

  it('gives up to rowsMax when the model is fast', () => {
    expect(sizeAfter(taught(0.03, 0.0001))).toBe(plan.rowsMax)
  })

  it('learns nothing from the first five runs', () => {
    let state = startPolicy(plan)
    for (let run = 0; run < 5; run++) state = nextPolicy(state, ran(10, 1000), 0).state
    expect(sizeAfter(state)).toBe(256)
    expect(sizeAfter(nextPolicy(state, ran(10, 1000), 0).state)).toBeLessThan(256)
  })

  it('halves the limit on a miss and raises it by a tenth on a success', () => {
    const { limit, ...rest } = taught(0.01, 0.001)
    const state = { ...rest, limit: 1000 }
    expect(limit).toBe(plan.rowsMax)
    expect(nextPolicy(state, ran(100, 5, 15.1), 0).state.limit).toBe(500)
    expect(nextPolicy(state, ran(100, 5, 14.9), 0).state.limit).toBeCloseTo(1100)
  })

  it('keeps batches large enough under a backlog that they stay efficient', () => {
    let state = taught(0.04, 0.003)
    for (let i = 0; i < 100; i++) state = nextPolicy(state, ran(500, 1.54, 5000), 0).state
    const size = sizeAfter(state, 5000)
    expect(size).toBeGreaterThan(200) // a run as such costs 13 rows: 253 rows keep that at a twentieth
    expect(size).toBeLessThan(260)
  })

  it('recovers from a backlog', () => {
    let state = taught(0.04, 0.003)
    for (let i = 0; i < 50; i++) state = nextPolicy(state, ran(500, 1.54, 5000), 0).state
    for (let i = 0; i < 50; i++) state = nextPolicy(state, ran(500, 1.54), 0).state
    expect(sizeAfter(state)).toBe(plan.rowsMax)
  })

  it('always gives a whole number of rows from 1 to rowsMax and never waits', () => {
    const anyNumber = fc.oneof(fc.double(), fc.double({ min: 0, max: 1e4, noNaN: true }))
    const observation = fc.record({
      oldestAtMs: fc.option(anyNumber),
      run: fc.option(
        fc.record({ rows: fc.integer({ min: -1, max: 5000 }), waitedMs: anyNumber, tookMs: anyNumber }),
      ),
    })
    const plans = fc.record({
      targetMs: fc.double({ min: 0.01, max: 1e5, noNaN: true }),
      rowsMax: fc.integer({ min: 1, max: 100_000 }),
    })
    fc.assert(
      fc.property(plans, fc.array(fc.tuple(observation, anyNumber), { maxLength: 60 }), (any, steps) => {
        let state = startPolicy(any)
        for (const [seen, nowMs] of steps) {
          const decision = nextPolicy(state, seen, nowMs)
          state = decision.state
          expect(decision.waitMs).toBe(0)
          expect(Number.isInteger(decision.sizeTarget)).toBe(true)
          expect(decision.sizeTarget).toBeGreaterThanOrEqual(1)
          expect(decision.sizeTarget).toBeLessThanOrEqual(any.rowsMax)
        }
      }),
    )
  })

  it('does not change what it was given', () => {
    const state = Object.freeze(taught(0.03, 0.05))
    const before = structuredClone(state)
    nextPolicy(state, ran(64, 30), 5)
    expect(state).toEqual(before)
  })
})
