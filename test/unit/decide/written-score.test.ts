import fc from 'fast-check'
import { expect, test } from 'vitest'
import { writtenScore } from '../../../src/decide/written-score.ts'

/** The fewest digits, from six on, that read back as the score. */
function fewestDigits(score: number): number {
  for (let digits = 6; digits < 9; digits++) {
    const read = Number(score.toPrecision(digits))
    if (Math.fround(read) === score) return read
  }
  return Number(score.toPrecision(9))
}

const float32 = fc.float({ noNaN: true })
const share = fc.float({ min: 0, max: 1, noNaN: true })
/** Between 1e-5 and 1, so that borders of decades are met. */
const nearPowerOfTen = fc
  .tuple(fc.integer({ min: -5, max: 0 }), fc.integer({ min: -40, max: 40 }))
  .map(([power, steps]) => Math.fround(10 ** power * (1 + steps * 2 ** -24)))

test('a float32 score is the double nearest to its fewest digits', () => {
  const anyScore = fc.oneof(float32, share, nearPowerOfTen)
  fc.assert(
    fc.property(anyScore, (score) => Object.is(writtenScore(score, 'float32'), fewestDigits(score))),
    { numRuns: 20_000 },
  )
})

test('scores of people are what they wrote', () => {
  const written = Array.from({ length: 100_001 }, (_, i) => i / 100_000)
  const read = written.map((score) => writtenScore(Math.fround(score), 'float32'))
  expect(read).toEqual(written)
})

test('a float64 score, and one beyond float32, stays as it is', () => {
  expect(writtenScore(0.1 + 0.2, 'float64')).toBe(0.1 + 0.2)
  expect(writtenScore(0.1, 'float32')).toBe(0.1)
})
