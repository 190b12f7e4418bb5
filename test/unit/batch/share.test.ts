import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { shareBatch } from '../../../src/batch/share.ts'

const share = (sizes: number[], size: number): (readonly [number, number])[] => {
  const waiting = sizes.map((rowsLeft, id) => ({ id, rowsLeft }))
  return shareBatch(waiting, size).map(({ request, rows }) => [request.id, rows])
}

describe('sharing a batch', () => {
  it('takes everything when it fits', () => {
    expect(share([3, 1, 2], 10)).toEqual([[0, 3], [1, 1], [2, 2]]) // prettier-ignore
  })

  it('gives a long request only what the others leave', () => {
    expect(share([1000, 2, 3], 100)).toEqual([[0, 95], [1, 2], [2, 3]]) // prettier-ignore
  })

  it('gives long requests equal shares', () => {
    expect(share([1000, 1000, 1000, 1000], 100).map(([, rows]) => rows)).toEqual([25, 25, 25, 25])
  })

  it('serves the first ones when there are more requests than rows', () => {
    expect(share([5, 5, 5], 2)).toEqual([[0, 1], [1, 1]]) // prettier-ignore
  })

  it('fills the batch or empties the queue, and gives nobody more than it has', () => {
    const sizes = fc.array(fc.integer({ min: 1, max: 300 }), { minLength: 1, maxLength: 30 })
    fc.assert(
      fc.property(sizes, fc.integer({ min: 1, max: 2048 }), (waiting, size) => {
        const shares = share(waiting, size)
        const given = shares.reduce((sum, [, rows]) => sum + rows, 0)
        const all = waiting.reduce((sum, rows) => sum + rows, 0)
        expect(given).toBe(Math.min(size, all))
        for (const [id, rows] of shares) expect(rows >= 1 && rows <= waiting[id]!).toBe(true)
      }),
    )
  })

  it('lets nobody have two rows more than another who wants more', () => {
    const sizes = fc.array(fc.integer({ min: 1, max: 300 }), { minLength: 1, maxLength: 30 })
    fc.assert(
      fc.property(sizes, fc.integer({ min: 1, max: 2048 }), (waiting, size) => {
        const given = new Map(share(waiting, size))
        const largest = Math.max(...given.values())
        waiting.forEach((wanted, id) => {
          const rows = given.get(id) ?? 0
          if (rows < wanted) expect(largest - rows).toBeLessThanOrEqual(1)
        })
      }),
    )
  })
})
