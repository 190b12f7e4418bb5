import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createBatcher } from '../../../src/batch/batcher.ts'
import type { BatchObservation, Batcher, BatcherOptions } from '../../../src/batch/batcher.ts'
import { MillraceError } from '../../../src/errors.ts'
import { manualClock } from '../../../src/time/manual-clock.ts'

interface Run {
  readonly rows: number[]
  readonly n: number
  /** Ends the run with the sum of each row as its score. */
  finish(): void
  fail(error: unknown): void
}

/** A batcher over a model of `width` features whose runs end when the test says so. */
function setup(change: Partial<BatcherOptions> = {}) {
  const runs: Run[] = []
  const seen: BatchObservation[] = []
  const clock = manualClock()
  const width = change.width ?? 1
  const batcher = createBatcher({
    width,
    concurrency: 1,
    plan: { targetMs: 20, rowsMax: 2048 },
    queuedRowsMax: 10_000,
    clock,
    observe: (batch) => seen.push(batch),
    run: (rows, n) =>
      new Promise((resolve, reject) => {
        const scores = Float64Array.from({ length: n }, (_, i) =>
          rows.subarray(i * width, (i + 1) * width).reduce((sum, value) => sum + value, 0),
        )
        runs.push({ rows: [...rows], n, finish: () => resolve({ scores, runMs: 1 }), fail: reject })
      }),
    ...change,
  })
  return { batcher, runs, seen, clock }
}

const never = new AbortController().signal
const ask = (batcher: Batcher, ...rows: number[]) =>
  batcher.score(Float32Array.from(rows), rows.length, never)
/** Every continuation that is ready has run. */
const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))
/** Finishes runs until there are no more. */
async function finishAll(runs: Run[]): Promise<void> {
  for (let i = 0; i < runs.length; i++) {
    runs[i]!.finish()
    await settled()
  }
}

describe('the batcher', () => {
  it('scores at once what comes to an idle worker', async () => {
    const { batcher, runs, seen } = setup({ width: 2 })
    const answer = batcher.score(Float32Array.of(1, 2, 3, 4), 2, never)
    await settled()
    expect(runs.map(({ rows }) => rows)).toEqual([[1, 2, 3, 4]])
    await finishAll(runs)
    expect(await answer).toEqual({ scores: Float64Array.of(3, 7), failures: null })
    expect(seen).toMatchObject([{ reason: 'drained', rows: 2, requests: 1, failedRows: 0, runMs: 1 }])
  })

  it('puts requests of one turn of the event loop into one batch', async () => {
    const { batcher, runs } = setup()
    const answers = [ask(batcher, 1), ask(batcher, 2, 3), ask(batcher, 4)]
    await settled()
    expect(runs.map(({ rows }) => rows)).toEqual([[1, 2, 3, 4]])
    await finishAll(runs)
    expect((await Promise.all(answers)).map(({ scores }) => [...scores])).toEqual([[1], [2, 3], [4]])
  })

  it('lets come together what arrives while all workers are busy', async () => {
    const { batcher, runs } = setup()
    const answers = [ask(batcher, 1)]
    for (const row of [2, 3, 4]) {
      await settled()
      answers.push(ask(batcher, row))
    }
    expect(batcher.queuedRows).toBe(3)
    await finishAll(runs)
    expect(runs.map(({ rows }) => rows)).toEqual([[1], [2, 3, 4]])
    expect((await Promise.all(answers)).map(({ scores }) => scores[0])).toEqual([1, 2, 3, 4])
  })

  it('keeps as many runs under way as allowed', async () => {
    const { batcher, runs } = setup({ concurrency: 2 })
    const answers: Promise<unknown>[] = []
    for (const row of [1, 2, 3]) {
      answers.push(ask(batcher, row))
      await settled()
    }
    expect(runs.map(({ rows }) => rows)).toEqual([[1], [2]])
    await finishAll(runs)
    await Promise.all(answers)
  })

  it('spreads a long request over batches and lets short ones in between', async () => {
    const { batcher, runs, seen } = setup({ plan: { targetMs: 20, rowsMax: 4 } })
    const long = ask(batcher, ...Array.from({ length: 10 }, (_, i) => i))
    await settled()
    const short = ask(batcher, 100)
    await finishAll(runs)
    expect(runs.map(({ rows }) => rows)).toEqual([[0, 1, 2, 3], [4, 5, 6, 100], [7, 8, 9]]) // prettier-ignore
    expect([...(await long).scores]).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
    expect([...(await short).scores]).toEqual([100])
    expect(seen.map(({ reason }) => reason)).toEqual(['full', 'full', 'drained'])
  })

  it('lets requests take turns when there are more of them than rows in a batch', async () => {
    const { batcher, runs } = setup({ plan: { targetMs: 20, rowsMax: 1 } })
    const answers = [ask(batcher, 1, 2), ask(batcher, 3, 4)]
    await settled()
    await finishAll(runs)
    expect(runs.map(({ rows }) => rows[0])).toEqual([1, 3, 2, 4])
    await Promise.all(answers)
  })

  it('answers a short request before the long one it came after', async () => {
    const { batcher, runs } = setup({ plan: { targetMs: 20, rowsMax: 4 } })
    const order: string[] = []
    void ask(batcher, ...Array.from({ length: 40 }, () => 0)).then(() => order.push('long'))
    await settled()
    void ask(batcher, 1, 2).then(() => order.push('short'))
    await finishAll(runs)
    expect(order).toEqual(['short', 'long'])
  })

  it('keeps batches below the learned cap, and says that this was the reason', async () => {
    const { batcher, runs, seen, clock } = setup()
    for (let i = 0; i < 40; i++) {
      const answer = ask(batcher, ...Array.from({ length: 1 + (i % 7) }, () => 1))
      await settled()
      await clock.advance(0.25 + 0.5 * (1 + (i % 7)))
      runs.at(-1)!.finish()
      await answer
    }
    expect(batcher.sizeTarget).toBe(35) // (0.9 · 20 - 0.25) / 0.5
    const first = runs.length
    const answer = ask(batcher, ...Array.from({ length: 50 }, () => 1))
    await settled()
    expect(runs[first]!.n).toBe(35)
    runs[first]!.finish()
    await settled()
    runs[first + 1]!.finish()
    await answer
    expect(seen.at(-2)).toMatchObject({ reason: 'deadline', rows: 35, sizeTarget: 35 })
    expect(seen.at(-1)).toMatchObject({ reason: 'drained', rows: 15 })
  })

  it('measures waiting and scoring time', async () => {
    const { batcher, runs, seen, clock } = setup()
    const answers = [ask(batcher, 1)]
    await settled()
    answers.push(ask(batcher, 2))
    await clock.advance(3)
    runs[0]!.finish()
    await settled()
    await clock.advance(2)
    runs[1]!.finish()
    await Promise.all(answers)
    expect(seen).toMatchObject([
      { waitedMs: 0, tookMs: 3 },
      { waitedMs: 3, tookMs: 2 },
    ])
  })

  it('leaves the rows of its callers alone', async () => {
    const rows = Float32Array.of(1, 2)
    const { batcher, runs } = setup()
    const answer = batcher.score(rows, 2, never)
    await settled()
    await finishAll(runs)
    await answer
    expect([...rows]).toEqual([1, 2])
  })

  it('answers a request without rows', async () => {
    const { batcher, runs } = setup()
    expect(await ask(batcher)).toEqual({ scores: new Float64Array(0), failures: null })
    expect(runs).toEqual([])
  })

  it('refuses rows that do not have its width', async () => {
    const { batcher } = setup({ width: 3 })
    await expect(batcher.score(new Float32Array(4), 1, never)).rejects.toMatchObject({ code: 'INTERNAL' })
  })
})

describe('the batcher, when runs fail', () => {
  const failing = (bad: ReadonlySet<number>): Partial<BatcherOptions> => ({
    run: async (rows) => {
      const found = [...rows].find((value) => bad.has(value))
      if (found !== undefined) throw new MillraceError('MODEL_RUN_FAILED', `bad ${found}`)
      return { scores: Float64Array.from(rows), runMs: 1 }
    },
  })

  it('fails the row to blame in its own request and scores everything else', async () => {
    const { batcher, seen } = setup(failing(new Set([5])))
    const answers = await Promise.all([ask(batcher, 1, 2), ask(batcher, 4, 5, 6), ask(batcher, 7)])
    expect(answers).toEqual([
      { scores: Float64Array.of(1, 2), failures: null },
      { scores: Float64Array.of(4, NaN, 6), failures: new Map([[1, 'bad 5']]) },
      { scores: Float64Array.of(7), failures: null },
    ])
    expect(seen).toMatchObject([{ rows: 6, failedRows: 1 }])
  })

  it('gives every request its own scores and failures, however they are cut and merged', async () => {
    const sizes = fc.array(fc.integer({ min: 0, max: 20 }), { minLength: 1, maxLength: 8 })
    await fc.assert(
      fc.asyncProperty(
        sizes,
        fc.integer({ min: 1, max: 9 }),
        fc.array(fc.nat(99)),
        async (asked, rowsMax, marked) => {
          const bad = new Set(marked)
          const { batcher } = setup({ ...failing(bad), concurrency: 2, plan: { targetMs: 20, rowsMax } })
          let next = 0
          const requests = asked.map((n) => Array.from({ length: n }, () => next++))
          const answers = await Promise.all(requests.map((rows) => ask(batcher, ...rows)))
          requests.forEach((rows, i) => {
            expect([...answers[i]!.scores]).toEqual(rows.map((row) => (bad.has(row) ? NaN : row)))
            const failed = rows.flatMap((row, at) => (bad.has(row) ? [at] : []))
            expect([...(answers[i]!.failures?.keys() ?? [])].sort((a, b) => a - b)).toEqual(failed)
          })
          expect(batcher.queuedRows).toBe(0)
        },
      ),
    )
  })

  it('rejects the requests of a batch that no row is to blame for, rest included, and goes on with others', async () => {
    const { batcher, runs } = setup({ plan: { targetMs: 20, rowsMax: 2 } })
    const first = ask(batcher, 1, 2, 3, 4)
    await settled()
    const second = ask(batcher, 9)
    const hang = new MillraceError('MODEL_HANG', 'hangs')
    runs[0]!.fail(hang)
    await expect(first).rejects.toBe(hang)
    expect(runs[1]!.rows).toEqual([9])
    runs[1]!.finish()
    expect((await second).scores[0]).toBe(9)
    expect(batcher.queuedRows).toBe(0)
  })

  it('learns nothing about the cost of a run from a bisection', async () => {
    const { batcher, clock } = setup({
      run: async (rows) => {
        await clock.advance(1000)
        if (rows.includes(5)) throw new MillraceError('MODEL_RUN_FAILED', 'bad')
        return { scores: Float64Array.from(rows), runMs: 1000 }
      },
    })
    const before = batcher.sizeTarget
    for (let i = 0; i < 10; i++) await ask(batcher, 4, 5)
    expect(batcher.sizeTarget).toBe(before)
  })
})

describe('the batcher, when it is called off or full', () => {
  it('drops a waiting request whose signal aborts', async () => {
    const { batcher, runs } = setup()
    const first = ask(batcher, 1)
    await settled()
    const stop = new AbortController()
    const second = batcher.score(Float32Array.of(2, 3), 2, stop.signal)
    stop.abort(new Error('revoked'))
    await expect(second).rejects.toThrow('revoked')
    expect(batcher.queuedRows).toBe(0)
    await finishAll(runs)
    await first
    expect(runs).toHaveLength(1)
  })

  it('lets go of a request in a run whose signal aborts, and keeps the others of that run', async () => {
    const { batcher, runs } = setup({ plan: { targetMs: 20, rowsMax: 4 } })
    const stop = new AbortController()
    const given = batcher.score(Float32Array.of(1, 2, 3, 4, 5, 6), 6, stop.signal)
    const kept = ask(batcher, 9)
    await settled()
    stop.abort(new Error('revoked'))
    await expect(given).rejects.toThrow('revoked')
    await finishAll(runs)
    expect((await kept).scores[0]).toBe(9)
    expect(runs).toHaveLength(1)
  })

  it('takes nothing under a signal that has aborted', async () => {
    const { batcher } = setup()
    await expect(batcher.score(new Float32Array(1), 1, AbortSignal.abort(new Error('gone')))).rejects.toThrow(
      'gone',
    )
    expect(batcher.queuedRows).toBe(0)
  })

  it('has no room from queuedRowsMax on, and tells who waits for room', async () => {
    const { batcher, runs } = setup({ queuedRowsMax: 3 })
    const answers = [ask(batcher, 1)]
    await settled()
    expect(batcher.hasRoom).toBe(true)
    answers.push(ask(batcher, 2, 3, 4))
    expect(batcher).toMatchObject({ queuedRows: 3, hasRoom: false })
    let room = false
    const waiting = batcher.whenRoom(never).then(() => (room = true))
    await settled()
    expect(room).toBe(false)
    runs[0]!.finish()
    await waiting
    expect(batcher.hasRoom).toBe(true)
    await batcher.whenRoom(never)
    await finishAll(runs.slice(1))
    await Promise.all(answers)
  })

  it('tells of room when the requests that took it are called off', async () => {
    const { batcher, runs } = setup({ queuedRowsMax: 1 })
    const first = ask(batcher, 1)
    await settled()
    const stop = new AbortController()
    const second = batcher.score(Float32Array.of(2), 1, stop.signal)
    const waiting = batcher.whenRoom(never)
    await settled()
    stop.abort(new Error('revoked'))
    await expect(second).rejects.toThrow('revoked')
    await waiting
    await finishAll(runs)
    await first
  })

  it('stops waiting for room when its signal aborts', async () => {
    const { batcher, runs } = setup({ queuedRowsMax: 1 })
    const answers = [ask(batcher, 1)]
    await settled()
    answers.push(ask(batcher, 2))
    const stop = new AbortController()
    const waiting = batcher.whenRoom(stop.signal)
    stop.abort(new Error('enough'))
    await expect(waiting).rejects.toThrow('enough')
    await finishAll(runs)
    await Promise.all(answers)
  })
})
