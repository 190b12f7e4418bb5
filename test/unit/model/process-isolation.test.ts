import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { scoreAround } from '../../../src/batch/bisect.ts'
import { openScorer } from '../../../src/model/onnx-scorer.ts'
import type { ModelPlan } from '../../../src/model/plan.ts'
import type { Scorer } from '../../../src/model/scorer.ts'
import { quietLog } from '../../../src/telemetry/log.ts'
import { systemClock } from '../../../src/time/system-clock.ts'
import { modelFile, modelPlan } from '../../support/models.ts'
import { isRunning, modelProcessesOf } from '../../support/process-list.ts'

const opened: Scorer[] = []
afterEach(async () => {
  for (const scorer of opened.splice(0)) await scorer.close()
})

async function open(name: string, change: Partial<ModelPlan> = {}): Promise<Scorer> {
  const plan = modelPlan({ path: modelFile(name), isolation: 'process', ...change })
  const signal = new AbortController().signal
  const scorer = await openScorer({ plan, clock: systemClock, log: quietLog, signal })
  opened.push(scorer)
  return scorer
}

const children = (): Promise<number[]> => modelProcessesOf(process.pid)

/** slow.onnx turns as often as the largest first feature says: this row hangs for half an hour. */
const hangs = 2_000_000_000

vi.setConfig({ testTimeout: 60_000 }) // real processes, real timeouts

describe('a model in processes of its own', () => {
  it('scores as in threads', async () => {
    const scorer = await open('linear.onnx', { workers: 2 })
    expect((await children()).length).toBe(2)
    const runs = [1, 2, 3].map((i) => scorer.score(Float32Array.of(i, 2, 3, 4, 5, 6), 2))
    expect((await Promise.all(runs)).map(({ scores }) => [...scores])).toEqual([[14, 32], [15, 32], [16, 32]]) // prettier-ignore
    await scorer.close()
    expect(await children()).toEqual([])
  })

  it('lays a run that throws on its rows, as in threads, and keeps the process', async () => {
    const scorer = await open('lookup.onnx')
    const before = await children()
    await expect(scorer.score(Float32Array.of(9, 0, 0), 1)).rejects.toMatchObject({
      code: 'MODEL_RUN_FAILED',
    })
    expect((await scorer.score(Float32Array.of(1, 0, 0), 1)).scores[0]).toBeCloseTo(0.2)
    expect(await children()).toEqual(before)
  })

  it('ends a process that hangs; only the run under way fails, and another process goes on', async () => {
    const scorer = await open('slow.onnx', { runTimeoutMs: 1000 })
    const before = await children()
    const hanging = scorer.score(Float32Array.of(hangs, 0, 0), 1)
    const behind = scorer.score(Float32Array.of(7, 0, 0), 1)
    await expect(hanging).rejects.toMatchObject({
      code: 'MODEL_RUN_LOST',
      message: expect.stringContaining('a run of 1 row did not end within 1000 ms') as string,
    })
    expect([...(await behind).scores]).toEqual([7])
    const after = await children()
    expect([before.length, after.length]).toEqual([1, 1])
    expect(after).not.toEqual(before)
  })

  it('fails only the run under way when its process is killed from outside', async () => {
    const scorer = await open('slow.onnx')
    const run = scorer.score(Float32Array.of(hangs, 0, 0), 1)
    const [pid = 0] = await children()
    process.kill(pid, 'SIGKILL')
    await expect(run).rejects.toMatchObject({ code: 'MODEL_RUN_LOST' })
    expect([...(await scorer.score(Float32Array.of(3, 0, 0), 1)).scores]).toEqual([3])
  })

  it('loses no run when its process ended between two', async () => {
    const scorer = await open('linear.onnx')
    const [pid = 0] = await children()
    process.kill(pid, 'SIGKILL')
    // Buried, so this process knows.
    await expect.poll(() => signalled(pid)).toBe(false)
    expect([...(await scorer.score(Float32Array.of(1, 2, 3), 1)).scores]).toEqual([14])
  })

  it('narrows a hang down to its row and scores all the others', async () => {
    const scorer = await open('slow.onnx', { runTimeoutMs: 1000 })
    const rows = Float32Array.from({ length: 40 * 3 }, (_, i) => (i === 17 * 3 ? hangs : i % 3 === 0 ? 5 : 0))
    const { scores, failures } = await scoreAround(
      (some, n) => scorer.score(some, n),
      (from, to) => rows.slice(from * 3, to * 3),
      40,
    )
    expect([...(failures?.keys() ?? [])]).toEqual([17])
    expect(scores.filter((score) => score === 5).length).toBe(39)
  })

  it('refuses a model with the reasons of the thread', async () => {
    await expect(open('fixed-batch.onnx')).rejects.toMatchObject({
      code: 'MODEL_INVALID',
      message: expect.stringContaining('free first dimension') as string,
    })
    expect(await children()).toEqual([])
  })

  it('dies with the process that started it, even in the middle of a run that hangs', async () => {
    const code = `
      import { openProcess } from ${JSON.stringify(import.meta.resolve('../../../src/onnx/process.ts'))}
      import { readFileSync } from 'node:fs'
      const model = readFileSync(${JSON.stringify(modelFile('slow.onnx'))})
      const opened = await openProcess({ model, externalData: [] }, new AbortController().signal)
      opened.bind({ inputs: [{ name: 'features', columns: 3, rank: 2 }], output: 'score', column: null })
      await opened.run(Float32Array.of(1, 0, 0), 1)
      process.stdout.write(String(opened.pid))
      await opened.run(Float32Array.of(${hangs}, 0, 0), 1)`
    const parent = spawn(process.execPath, ['--input-type=module', '-e', code], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    const [said] = (await once(parent.stdout, 'data')) as [Buffer]
    const pid = Number(said)
    expect(await isRunning(pid)).toBe(true)
    parent.kill('SIGKILL')
    await expect.poll(() => isRunning(pid), { timeout: 10_000 }).toBe(false)
  })
})

function signalled(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}
