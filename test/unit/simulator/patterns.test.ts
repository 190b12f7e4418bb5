import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  cardTesting,
  createCompromises,
  meanCounts,
  spree,
  stolenCard,
} from '../../../src/simulator/patterns.ts'
import { createRandom } from '../../../src/simulator/random.ts'
import { createWorld } from '../../../src/simulator/world.ts'

const world = createWorld(3, 500, 200)
const minuteMs = 60_000
const dayMs = 86_400_000
const seeds = fc.integer({ min: 0, max: 2 ** 32 - 1 })

describe('card testing', () => {
  test('is at least eight amounts below 5.00 within the ten minutes before one large amount', () => {
    fc.assert(
      fc.property(seeds, (seed) => {
        const drafts = cardTesting(world, createRandom(seed), 1_000_000)
        const big = drafts[drafts.length - 1]!
        const small = drafts.slice(0, -1)
        expect(small.length).toBeGreaterThanOrEqual(8)
        expect(small.every(({ amountCents }) => amountCents > 0 && amountCents < 500)).toBe(true)
        expect(small.every(({ atMs }) => atMs >= big.atMs - 10 * minuteMs && atMs < big.atMs)).toBe(true)
        expect(big.amountCents).toBeGreaterThanOrEqual(15_000)
        expect(new Set(drafts.map(({ customer }) => customer)).size).toBe(1)
      }),
    )
  })
})

describe('a stolen card', () => {
  test('pays five times the usual amounts', () => {
    const random = createRandom(1)
    let stolen = 0
    let usual = 0
    for (let i = 0; i < 300; i++) {
      for (const { amountCents, customer } of stolenCard(world, random, 0, 'history')) {
        stolen += amountCents
        usual += world.amountCents(customer, random)
      }
    }
    expect(stolen / usual).toBeGreaterThan(4.6)
    expect(stolen / usual).toBeLessThan(5.4)
  })

  test('lasts days in history and minutes live', () => {
    fc.assert(
      fc.property(seeds, (seed) => {
        const spanMs = (pace: 'history' | 'live') =>
          Math.max(...stolenCard(world, createRandom(seed), 0, pace).map(({ atMs }) => atMs))
        expect(spanMs('history')).toBeLessThan(5 * dayMs)
        expect(spanMs('live')).toBeLessThan(10 * minuteMs)
        expect(spanMs('history')).toBeGreaterThan(spanMs('live'))
      }),
    )
  })
})

test('the mean counts are those of the patterns', () => {
  const random = createRandom(5)
  const mean = (make: () => readonly unknown[]) => {
    let sum = 0
    for (let i = 0; i < 2_000; i++) sum += make().length
    return sum / 2_000
  }
  expect(mean(() => stolenCard(world, random, 0, 'live'))).toBeCloseTo(meanCounts.stolen, 0)
  expect(mean(() => cardTesting(world, random, 0))).toBeCloseTo(meanCounts.testing, 0)
  expect(mean(() => spree(world, random, 0)) / meanCounts.spree).toBeCloseTo(1, 1)
})

describe('compromised terminals', () => {
  const terminals = 2_000
  const compromised = (at: ReturnType<typeof createCompromises>) => {
    const random = createRandom(9)
    return Array.from({ length: terminals }, (_, i) => i).filter((terminal) =>
      [1, 2, 3].some(() => at.copies(terminal, random)),
    )
  }

  test('are about six in a thousand at any time, and not for ever the same', () => {
    const at = createCompromises(createRandom(4), terminals, 0)
    at.moveTo(0)
    const first = compromised(at)
    at.moveTo(200 * dayMs)
    const later = compromised(at)
    expect(first.length).toBeGreaterThan(6)
    expect(later.length).toBeGreaterThan(4)
    expect(later.length).toBeLessThan(24)
    expect(later.filter((terminal) => first.includes(terminal)).length).toBeLessThan(3)
  })

  test('are the same however often anybody asks', () => {
    const steps = createCompromises(createRandom(4), terminals, 0)
    for (let day = 0; day <= 100; day++) steps.moveTo(day * dayMs)
    const leap = createCompromises(createRandom(4), terminals, 0)
    leap.moveTo(100 * dayMs)
    expect(compromised(steps)).toEqual(compromised(leap))
  })
})
