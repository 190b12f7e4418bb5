import { writeFile, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { openScorer } from '../../../src/model/onnx-scorer.ts'
import type { ModelPlan } from '../../../src/model/plan.ts'
import type { Scorer } from '../../../src/model/scorer.ts'
import type { Log } from '../../../src/telemetry/log.ts'
import { quietLog } from '../../../src/telemetry/log.ts'
import { manualClock } from '../../../src/time/manual-clock.ts'
import { systemClock } from '../../../src/time/system-clock.ts'
import {
  digestOf,
  linearBaseline,
  linearGolden,
  linearManifest,
  modelBytes,
  modelDirectory,
  modelFile,
  modelPlan,
} from '../../support/models.ts'

const opened: Scorer[] = []
afterEach(async () => {
  for (const scorer of opened.splice(0)) await scorer.close()
})

async function open(change: Partial<ModelPlan>, log: Log = quietLog, clock = systemClock): Promise<Scorer> {
  const signal = new AbortController().signal
  const scorer = await openScorer({ plan: modelPlan(change), clock, log, signal })
  opened.push(scorer)
  return scorer
}

const bare = (name: string, change: Partial<ModelPlan> = {}): Promise<Scorer> =>
  open({ path: modelFile(name), ...change })
const refusal = (text: string) => ({
  code: 'MODEL_INVALID',
  message: expect.stringContaining(text) as string,
})
const complete = {
  'manifest.yaml': linearManifest,
  'golden.json': linearGolden,
  'baseline.json': linearBaseline,
}
const proportions: Partial<ModelPlan> = { score: { output: 'probabilities', column: 1 } }

describe('a bare .onnx file', () => {
  it('scores, under its file name and the beginning of its digest', async () => {
    const scorer = await bare('logistic.onnx', proportions)
    const digest = digestOf(modelBytes('logistic.onnx'))
    expect(scorer.identity).toEqual({ name: 'logistic', version: digest.slice(7, 19), digest })
    expect(scorer).toMatchObject({
      width: 3,
      scoreType: 'float32',
      workers: 1,
      baseline: null,
      missing: new Map(),
    })
    const { scores, runMs } = await scorer.score(Float32Array.of(1, 2, 3, 4, 5, 6), 2)
    expect([...scores].map((score) => score.toFixed(5))).toEqual(['0.34713', '0.65456'])
    expect(runMs).toBeGreaterThan(0)
  })

  it('is served with fewer checks, which is said once', async () => {
    const said: unknown[] = []
    await open({}, { ...quietLog, warn: (fields, message) => said.push([message, fields]) })
    expect(said).toEqual([
      [
        'The model is served with fewer checks',
        {
          file: modelFile('linear.onnx'),
          unchecked: [
            expect.stringContaining('manifest.yaml'),
            expect.stringContaining('golden.json'),
            expect.stringContaining('baseline.json'),
          ],
        },
      ],
    ])
  })

  it('may fail on the zeros of the warm-up, because they may be no sensible row for it', async () => {
    const scorer = await bare('log.onnx')
    expect((await scorer.score(Float32Array.of(1, 0, 0), 1)).scores).toEqual(Float64Array.of(0))
  })

  it('feeds named inputs side by side, in the order of the topology', async () => {
    const scorer = await bare('two-inputs.onnx', {
      inputs: [
        { name: 'count', features: ['count'] },
        { name: 'amounts', features: ['first', 'second'] },
      ],
    })
    const { scores } = await scorer.score(Float32Array.of(7, 1, 2, 0, 5, 5), 2)
    expect(scores).toEqual(Float64Array.of(75, 15))
  })

  it.each([
    ['other-name.onnx', {}, 'has no input "features"; it has "X" float32[N, 3]'],
    ['float64.onnx', {}, 'export the model with float32 inputs'],
    ['fixed-batch.onnx', {}, 'free first dimension'],
    ['zipmap.onnx', { score: { output: 'output_probability', column: 1 } }, "options={'zipmap': False}"],
    ['logistic.onnx', { score: { output: 'label', column: null } }, 'Outputs that can be: "probabilities"'],
    ['logistic.onnx', { score: { output: 'probabilities', column: 2 } }, 'no column 2; the last is 1'],
    ['external.onnx', {}, 'external.weights'],
    ['unknown-shape.onnx', {}, 'Output "score" float32[N, 2] has 2 values a row. Name the column'],
  ])('%s is refused with %j', async (name, change, text) => {
    await expect(bare(name, change)).rejects.toMatchObject(refusal(text))
  })

  it.each([
    ['text', 'hello', 'is not an ONNX model, or it was cut short (5 bytes, beginning with "hello")'],
    ['nothing', '', 'is empty'],
    ['a Git LFS pointer', 'version https://git-lfs.github.com/spec/v1\n', 'git lfs pull'],
    [
      'a model that onnxruntime does not understand',
      modelOfUnknownOperators(),
      'cannot be loaded by onnxruntime',
    ],
  ])('with %s in it is refused in words', async (_, content, text) => {
    const folder = await mkdtemp(join(tmpdir(), 'millrace-model-'))
    try {
      const path = join(folder, 'odd.onnx')
      await writeFile(path, content)
      await expect(open({ path })).rejects.toMatchObject(refusal(text))
    } finally {
      await rm(folder, { recursive: true })
    }
  })

  it('that is not there is refused', async () => {
    await expect(open({ path: '/nowhere/model.onnx' })).rejects.toMatchObject(
      refusal('There is no model at /nowhere'),
    )
  })
})

describe('a model directory', () => {
  it('scores under the name and version of its manifest, with its medians and missing values', async () => {
    const said: unknown[] = []
    await using model = await modelDirectory('linear.onnx', complete)
    const scorer = await open({ path: model.path }, { ...quietLog, warn: (fields) => said.push(fields) })
    expect(scorer.identity).toEqual({
      name: 'linear',
      version: '3',
      digest: digestOf(modelBytes('linear.onnx')),
    })
    expect(scorer.missing).toEqual(new Map([['count', -1]]))
    expect(scorer.baseline).toEqual(new Map(Object.entries(linearBaseline.medians)))
    expect((await scorer.score(Float32Array.of(1, 2, 3), 1)).scores).toEqual(Float64Array.of(14))
    expect(said).toEqual([])
  })

  it.each([
    ['no manifest', { 'manifest.yaml': undefined }, 'name the .onnx file'],
    [
      'another digest',
      { 'manifest.yaml': { ...linearManifest, digest: `sha256:${'a'.repeat(64)}` } },
      'is not the file',
    ],
    ['another vector hash', { 'manifest.yaml': { ...linearManifest, vectorHash: 'old' } }, 'manifest old'],
    [
      'golden scores it does not give',
      { 'golden.json': { ...linearGolden, scores: [1, 5, 13] } },
      '12 instead of 13',
    ],
    [
      'golden rows that do not fit',
      { 'golden.json': { ...linearGolden, scores: [1] } },
      '3 rows for 1 scores',
    ],
    ['medians that do not fit', { 'baseline.json': { medians: {} } }, 'medians lack amount, night, count'],
  ])('with %s is refused', async (_, change, text) => {
    const files = Object.entries({ ...complete, ...change }).filter(([, content]) => content !== undefined)
    await using model = await modelDirectory('linear.onnx', Object.fromEntries(files))
    await expect(open({ path: model.path })).rejects.toMatchObject(refusal(text))
  })

  it('is refused when the score of a row depends on the other rows of its batch', async () => {
    const golden = { inputs: { features: [[1, 0, 0], [3, 0, 0]] }, scores: [0.25, 0.75], tolerance: 1e-6 } // prettier-ignore
    await using model = await modelDirectory('mixes-rows.onnx', { ...complete, 'golden.json': golden })
    await expect(open({ path: model.path })).rejects.toMatchObject(refusal('depends on the rows beside it'))
  })

  it('is refused when a golden row cannot be scored', async () => {
    const golden = { ...linearGolden, inputs: { features: [[1, 0, 0], [-1, 0, 0], [1, 0, 0]] } } // prettier-ignore
    await using model = await modelDirectory('log.onnx', { ...complete, 'golden.json': golden })
    await expect(open({ path: model.path })).rejects.toMatchObject(refusal('the score is NaN in row 1'))
  })

  describe('with weights in another file', () => {
    const weights = modelBytes('external.weights')
    const listed = (digest: string) => ({
      ...complete,
      'manifest.yaml': { ...linearManifest, externalData: [{ path: 'external.weights', digest }] },
    })

    it('uses the file if the manifest lists it', async () => {
      const files = { ...listed(digestOf(weights)), 'external.weights': weights }
      await using model = await modelDirectory('external.onnx', files)
      const scorer = await open({ path: model.path })
      expect((await scorer.score(Float32Array.of(1, 2, 3), 1)).scores).toEqual(Float64Array.of(14))
    })

    it.each([
      ['is not listed', complete, 'does not list under externalData'],
      ['is not there', listed(digestOf(weights)), 'external.weights cannot be read'],
      [
        'has other bytes',
        { ...listed(`sha256:${'b'.repeat(64)}`), 'external.weights': weights },
        'is not the file',
      ],
    ])('is refused when the file %s', async (_, files, text) => {
      await using model = await modelDirectory('external.onnx', files)
      await expect(open({ path: model.path })).rejects.toMatchObject(refusal(text))
    })
  })
})

describe('scoring', () => {
  it('takes the buffer of the rows away, but of a view only a copy', async () => {
    const scorer = await bare('linear.onnx')
    const whole = Float32Array.of(1, 2, 3)
    await scorer.score(whole, 1)
    expect(whole.length).toBe(0)
    const larger = Float32Array.of(9, 9, 9, 1, 2, 3)
    expect((await scorer.score(larger.subarray(3), 1)).scores).toEqual(Float64Array.of(14))
    expect([...larger]).toEqual([9, 9, 9, 1, 2, 3])
  })

  it.each([
    ['NaN', Float32Array.of(1, 2, 3, 4, NaN, 6), 'NaN in row 1, feature night'],
    ['an infinite value', Float32Array.of(1, 2, Infinity, 4, 5, 6), 'Infinity in row 0, feature count'],
    ['a row too few', Float32Array.of(1, 2, 3), '3 numbers for 2 rows of 3'],
  ])('refuses %s as a mistake of the program', async (_, rows, text) => {
    const scorer = await bare('linear.onnx')
    await expect(scorer.score(rows, 2)).rejects.toMatchObject({
      code: 'INTERNAL',
      message: expect.stringContaining(text) as string,
    })
  })

  it('refuses no row at all', async () => {
    const scorer = await bare('linear.onnx')
    await expect(scorer.score(new Float32Array(0), 0)).rejects.toMatchObject({ code: 'INTERNAL' })
  })

  it('says which rows score NaN, and goes on', async () => {
    const scorer = await bare('log.onnx')
    await expect(scorer.score(Float32Array.of(1, 0, 0, -1, 0, 0, 0, 0, 0), 3)).rejects.toMatchObject({
      code: 'MODEL_RUN_FAILED',
      message: expect.stringMatching(
        /^Model log \w+: the score is NaN in row 1, -Infinity in row 2 of 3$/,
      ) as string,
    })
    expect((await scorer.score(Float32Array.of(1, 0, 0), 1)).scores).toEqual(Float64Array.of(0))
  })

  it('fails a run that throws, and goes on', async () => {
    const scorer = await bare('lookup.onnx')
    await expect(scorer.score(Float32Array.of(99, 0, 0), 1)).rejects.toMatchObject({
      code: 'MODEL_RUN_FAILED',
      message: expect.stringContaining('idx=99') as string,
    })
    await expect(scorer.score(Float32Array.of(2, 0, 0), 1)).resolves.toBeDefined()
  })

  it('gives every run its own scores when there are more runs than threads', async () => {
    const scorer = await bare('linear.onnx', { workers: 2 })
    const runs = Array.from({ length: 20 }, (_, i) => scorer.score(Float32Array.of(i, 0, 0), 1))
    expect((await Promise.all(runs)).map(({ scores }) => scores[0])).toEqual(
      Array.from({ length: 20 }, (_, i) => i),
    )
  })

  it('finishes what it was given when it is closed, and takes no more', async () => {
    const scorer = await bare('linear.onnx')
    const runs = Array.from({ length: 5 }, (_, i) => scorer.score(Float32Array.of(i, 0, 0), 1))
    await Promise.all([scorer.close(), scorer.close()])
    expect((await Promise.all(runs)).map(({ scores }) => scores[0])).toEqual([0, 1, 2, 3, 4])
    await expect(scorer.score(new Float32Array(3), 1)).rejects.toMatchObject({ code: 'INTERNAL' })
  })

  it('ends every run with MODEL_HANG when one does not end, and does not wait for it when closed', async () => {
    const clock = manualClock()
    const scorer = await open({ path: modelFile('slow.onnx'), runTimeoutMs: 1000 }, quietLog, clock)
    const hanging = scorer.score(Float32Array.of(400_000, 0, 0), 1) // some 300 ms of native work
    const behind = scorer.score(Float32Array.of(1, 0, 0), 1)
    const both = Promise.allSettled([hanging, behind])
    await clock.advance(1250)
    const hang = { status: 'rejected', reason: { code: 'MODEL_HANG' } }
    expect(await both).toMatchObject([hang, hang])
    await expect(scorer.score(Float32Array.of(1, 0, 0), 1)).rejects.toMatchObject({ code: 'MODEL_HANG' })
    await scorer.close()
  })

  it('is not opened once it was called off', async () => {
    const signal = AbortSignal.abort(new Error('called off'))
    const opening = openScorer({ plan: modelPlan(), clock: systemClock, log: quietLog, signal })
    await expect(opening).rejects.toThrow('called off')
  })
})

/** linear.onnx with its MatMul renamed to an operator that does not exist. */
function modelOfUnknownOperators(): Uint8Array {
  const bytes = Buffer.from(modelBytes('linear.onnx'))
  bytes.write('NotFnd', bytes.indexOf('MatMul'))
  return new Uint8Array(bytes)
}
