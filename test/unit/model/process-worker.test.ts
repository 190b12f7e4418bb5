import { describe, expect, it } from 'vitest'
import { MillraceError } from '../../../src/errors.ts'
import { lostInARowMax, openMaxMs, processWorker } from '../../../src/model/process-worker.ts'
import type { PoolWorker } from '../../../src/model/pool.ts'
import { watchRuns } from '../../../src/model/run-watch.ts'
import type { ModelProcess } from '../../../src/onnx/process.ts'
import { quietLog } from '../../../src/telemetry/log.ts'
import { manualClock, type ManualClock } from '../../../src/time/manual-clock.ts'

const lost = (): MillraceError => new MillraceError('MODEL_PROCESS_LOST', 'out of memory')

/** Processes that end over a negative first value; `dying`: and, once it is set, over everything; `slow`: start never ends. */
function world(): {
  readonly clock: ManualClock
  readonly state: { started: number; dying: boolean; slow: boolean }
  readonly open: () => Promise<PoolWorker>
} {
  const clock = manualClock()
  const state = { started: 0, dying: false, slow: false }
  const process = (): ModelProcess => {
    let gone = false
    return {
      pid: ++state.started,
      get isGone() {
        return gone
      },
      inputs: [],
      outputs: [],
      bind: () => undefined,
      run: (rows) => {
        if (gone || state.dying || rows[0]! < 0) {
          gone = true
          return Promise.reject(lost())
        }
        return Promise.resolve({ kind: 'scored', scores: Float64Array.from(rows), runMs: 1 })
      },
      close: () => Promise.resolve(),
      abandon: () => undefined,
      kill: () => (gone = true),
    }
  }
  const open = (): Promise<PoolWorker> =>
    processWorker(
      {
        open: () => (state.slow ? new Promise<never>(() => undefined) : Promise.resolve(process())),
        prove: async (worker) => void (await worker.run(Float32Array.of(1), 1)),
        watch: watchRuns(1_000, clock),
        clock,
        log: quietLog,
      },
      new AbortController().signal,
    )
  return { clock, state, open }
}

describe('a model process that is replaced', () => {
  it('fails the run it does not survive; the next one has another process', async () => {
    const { open, state } = world()
    const worker = await open()
    expect(await worker.run(Float32Array.of(-1), 1)).toMatchObject({ kind: 'failed', why: 'lost' })
    expect(await worker.run(Float32Array.of(2), 1)).toMatchObject({ kind: 'scored' })
    expect(state.started).toBe(2)
  })

  it('is given up when one after another ends without having answered a run', async () => {
    const { open, state, clock } = world()
    const worker = await open()
    const failures: unknown[] = []
    for (let i = 0; i < lostInARowMax; i++) {
      const run = worker.run(Float32Array.of(-1), 1).catch((error: unknown) => error)
      await clock.advance(6_000)
      failures.push(await run)
    }
    expect(failures.slice(0, -1).every((one) => (one as { why?: string }).why === 'lost')).toBe(true)
    expect(failures.at(-1)).toMatchObject({ code: 'MODEL_PROCESS_LOST' })
    expect((failures.at(-1) as Error).message).toContain('out of memory')
    expect(state.started).toBe(lostInARowMax)
  })

  it('is given up when even the rows of the warm-up end it', async () => {
    const { open, state, clock } = world()
    const worker = await open()
    await worker.run(Float32Array.of(-1), 1)
    state.dying = true
    const run = worker.run(Float32Array.of(1), 1).catch((error: unknown) => error)
    for (let i = 0; i < lostInARowMax; i++) await clock.advance(6_000)
    expect(await run).toMatchObject({ code: 'MODEL_PROCESS_LOST' })
  })

  it('is not given up while runs are answered between the losses', async () => {
    const { open, clock } = world()
    const worker = await open()
    for (let i = 0; i < 2 * lostInARowMax; i++) {
      expect(await worker.run(Float32Array.of(-1), 1)).toMatchObject({ why: 'lost' })
      const next = worker.run(Float32Array.of(1), 1)
      await clock.advance(200)
      expect(await next).toMatchObject({ kind: 'scored' })
    }
  })

  it('that is not ready in time stops the service, and accuses nobody: neither a hang nor an error nobody thought of', async () => {
    const { open, state, clock } = world()
    const worker = await open()
    await worker.run(Float32Array.of(-1), 1)
    state.slow = true
    const run = worker.run(Float32Array.of(1), 1).catch((error: unknown) => error)
    await clock.advance(openMaxMs)
    expect(await run).toMatchObject({ code: 'MODEL_PROCESS_LOST', message: expect.stringContaining('120 s') })
  })

  it('does not start when the first process is not ready in time', async () => {
    const { open, state, clock } = world()
    state.slow = true
    const starting = expect(open()).rejects.toMatchObject({ code: 'MODEL_PROCESS_LOST' })
    await clock.advance(openMaxMs)
    await starting
  })

  it('does not start when the first process ends over its warm-up', async () => {
    const { open, state } = world()
    state.dying = true
    await expect(open()).rejects.toMatchObject({ code: 'MODEL_PROCESS_LOST' })
    expect(state.started).toBe(1)
  })
})
