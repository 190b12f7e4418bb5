import type { ScoreType } from '../record/prediction.ts'

/**
 * The score as people write it: the double nearest to the fewest digits that read back as it in the model's precision. The
 * float32 nearest to 0.95 is 0.949999988079071, and with that `score * 100 >= 95` would be false.
 */
export function writtenScore(score: number, scoreType: ScoreType): number {
  if (scoreType !== 'float32' || Math.fround(score) !== score) return score
  // Nine digits tell all float32 apart.
  for (let digits = 6; digits < 9; digits++) {
    const written = Number(score.toPrecision(digits))
    if (Math.fround(written) === score) return written
  }
  return Number(score.toPrecision(9))
}
