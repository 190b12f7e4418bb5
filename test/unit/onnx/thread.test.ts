import { describe, expect, it } from 'vitest'
import { openThread } from '../../../src/onnx/thread.ts'
import type { Binding } from '../../../src/onnx/protocol.ts'
import { modelBytes } from '../../support/models.ts'

const linear: Binding = { inputs: [{ name: 'features', columns: 3, rank: 2 }], output: 'score', column: null }
const open = (name: string) => openThread({ model: modelBytes(name), externalData: [] })

describe('a model thread', () => {
  it('describes the inputs and outputs of its model', async () => {
    const thread = await open('zipmap.onnx')
    expect(thread.inputs).toEqual([{ name: 'features', type: 'float32', shape: ['', 3] }])
    expect(thread.outputs).toEqual([
      { name: 'output_label', type: 'int64', shape: [''] },
      { name: 'output_probability', type: null, shape: [] },
    ])
    await thread.close()
  })

  it('scores rows, run after run, and takes their buffer away', async () => {
    const thread = await open('linear.onnx')
    thread.bind(linear)
    const rows = Float32Array.of(1, 2, 3, 4, 5, 6)
    expect(await thread.run(rows, 2)).toMatchObject({ kind: 'scored', scores: Float64Array.of(14, 32) })
    expect(rows.length).toBe(0)
    expect(await thread.run(Float32Array.of(1, 0, 0), 1)).toMatchObject({ scores: Float64Array.of(1) })
    await thread.close()
  })

  it('feeds several inputs from rows that hold them side by side, in the order bound', async () => {
    const thread = await open('two-inputs.onnx')
    const [count, amounts] = [
      { name: 'count', columns: 1, rank: 1 },
      { name: 'amounts', columns: 2, rank: 2 },
    ] as const
    thread.bind({ inputs: [count, amounts], output: 'score', column: null })
    const reply = await thread.run(Float32Array.of(7, 1, 2, 0, 5, 5), 2)
    expect(reply).toMatchObject({ scores: Float64Array.of(75, 15) })
    await thread.close()
  })

  it('goes on after a run that throws and after a score that is not finite', async () => {
    const thread = await open('lookup.onnx')
    thread.bind(linear)
    const failed = await thread.run(Float32Array.of(9, 0, 0), 1)
    expect(failed).toMatchObject({ kind: 'failed', why: 'threw' })
    expect(failed).toHaveProperty('message', expect.stringContaining('idx=9'))
    expect(await thread.run(Float32Array.of(0, 0, 0), 1)).toMatchObject({ kind: 'scored' })
    await thread.close()
  })

  it('says why onnxruntime refuses a model', async () => {
    await expect(
      openThread({ model: new Uint8Array(Buffer.from('no model')), externalData: [] }),
    ).rejects.toMatchObject({
      code: 'MODEL_INVALID',
      message: expect.stringContaining('protobuf parsing failed') as string,
    })
  })

  it('rejects the run under way and every later one when its thread crashes', async () => {
    const thread = await openThread(
      { model: new Uint8Array(0), externalData: [] },
      new URL('./crashing-worker.mjs', import.meta.url),
    )
    await expect(thread.run(new Float32Array(1), 1)).rejects.toMatchObject({
      code: 'INTERNAL',
      message: expect.stringContaining('out of everything') as string,
    })
    await expect(thread.run(new Float32Array(1), 1)).rejects.toMatchObject({ code: 'INTERNAL' })
    await thread.close()
  })

  it('refuses a second run at the same time', async () => {
    const thread = await open('linear.onnx')
    thread.bind(linear)
    const first = thread.run(new Float32Array(3), 1)
    await expect(thread.run(new Float32Array(3), 1)).rejects.toMatchObject({ code: 'INTERNAL' })
    await first
    await thread.close()
  })

  it('ends after the run under way when it is closed', async () => {
    const thread = await open('linear.onnx')
    thread.bind(linear)
    const run = thread.run(Float32Array.of(1, 1, 1), 1)
    await Promise.all([thread.close(), expect(run).resolves.toMatchObject({ scores: Float64Array.of(6) })])
    await expect(thread.run(new Float32Array(3), 1)).rejects.toMatchObject({ code: 'INTERNAL' })
  })
})
