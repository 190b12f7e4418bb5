import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { scoreAround } from '../../../src/batch/bisect.ts'
import type { RunModel } from '../../../src/batch/bisect.ts'
import { MillraceError } from '../../../src/errors.ts'

/** A model of one feature: the score is ten times it, except for the bad ones, where the run fails. */
function model(bad: ReadonlySet<number>): { run: RunModel; sizes: number[] } {
  const sizes: number[] = []
  const run: RunModel = async (rows, n) => {
    sizes.push(n)
    const found = [...rows].find((value) => bad.has(value))
    if (found !== undefined) throw new MillraceError('MODEL_RUN_FAILED', `bad ${found}`)
    const scores = Float64Array.from(rows, (value) => value * 10)
    structuredClone(rows, { transfer: [rows.buffer] }) // taken away, as by the scorer
    return { scores, runMs: 1 }
  }
  return { run, sizes }
}

const rowsOf = (n: number) => (from: number, to: number) =>
  Float32Array.from({ length: n }, (_, i) => i).slice(from, to)

describe('scoring around rows that fail', () => {
  it('is one run when none fails', async () => {
    const { run, sizes } = model(new Set())
    const result = await scoreAround(run, rowsOf(4), 4)
    expect(result).toEqual({ scores: Float64Array.of(0, 10, 20, 30), failures: null, runMs: 1 })
    expect(sizes).toEqual([4])
  })

  it('finds one row to blame in about two runs per halving', async () => {
    const { run, sizes } = model(new Set([700]))
    const { failures, scores } = await scoreAround(run, rowsOf(1024), 1024)
    expect(failures).toEqual(new Map([[700, 'bad 700']]))
    expect(scores[700]).toBeNaN()
    expect(scores[701]).toBe(7010)
    expect(sizes).toHaveLength(1 + 2 * 10)
  })

  it('blames exactly the rows that fail alone, and scores all the others', async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: 60 }), fc.array(fc.nat(59)), async (n, marked) => {
        const bad = new Set(marked.filter((row) => row < n))
        const { scores, failures } = await scoreAround(model(bad).run, rowsOf(n), n)
        expect(new Set(failures?.keys())).toEqual(bad)
        scores.forEach((score, row) => expect(score).toEqual(bad.has(row) ? NaN : row * 10))
      }),
    )
  })

  it('blames no row when the halves of a failed run succeed', async () => {
    let runs = 0
    const run: RunModel = async (rows, n) => {
      runs += 1
      if (n > 2) throw new MillraceError('MODEL_RUN_FAILED', 'too many rows')
      return { scores: Float64Array.from(rows), runMs: 1 }
    }
    expect(await scoreAround(run, rowsOf(4), 4)).toMatchObject({
      failures: null,
      scores: Float64Array.of(0, 1, 2, 3),
    })
    expect(runs).toBe(3)
  })

  it('throws on what no row is to blame for, first or in between', async () => {
    const hang = new MillraceError('MODEL_HANG', 'hangs')
    await expect(scoreAround(() => Promise.reject(hang), rowsOf(4), 4)).rejects.toBe(hang)
    let runs = 0
    const later: RunModel = () =>
      Promise.reject(runs++ === 0 ? new MillraceError('MODEL_RUN_FAILED', 'bad') : hang)
    await expect(scoreAround(later, rowsOf(4), 4)).rejects.toBe(hang)
  })

  describe('runs that were lost', () => {
    const lose = (rows: Float32Array, bad: (value: number) => boolean): Promise<never> | null =>
      [...rows].some(bad) ? Promise.reject(new MillraceError('MODEL_RUN_LOST', 'gone')) : null
    const scored = (rows: Float32Array) => Promise.resolve({ scores: Float64Array.from(rows), runMs: 1 })

    it('are not halved: rows are run one by one, and the one that is lost twice is to blame', async () => {
      let losses = 0
      const run: RunModel = (rows) => {
        const loss = lose(rows, (value) => value === 700)
        if (loss !== null) losses++
        return loss ?? scored(rows)
      }
      const { failures, scores } = await scoreAround(run, rowsOf(1024), 1024)
      expect(failures).toEqual(new Map([[700, 'gone']]))
      expect(scores[701]).toBe(701)
      expect(losses).toBe(3)
    })

    it('blame no row that is scored at the second attempt', async () => {
      let first = true
      const run: RunModel = (rows, n) => {
        const loss = n > 1 || first ? lose(rows, (value) => value === 2) : null
        if (n === 1 && loss !== null) first = false
        return loss ?? scored(rows)
      }
      expect(await scoreAround(run, rowsOf(4), 4)).toEqual({
        failures: null,
        runMs: 4,
        scores: Float64Array.of(0, 1, 2, 3),
      })
    })

    it('are told from rows that throw in the same batch', async () => {
      const run: RunModel = (rows) => {
        if ([...rows].includes(1)) return Promise.reject(new MillraceError('MODEL_RUN_FAILED', 'bad'))
        return lose(rows, (value) => value === 6) ?? scored(rows)
      }
      const { failures } = await scoreAround(run, rowsOf(8), 8)
      expect(failures).toEqual(new Map([[1, 'bad'], [6, 'gone']])) // prettier-ignore
    })
  })
})
