import { describe, expect, it } from 'vitest'
import { dimensionsOf, pickScores, takeColumns } from '../../../src/onnx/tensors.ts'

const float32 = (dims: number[], ...data: number[]) => ({
  dims,
  type: 'float32',
  data: Float32Array.from(data),
})

describe('rows and tensors', () => {
  it('takes the columns of one input out of rows that hold several inputs side by side', () => {
    const rows = Float32Array.of(1, 2, 3, 4, 5, 6)
    expect([...takeColumns(rows, 2, 3, 0, 2)]).toEqual([1, 2, 4, 5])
    expect([...takeColumns(rows, 2, 3, 2, 1)]).toEqual([3, 6])
  })

  it('gives a vector input one dimension and a matrix input two', () => {
    expect(dimensionsOf({ name: 'x', columns: 1, rank: 1 }, 7)).toEqual([7])
    expect(dimensionsOf({ name: 'x', columns: 3, rank: 2 }, 7)).toEqual([7, 3])
  })

  it('reads the named column of every row', () => {
    expect(pickScores(float32([2, 2], 0.25, 0.75, 0.5, 0.125), 2, 1)).toEqual(Float64Array.of(0.75, 0.125))
    expect(pickScores(float32([2, 2], 0.25, 0.75, 0.5, 0.125), 2, 0)).toEqual(Float64Array.of(0.25, 0.5))
  })

  it('reads one value a row from [N] and from [N, 1]', () => {
    expect(pickScores(float32([3], 1, 2, 3), 3, null)).toEqual(Float64Array.of(1, 2, 3))
    expect(pickScores(float32([3, 1], 1, 2, 3), 3, null)).toEqual(Float64Array.of(1, 2, 3))
  })

  it.each([
    ['fewer rows than were asked for', float32([1], 1), null],
    ['more columns than one without a column named', float32([2, 2], 1, 2, 3, 4), null],
    ['no such column', float32([2, 2], 1, 2, 3, 4), 2],
    ['three dimensions', float32([2, 1, 1], 1, 2), null],
    ['no dimension', float32([], 1), null],
    ['a type that is no score', { dims: [2], type: 'int64', data: BigInt64Array.of(1n, 2n) }, null],
  ])('refuses an output with %s', (_, output, column) => {
    expect(pickScores(output, 2, column)).toMatchObject({ kind: 'failed', why: 'shape' })
  })

  it('names the first rows whose score is not finite, and counts the rest', () => {
    const scores = [0.5, NaN, Infinity, NaN, -Infinity, NaN, NaN, NaN]
    expect(pickScores(float32([8], ...scores), 8, null)).toEqual({
      kind: 'failed',
      why: 'not-finite',
      message:
        'the score is NaN in row 1, Infinity in row 2, NaN in row 3, -Infinity in row 4, NaN in row 5 and 2 more of 8',
    })
  })
})
