import { mkdtemp, rm, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { openScorer } from '../../../src/model/onnx-scorer.ts'
import type { ModelPlan } from '../../../src/model/plan.ts'
import { quietLog } from '../../../src/telemetry/log.ts'
import { systemClock } from '../../../src/time/system-clock.ts'
import { linearManifest, modelBytes, modelDirectory, modelFile, modelPlan } from '../../support/models.ts'

let folder = ''
beforeAll(async () => (folder = await mkdtemp(join(tmpdir(), 'millrace-refused-'))))
afterAll(() => rm(folder, { recursive: true }))

async function refusalOf(change: Partial<ModelPlan>): Promise<string> {
  const signal = new AbortController().signal
  try {
    const scorer = await openScorer({ plan: modelPlan(change), clock: systemClock, log: quietLog, signal })
    await scorer.close()
    return 'served'
  } catch (error) {
    expect(error).toMatchObject({ code: 'MODEL_INVALID' })
    return (error as Error).message
  }
}

describe('a row’s score must not depend on the rows beside it', () => {
  it.each([
    ['softmax-over-batch', 'along the first axis, which is the batch (Softmax over axis 0)'],
    ['mean-over-batch', 'along the first axis, which is the batch (ReduceMean over axis 0)'],
    ['mixes-rows', 'The likely place: ReduceSum'],
    ['running-sum', 'The likely place: CumSum'],
    ['norm-in-training', 'exported in training mode (BatchNormalization): call model.eval()'],
    ['dropout-in-training', 'exported in training mode (Dropout): call model.eval()'],
    [
      'quantised-dynamically',
      '(DynamicQuantizeLinear), with a scale taken from each batch: use static quantisation',
    ],
    ['random', 'It draws random numbers (RandomNormalLike)'],
    ['random-class', 'It draws random numbers (Multinomial)'],
    ['batch-as-sequence', 'the steps of one sequence (RNN)'],
  ])('%s: a bare file is refused, with the likely cause', async (name, cause) => {
    const text = await refusalOf({ path: modelFile(`${name}.onnx`) })
    expect(text).toMatch(/depends on the rows beside it, or on chance: \d+ of \d+ sample rows changed/)
    expect(text).toContain(cause)
  })

  it('also in a process of its own, and with several workers', async () => {
    for (const change of [{ isolation: 'process' }, { workers: 2 }] as const) {
      const text = await refusalOf({ path: modelFile('softmax-over-batch.onnx'), ...change })
      expect(text).toContain('depends on the rows beside it')
    }
  })

  it.each([['linear'], ['log'], ['lookup'], ['slow']])(
    '%s, of which each row is scored by itself, is served',
    async (name) => {
      expect(await refusalOf({ path: modelFile(`${name}.onnx`) })).toBe('served')
    },
  )
})

describe('a model that cannot be used is refused with the fix', () => {
  it.each([
    [
      'text inputs',
      'text-input',
      'one value for each word that matters (values: `is_food: category == "food"`)',
    ],
    ['float16 inputs', 'float16', 'keep_io_types=True'],
    ['float64 inputs', 'float64', 'model.float()'],
    ['int64 inputs', 'int64', 'whole numbers: cast inside the model'],
    ['a fixed batch inside', 'inner-batch-of-1', 'one by one fail in a batch of 2: its Reshape fails:'],
    [
      'one score for the batch',
      'one-for-all',
      'of shape [1] for 2 rows is not one score a row. Reduce over the features',
    ],
    ['a scalar', 'scalar', 'of shape [] for 1 row is not one score a row'],
    ['a reconstruction', 'autoencoder', 'the score is its error, which the model has to compute itself'],
    ['a reconstruction of unsaid width', 'autoencoder-free', 'the score is its error'],
    ['only NaN', 'not-a-number', 'weights that are NaN'],
    [
      'a newer operator set',
      'newer-opset',
      'operator set 99 of ai.onnx, and this onnxruntime takes up to 26',
    ],
    ['a newer format', 'newer-ir', 'IR version 99, and this onnxruntime takes up to 13'],
    ['custom operators', 'custom-operator', 'not part of ONNX: Fancy of com.example'],
    ['a sequence', 'sequence', 'made by SequenceConstruct: export the tensor that goes into it (logit)'],
  ])('%s', async (_, name, fix) => {
    const text = await refusalOf({ path: modelFile(`${name}.onnx`) })
    expect(text).toContain(fix)
    expect(text).not.toMatch(/onnxruntime_src|Status Message|::/)
  })

  it('a reconstruction is not offered one of its columns as a score', async () => {
    expect(await refusalOf({ path: modelFile('autoencoder.onnx') })).toMatch(
      /If they are classes, name the column/,
    )
  })

  it.each([
    ['catboost', 'probabilities', 'CatBoost has no option that leaves it out', 'probability_tensor'],
    ['zipmap', 'output_probability', "skl2onnx options={'zipmap': False}", 'probabilities'],
  ])('the ZipMap of %s, whichever output was named', async (name, output, way, tensor) => {
    for (const each of [output, 'score', 'label']) {
      const text = await refusalOf({ path: modelFile(`${name}.onnx`), score: { output: each, column: 1 } })
      expect(text).toContain(way)
      expect(text).toContain(`model.score as "${tensor}[:, 1]"`)
    }
  })

  it('a file of more than 2 GiB, and weights of more', async () => {
    const path = join(folder, 'large.onnx')
    await writeFile(path, modelBytes('linear.onnx'))
    await truncate(path, 2 ** 31)
    expect(await refusalOf({ path })).toContain(
      'more than 2 GiB, more than an ONNX file can hold. Keep the weights',
    )
    const manifest = {
      ...linearManifest,
      externalData: [{ path: 'external.weights', digest: `sha256:${'a'.repeat(64)}` }],
    }
    await using model = await modelDirectory('external.onnx', {
      'manifest.yaml': manifest,
      'external.weights': '',
    })
    await truncate(join(model.path, 'external.weights'), 2 ** 31)
    expect(await refusalOf({ path: model.path })).toContain('all_tensors_to_one_file=False')
  })

  it.each([
    ['PK\x03\x04', 'torch.onnx.export'],
    ['\x80\x04\x95', 'skl2onnx'],
    ['\x89HDF\r\n', 'tf2onnx'],
    ['CBM1', "format='onnx'"],
    ['{"learner":{', 'convert_xgboost'],
    ['tree\nversion=v4', 'convert_lightgbm'],
  ])('a file of another tool (%j)', async (begin, fix) => {
    const path = join(folder, 'other.onnx')
    await writeFile(path, Buffer.from(begin, 'latin1'))
    const text = await refusalOf({ path })
    expect(text).toContain('not an ONNX model')
    expect(text).toContain(fix)
  })

  it('a file that is cut short, wherever', async () => {
    const whole = modelBytes('logistic.onnx')
    for (const part of [0.1, 0.5, 0.9, 0.99]) {
      const path = join(folder, 'short.onnx')
      await writeFile(path, whole.subarray(0, Math.floor(whole.length * part)))
      expect(await refusalOf({ path })).toMatch(/cut short/)
    }
  })
})
