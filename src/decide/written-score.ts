import type { ScoreType } from '../record/prediction.ts'

/**
 * The score as people write it: the double nearest to the fewest digits that read back as it in the model's precision. The
 * float32 nearest to 0.95 is 0.949999988079071, and with that `score * 100 >= 95` would be false.
 */
export function writtenScore(score: number, scoreType: ScoreType): number {
  if (scoreType !== 'float32' || Math.fround(score) !== score) return score
  const round = score >= exactFrom && score < 1 ? roundShare : roundAny
  // Nine digits tell all float32 apart.
  for (let digits = 6; digits < 9; digits++) {
    const written = round(score, digits)
    if (Math.fround(written) === score) return written
  }
  return round(score, 9)
}

/** To significant digits. */
function roundAny(score: number, digits: number): number {
  return Number(score.toPrecision(digits))
}

const exactFrom = 1e-4
const powersOfTen = Array.from({ length: 13 }, (_, power) => 10 ** power)

/**
 * As `roundAny`, by arithmetic alone: a float32 of this size times a power of ten up to 12 has at most 53 bits, so it is
 * exact, and a whole number divided by such a power is rounded once, as the parser of its digits rounds.
 */
function roundShare(score: number, digits: number): number {
  const zeros = score >= 0.1 ? 0 : score >= 0.01 ? 1 : score >= 0.001 ? 2 : 3
  const power = powersOfTen[zeros + digits]!
  return Math.round(score * power) / power
}
