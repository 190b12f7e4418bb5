import { describe, expect, it } from 'vitest'
import {
  baselineProblems,
  bindModel,
  goldenProblems,
  inputProblems,
  manifestProblems,
  outputProblems,
  scoreTypeOf,
} from '../../../src/model/check.ts'
import { readModelFacts } from '../../../src/onnx/model-file.ts'
import { parseManifest } from '../../../src/model/manifest.ts'
import type { ModelValue } from '../../../src/onnx/protocol.ts'
import { linearBaseline, linearGolden, linearManifest, modelBytes, modelPlan } from '../../support/models.ts'

const value = (name: string, type: string | null, ...shape: (number | string)[]): ModelValue => ({
  name,
  type,
  shape,
})
const features = value('features', 'float32', 'N', 3)
const planned = modelPlan().inputs
const facts = readModelFacts(modelBytes('zipmap.onnx'))!

describe('topology and session: inputs', () => {
  it.each([
    ['a fixed width', features],
    ['a free width', value('features', 'float32', 'N', 'k')],
    ['no shape at all', value('features', 'float32')],
  ])('agree when the model has %s', (_, input) => {
    expect(inputProblems(planned, [input])).toEqual([])
  })

  it('agree on a vector for an input of one feature', () => {
    const inputs = [{ name: 'count', features: ['count'] }]
    expect(inputProblems(inputs, [value('count', 'float32', 'N')])).toEqual([])
  })

  it.each([
    [
      'another name',
      value('X', 'float32', 'N', 3),
      ['has no input "features"; it has "X" float32[N, 3]', 'X'],
    ],
    [
      'another type',
      value('features', 'float64', '', 3),
      ['"features" float64[?, 3] is not a float32 tensor'],
    ],
    [
      'another width',
      value('features', 'float32', 'N', 4),
      ['takes 4 features a row, model.inputs lists 3: amount'],
    ],
    ['a vector for three features', value('features', 'float32', 'N'), ['takes 1 features a row']],
    ['a fixed number of rows', value('features', 'float32', 1, 3), ['takes exactly 1 rows. Export']],
    ['three dimensions', value('features', 'float32', 'N', 3, 2), ['more than two dimensions']],
    ['a sequence', value('features', null), ['"features" (sequence or map) is not a float32 tensor']],
  ])('disagree when the model has %s, with the fix', (_, input, texts) => {
    const problems = inputProblems(planned, [input]).join('\n')
    for (const text of texts) expect(problems).toContain(text)
  })

  it('disagree when the model has an input that nothing feeds', () => {
    expect(inputProblems(planned, [features, value('extra', 'float32', 'N', 1)])).toEqual([
      `The model's input "extra" float32[N, 1] is not fed: add it to model.inputs.`,
    ])
  })
})

describe('topology and session: score', () => {
  const label = value('label', 'int64', 'N')
  it.each([
    ['a column of a matrix', 1, value('p', 'float32', 'N', 2)],
    ['a column of a matrix of unknown width', 7, value('p', 'float32', 'N', 'C')],
    ['a column when the model gives no shape', 1, value('p', 'float32')],
    ['a vector', null, value('p', 'float32', 'N')],
    ['a single column', null, value('p', 'float64', 'N', 1)],
  ])('agree on %s', (_, column, output) => {
    expect(
      outputProblems({ score: { output: 'p', column }, inputs: planned }, [label, output], facts),
    ).toEqual([])
  })

  it.each(['float32', 'float64'] as const)('a score of type %s is one', (type) => {
    const others = [value('q', type === 'float32' ? 'float64' : 'float32')]
    expect(scoreTypeOf({ output: 'p', column: 1 }, [...others, value('p', type, 'N', 2)])).toBe(type)
  })

  it.each([
    [
      'is not there',
      null,
      value('q', 'float32', 'N'),
      'has no output "p"; it has "label" int64[N], "q" float32[N]',
    ],
    [
      'is a ZipMap',
      null,
      value('p', null),
      "Convert it again without: skl2onnx options={'zipmap': False}. Or remove the node",
    ],
    ['is a label', null, value('p', 'int64', 'N'), 'cannot be a score'],
    [
      'has several values a row',
      null,
      value('p', 'float32', 'N', 2),
      'Name the column of the class that is looked for in model.score, such as "p[:, 1]"',
    ],
    ['has no such column', 2, value('p', 'float32', 'N', 2), 'has no column 2; the last is 1'],
    ['has no columns', 1, value('p', 'float32', 'N'), 'write model.score as "p"'],
    ['has three dimensions', null, value('p', 'float32', 'N', 1, 1), 'more than two dimensions'],
  ])('disagree when it %s, with the fix', (_, column, output, text) => {
    expect(
      outputProblems({ score: { output: 'p', column }, inputs: planned }, [label, output], facts).join(),
    ).toContain(text)
  })

  it('names the outputs that could be meant instead of a label', () => {
    const problems = outputProblems(
      { score: { output: 'label', column: null }, inputs: planned },
      [label, value('p', 'float32', 'N', 2)],
      facts,
    )
    expect(problems.join()).toContain('Outputs that can be: "p" float32[N, 2]')
  })
})

describe('the binding', () => {
  it('follows the order of the topology and the shapes of the session', () => {
    const plan = {
      inputs: [
        { name: 'count', features: ['count'] },
        { name: 'amounts', features: ['a', 'b'] },
      ],
      score: { output: 'p', column: 1 },
    }
    const session = {
      inputs: [value('amounts', 'float32', 'N', 2), value('count', 'float32', 'N')],
      outputs: [value('p', 'float32', 'N', 2)],
    }
    expect(bindModel(plan, session, { file: 'm.onnx', facts })).toEqual({
      inputs: [
        { name: 'count', columns: 1, rank: 1 },
        { name: 'amounts', columns: 2, rank: 2 },
      ],
      output: 'p',
      column: 1,
    })
  })

  it('is refused with every mismatch in one message', () => {
    const session = { inputs: [value('X', 'float32', 'N', 3)], outputs: [value('p', null)] }
    const binding = (): unknown =>
      bindModel(modelPlan({ score: { output: 'p', column: 1 } }), session, { file: 'm.onnx', facts })
    expect(binding).toThrow(/^m\.onnx .*no input "features".*ZipMap/s)
    expect(binding).toThrow(expect.objectContaining({ code: 'MODEL_INVALID' }))
  })
})

describe('topology and manifest', () => {
  const manifest = parseManifest(JSON.stringify(linearManifest), 'm')
  it('agree when names, order, hash and score are those of the training', () => {
    expect(manifestProblems(modelPlan(), manifest)).toEqual([])
  })

  it('disagree on the vector hash, showing both and what to do', () => {
    const problems = manifestProblems(modelPlan({ vectorHash: 'other' }), manifest).join()
    expect(problems).toContain('vector hash other, manifest hash-of-the-topology')
    expect(problems).toContain('train it again')
  })

  it.each([
    ['features were added', ['amount', 'night', 'count', 'risk'], 'the model does not know risk'],
    ['features are missing', ['amount', 'night'], 'the model was trained with count too'],
    ['the order changed', ['amount', 'count', 'night'], 'place 2 is count, in training it was night'],
  ])('disagree in words when %s, and then say nothing about hashes', (_, names, text) => {
    const plan = modelPlan({ inputs: [{ name: 'features', features: names }], vectorHash: 'other' })
    const problems = manifestProblems(plan, manifest)
    expect(problems).toHaveLength(1)
    expect(problems[0]).toContain(text)
  })

  it('disagree when one has an input that the other has not', () => {
    const plan = modelPlan({ inputs: [{ name: 'X', features: ['amount', 'night', 'count'] }] })
    expect(manifestProblems(plan, manifest)).toEqual([
      'The manifest has no input "X".',
      'The topology does not feed input "features".',
    ])
  })

  it('disagree when the score is read elsewhere', () => {
    expect(manifestProblems(modelPlan({ score: { output: 'p', column: 1 } }), manifest).join()).toContain(
      'model.score reads p[:, 1], the manifest says score',
    )
  })
})

describe('topology and the files beside the model', () => {
  it('agree', () => {
    expect(goldenProblems(planned, linearGolden)).toEqual([])
    expect(baselineProblems(planned, { ...linearBaseline, features: {} })).toEqual([])
  })

  it('disagree when a median is missing', () => {
    expect(baselineProblems(planned, { medians: { amount: 1 }, features: {} })).toEqual([
      'medians lack night, count.',
    ])
  })

  it.each([
    ['input', { X: [[1, 2, 3]] }, 'inputs lack "features"'],
    ['row', { features: [[1, 2, 3]] }, '"features" has 1 rows for 3 scores'],
    [
      'value',
      {
        features: [
          [1, 2, 3],
          [1, 2],
          [1, 2, 3],
        ],
      },
      '"features" row 1 has 2 values, not 3',
    ],
  ])('disagree when a golden %s is missing', (_, inputs, text) => {
    expect(goldenProblems(planned, { ...linearGolden, inputs }).join()).toContain(text)
  })
})
