import fc from 'fast-check'
import { Histogram, Registry } from 'prom-client'
import { describe, expect, test } from 'vitest'
import { difference, Distribution, quantile } from '../../../src/telemetry/distribution.ts'

const buckets = [0.01, 0.1, 1, 10]
const value = fc.oneof(
  fc.constantFrom(...buckets, 0, -1),
  fc.double({ min: -1, max: 20, noNaN: true, noDefaultInfinity: true }),
)
const observation = fc.record({ stage: fc.constantFrom('decode', 'commit', 'quo"te\\'), value })

describe('Distribution', () => {
  test("is exposed exactly as prom-client's histogram of the same values", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(observation, { maxLength: 50 }), async (observations) => {
        const mine = new Registry()
        const theirs = new Registry()
        const distribution = new Distribution('d_seconds', 'Help.', ['stage'], buckets)
        mine.registerMetric(distribution as unknown as Histogram)
        const histogram = new Histogram({
          name: 'd_seconds',
          help: 'Help.',
          labelNames: ['stage'],
          buckets,
          registers: [theirs],
        })
        for (const { stage, value } of observations) {
          distribution.of({ stage }).observe(value)
          histogram.observe({ stage }, value)
        }
        expect(series(await mine.metrics())).toEqual(series(await theirs.metrics()))
      }),
      { numRuns: 100 },
    )
  })

  test('a handle stays valid after a reset', async () => {
    const distribution = new Distribution('d', 'Help.', [], [1])
    const handle = distribution.of({})
    handle.observe(0.5)
    distribution.reset()
    handle.observe(2)
    expect((await distribution.get()).values.map(({ value }) => value)).toEqual([0, 1, 2, 1])
  })

  test('ignores values that would spoil the sum', () => {
    const series = new Distribution('d', 'Help.', [], [1]).of({})
    series.observeAll([NaN, Infinity, 0.5])
    expect(series.snapshot()).toMatchObject({ count: 1, sum: 0.5 })
  })

  test('refuses buckets that do not ascend', () => {
    expect(() => new Distribution('d', 'Help.', [], [1, 1])).toThrow(/d: buckets must ascend/)
  })
})

describe('quantile', () => {
  const of = (...values: number[]) => {
    const series = new Distribution('d', 'Help.', [], [1, 2, 4]).of({})
    series.observeAll(values)
    return series.snapshot()
  }

  test('interpolates inside the bucket', () => {
    expect(quantile(of(0.5, 1.5, 1.5, 3), 0.5)).toBe(1.5)
    expect(quantile(of(0.5, 1.5, 1.5, 3), 1)).toBe(4)
    expect(quantile(of(0.5, 0.5), 0.5)).toBe(0.5)
  })

  test('reads values above the last bound as that bound, and nothing as null', () => {
    expect(quantile(of(99), 0.5)).toBe(4)
    expect(quantile(of(), 0.5)).toBeNull()
  })

  test('of a difference covers only what came between', () => {
    const series = new Distribution('d', 'Help.', [], [1, 2, 4]).of({})
    series.observeAll([0.5, 0.5, 0.5])
    const earlier = series.snapshot()
    series.observe(3)
    expect(quantile(difference(series.snapshot(), earlier), 1)).toBe(4)
    expect(difference(series.snapshot(), earlier)).toMatchObject({ count: 1, sum: 3 })
  })
})

/** Lines with labels in one order: neither format nor reader cares which. */
function series(text: string): string[] {
  return text
    .split('\n')
    .map((line) =>
      line.replace(
        /\{(.*)\}/,
        (_, labels: string) => `{${(labels.match(/\w+="(?:\\.|[^"\\])*"/g) ?? []).sort().join()}}`,
      ),
    )
    .sort()
}
