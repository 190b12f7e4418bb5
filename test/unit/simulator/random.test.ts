import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { createRandom, createWeightedDraw } from '../../../src/simulator/random.ts'
import { createTimeQueue } from '../../../src/simulator/time-queue.ts'
import { createWorld } from '../../../src/simulator/world.ts'

function moments(draw: () => number, n = 40_000): { mean: number; deviation: number } {
  const values = Array.from({ length: n }, draw)
  const mean = values.reduce((sum, value) => sum + value, 0) / n
  return { mean, deviation: Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / n) }
}

describe('random numbers', () => {
  test('are fixed by the seed', () => {
    const of = (seed: number) => {
      const random = createRandom(seed)
      return [random.next(), random.next(), random.next()]
    }
    expect(of(1)).toEqual([0.5636717735324055, 0.5851113414391875, 0.8959073920268565])
    expect(of(1)).not.toEqual(of(2))
  })

  test('are even, and normal, Poisson and exponential where asked', () => {
    const random = createRandom(42)
    expect(moments(() => random.next()).mean).toBeCloseTo(0.5, 1)
    expect(moments(() => random.next()).deviation).toBeCloseTo(Math.sqrt(1 / 12), 2)
    expect(moments(() => random.normal(10, 2)).mean).toBeCloseTo(10, 0)
    expect(moments(() => random.normal(10, 2)).deviation).toBeCloseTo(2, 1)
    for (const mean of [0.3, 4, 50, 200]) {
      const poisson = moments(() => random.poisson(mean))
      expect(poisson.mean / mean).toBeCloseTo(1, 1)
      expect(poisson.deviation / Math.sqrt(mean)).toBeCloseTo(1, 1)
    }
    expect(moments(() => random.exponential(3)).mean).toBeCloseTo(3, 0)
  })

  test('stay within their bounds', () => {
    fc.assert(
      fc.property(fc.integer(), fc.integer({ min: 1, max: 1000 }), (seed, n) => {
        const random = createRandom(seed)
        for (let i = 0; i < 20; i++) {
          const below = random.below(n)
          const log = random.logBetween(1, n + 1)
          expect(Number.isInteger(below) && below >= 0 && below < n).toBe(true)
          expect(log >= 1 && log < n + 1).toBe(true)
        }
      }),
    )
  })
})

test('a weighted draw follows its weights', () => {
  const weights = [5, 0, 1, 3, 1]
  const draw = createWeightedDraw(weights)
  const random = createRandom(6)
  const counts = weights.map(() => 0)
  for (let i = 0; i < 100_000; i++) counts[draw(random)]! += 1
  expect(counts[1]).toBe(0)
  counts.forEach((count, i) => expect(count / 100_000).toBeCloseTo(weights[i]! / 10, 2))
})

test('a time queue gives items in order of time, equal times in order of arrival', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: 20 })), (times) => {
      const queue = createTimeQueue<readonly [number, number]>()
      times.forEach((atMs, arrival) => queue.add(atMs, [atMs, arrival]))
      const out = times.map(() => queue.take())
      expect(out).toEqual(
        times.map((atMs, i) => [atMs, i] as const).sort((a, b) => a[0] - b[0] || a[1] - b[1]),
      )
      expect([queue.length, queue.nextMs]).toEqual([0, Infinity])
    }),
  )
})

test('every customer has a terminal near home, even on an empty map', () => {
  const world = createWorld(1, 50, 1)
  const random = createRandom(1)
  for (let customer = 0; customer < 50; customer++) expect(world.terminalNear(customer, random)).toBe(0)
})
