import { describe, expect, it } from 'vitest'
import { goldenDifference, goldenRows } from '../../../src/model/golden.ts'
import { linearGolden } from '../../support/models.ts'

describe('golden rows', () => {
  it('stand side by side in the order of the topology', () => {
    const inputs = [
      { name: 'b', features: ['b1'] },
      { name: 'a', features: ['a1', 'a2'] },
    ]
    const golden = {
      inputs: {
        a: [
          [1, 2],
          [3, 4],
        ],
        b: [[9], [8]],
      },
      scores: [0, 0],
      tolerance: 1,
    }
    expect([...goldenRows(inputs, golden)]).toEqual([9, 1, 2, 8, 3, 4])
  })

  it('agree within the tolerance', () => {
    expect(goldenDifference({ ...linearGolden, tolerance: 0.25 }, Float64Array.of(1.25, 4.75, 12))).toBeNull()
  })

  it('disagree beyond it; the worst row is named', () => {
    const text = goldenDifference(linearGolden, Float64Array.of(1.1, 5, 14))
    expect(text).toMatch(/^2 of 3 golden rows.*row 2: 14 instead of 12/)
  })
})
