import { MillraceError } from '../errors.ts'
import type { ModelFileFacts } from '../onnx/model-file.ts'
import type { Binding, BoundInput, ModelValue, RunFailed } from '../onnx/protocol.ts'
import type { ScoreType } from '../record/prediction.ts'
import { sequenceFix } from './causes.ts'
import type { Baseline, Golden, Manifest } from './manifest.ts'
import type { ModelInputPlan, ModelPlan } from './plan.ts'

/** What topology, manifest and session must agree on. Every function here returns problems in words; none is good. */
export type Problems = string[]

/** The session's own description as a binding, or MODEL_INVALID that lists every mismatch with its fix. */
export function bindModel(
  plan: Pick<ModelPlan, 'inputs' | 'score'>,
  session: { readonly inputs: readonly ModelValue[]; readonly outputs: readonly ModelValue[] },
  { file, facts }: { readonly file: string; readonly facts: ModelFileFacts },
): Binding {
  const problems = [
    ...inputProblems(plan.inputs, session.inputs),
    ...outputProblems(plan, session.outputs, facts),
  ]
  refuse(problems, `${file} cannot be used as the topology says`)
  return {
    inputs: plan.inputs.map((input) => boundInput(input, session.inputs)),
    output: plan.score.output,
    column: plan.score.column,
  }
}

export function refuse(problems: Problems, what: string): void {
  if (problems.length > 0) throw new MillraceError('MODEL_INVALID', `${what}: ${problems.join(' ')}`)
}

function boundInput(input: ModelInputPlan, values: readonly ModelValue[]): BoundInput {
  const rank = values.find(({ name }) => name === input.name)?.shape.length === 1 ? 1 : 2
  return { name: input.name, columns: input.features.length, rank }
}

export function inputProblems(planned: readonly ModelInputPlan[], values: readonly ModelValue[]): Problems {
  const problems: Problems = []
  for (const input of planned) {
    const value = values.find(({ name }) => name === input.name)
    if (value) problems.push(...inputShapeProblems(input, value))
    else
      problems.push(
        `The model has no input "${input.name}"; it has ${list(values)}. Rename it in model.inputs.`,
      )
  }
  for (const value of values) {
    if (planned.some(({ name }) => name === value.name)) continue
    problems.push(
      value.type === 'float32'
        ? `The model's input ${show(value)} is not fed: add it to model.inputs.`
        : typeProblem(value),
    )
  }
  return problems
}

function inputShapeProblems(input: ModelInputPlan, value: ModelValue): Problems {
  const columns = input.features.length
  if (value.type !== 'float32') return [typeProblem(value)]
  const [rows, width] = value.shape
  if (value.shape.length > 2)
    return [
      `Input ${show(value)} has more than two dimensions; rows are [N, ${columns}]. Begin the model with a Reshape of them.`,
    ]
  const problems: Problems = []
  if (typeof rows === 'number') {
    problems.push(
      `Input ${show(value)} takes exactly ${rows} rows. Export the model with a free first dimension ` +
        '(skl2onnx: FloatTensorType([None, k]); PyTorch: dynamic_axes).',
    )
  }
  const wanted = typeof width === 'number' ? width : value.shape.length === 1 ? 1 : columns
  if (wanted !== columns) {
    problems.push(
      `Input ${show(value)} takes ${wanted} features a row, model.inputs lists ${columns}: ${input.features.join(', ')}.`,
    )
  }
  return problems
}

/** Of an output that `outputProblems` has no objection to. */
export function scoreTypeOf(score: ModelPlan['score'], values: readonly ModelValue[]): ScoreType {
  return values.find(({ name }) => name === score.output)?.type === 'float64' ? 'float64' : 'float32'
}

function typeProblem(value: ModelValue): string {
  const fixes: Readonly<Record<string, string>> = {
    string:
      'Text cannot be handed over: turn it into numbers in the topology, one value for each word that matters (values: `is_food: category == "food"`), and train the model on those.',
    float16:
      'Features are handed over as float32: keep the inputs so when the weights are halved (onnxconverter_common convert_float_to_float16(model, keep_io_types=True)).',
  }
  const exportAgain =
    'Features are handed over as float32: export the model with float32 inputs (skl2onnx: FloatTensorType; PyTorch: model.float(); whole numbers: cast inside the model).'
  return `Input ${show(value)} is not a float32 tensor. ${fixes[value.type ?? ''] ?? exportAgain}`
}

export function outputProblems(
  { score, inputs }: Pick<ModelPlan, 'score' | 'inputs'>,
  values: readonly ModelValue[],
  facts: ModelFileFacts,
): Problems {
  const value = values.find(({ name }) => name === score.output)
  if (!value)
    return [
      `The model has no output "${score.output}"; it has ${list(values)}.${whatCanBe(values, facts)} Correct model.score.`,
    ]
  if (value.type === null) return [sequenceProblem(value, facts)]
  if (value.type !== 'float32' && value.type !== 'float64') {
    const hint = whatCanBe(values, facts)
    return [
      `Output ${show(value)} cannot be a score, which is float32 or float64.${hint} Correct model.score.`,
    ]
  }
  const [, columns] = value.shape
  if (value.shape.length > 2)
    return [
      `Output ${show(value)} has more than two dimensions; a score is one value a row: end the model with a Squeeze or a Reshape to [-1, 1].`,
    ]
  if (score.column === null) {
    if (typeof columns !== 'number' || columns === 1) return []
    return [`Output ${show(value)} has ${columns} values a row. ${whichColumn(value.name, columns, inputs)}`]
  }
  if (value.shape.length === 1) {
    return [`Output ${show(value)} has one value a row, not columns: write model.score as "${value.name}".`]
  }
  if (typeof columns !== 'number' || score.column < columns) return []
  return [
    `Output ${show(value)} has no column ${score.column}; the last is ${columns - 1}. Correct model.score.`,
  ]
}

/** The outputs that a score can be read from, or how to get one. */
function whatCanBe(values: readonly ModelValue[], facts: ModelFileFacts): string {
  const fitting = values.filter(({ type }) => type === 'float32' || type === 'float64')
  if (fitting.length > 0) return ` Outputs that can be: ${list(fitting)}.`
  const sequence = values.find(({ type }) => type === null)
  return sequence === undefined ? '' : ` ${sequenceProblem(sequence, facts)}`
}

function sequenceProblem({ name }: ModelValue, facts: ModelFileFacts): string {
  const what = `Output "${name}" is a sequence or map (such as a ZipMap makes), which cannot be read.`
  return `${what} ${sequenceFix(facts, name)}`
}

/** As many values as go in are most likely a reconstruction, no single one of which says anything about the row. */
function whichColumn(name: string, columns: number, inputs: readonly ModelInputPlan[]): string {
  const classes = `ame the column of the class that is looked for in model.score, such as "${name}[:, ${columns - 1}]".`
  if (!inputs.some(({ features }) => features.length === columns && columns > 2)) return `N${classes}`
  return (
    'That is as many as go in: if it is the reconstruction of an autoencoder, the score is its error, which the model has to ' +
    'compute itself: export a model that ends in it (PyTorch: return ((x - self.decoder(self.encoder(x))) ** 2).mean(dim=1); ' +
    `in an ONNX graph: Sub, Mul, ReduceMean over axis 1). If they are classes, n${classes}`
  )
}

/** What is wrong with an output whose shape only a run showed. */
export function ranProblems(
  plan: Pick<ModelPlan, 'score' | 'inputs'>,
  { message, dims = [] }: RunFailed,
  n: number,
  facts: ModelFileFacts,
): Problems {
  const { score } = plan
  const shape = `Output "${score.output}" of shape [${dims.join(', ')}]`
  if (dims.length === 0 || dims[0] !== n) {
    const fix =
      'Reduce over the features (axis 1), keep the first dimension free, and reshape with -1 or the size of the batch in its place.'
    return [`${shape} for ${n} ${n === 1 ? 'row' : 'rows'} is not one score a row. ${fix}`]
  }
  const found = outputProblems(
    plan,
    [{ name: score.output, type: 'float32', shape: ['N', ...dims.slice(1)] }],
    facts,
  )
  return found.length > 0 ? found : [`${message}.`]
}

export function manifestProblems(plan: ModelPlan, manifest: Manifest): Problems {
  const problems: Problems = []
  const inputs = manifest.inputs.map(({ name, features }) => ({
    name,
    features: features.map((f) => f.name),
  }))
  for (const input of plan.inputs) {
    const trained = inputs.find(({ name }) => name === input.name)
    if (!trained) problems.push(`The manifest has no input "${input.name}".`)
    else problems.push(...orderProblems(input, trained.features))
  }
  for (const { name } of inputs) {
    if (!plan.inputs.some((input) => input.name === name))
      problems.push(`The topology does not feed input "${name}".`)
  }
  if (problems.length === 0 && manifest.vectorHash !== plan.vectorHash) {
    problems.push(
      `The names agree, but the topology computes ${whatChanged(plan, manifest)} otherwise than when the model was trained ` +
        `(vector hash ${plan.vectorHash}, manifest ${manifest.vectorHash}). Restore the definitions it was trained with, ` +
        'or train it again on replayed features; put the new hash into the manifest (`millrace describe` prints it) only if nothing in the values changed.',
    )
  }
  const { output, column } = manifest.score
  if (output !== plan.score.output || column !== plan.score.column) {
    problems.push(
      `model.score reads ${scoreText(plan.score)}, the manifest says ${scoreText(manifest.score)}.`,
    )
  }
  return problems
}

/** Which inputs are computed otherwise, as far as the manifest tells. */
function whatChanged({ inputs, definitions }: ModelPlan, manifest: Manifest): string {
  const trained = manifest.definitions
  if (trained === undefined) return 'them'
  const names = inputs.flatMap(({ features }) => features)
  const changed = names.filter((name) => trained[name] !== definitions[name])
  if (changed.length === 0) return 'them'
  const named = changed.slice(0, namedMax).join(', ')
  const more = changed.length > namedMax ? ` and ${changed.length - namedMax} more` : ''
  const unchanged = names.length - changed.length
  const shared =
    changed.length === 1
      ? ''
      : ' (if they have little in common: look at `time` and lateness of the sources, and at limits.eventsPerEntityMax)'
  return `${named}${more}${shared}${unchanged === 0 ? '' : `, not the other ${unchanged},`}`
}

const namedMax = 8

function orderProblems(input: ModelInputPlan, trained: readonly string[]): Problems {
  const missing = trained.filter((name) => !input.features.includes(name))
  const extra = input.features.filter((name) => !trained.includes(name))
  const parts: string[] = []
  if (missing.length > 0) parts.push(`the model was trained with ${missing.join(', ')} too`)
  if (extra.length > 0) parts.push(`the model does not know ${extra.join(', ')}`)
  const at = trained.findIndex((name, i) => input.features[i] !== name)
  if (parts.length === 0 && at !== -1) {
    parts.push(
      `the order differs: place ${at + 1} is ${input.features[at]}, in training it was ${trained[at]}`,
    )
  }
  return parts.length === 0 ? [] : [`Input "${input.name}": ${parts.join('; ')}. Correct model.inputs.`]
}

export function baselineProblems(inputs: readonly ModelInputPlan[], baseline: Baseline): Problems {
  const missing = inputs.flatMap(({ features }) => features.filter((name) => !(name in baseline.medians)))
  return missing.length === 0 ? [] : [`medians lack ${missing.join(', ')}.`]
}

/** Whether the golden rows fit the inputs; what they score is another question. */
export function goldenProblems(inputs: readonly ModelInputPlan[], golden: Golden): Problems {
  const problems: Problems = []
  for (const { name, features } of inputs) {
    const rows = golden.inputs[name]
    if (!rows) problems.push(`inputs lack "${name}".`)
    else if (rows.length !== golden.scores.length) {
      problems.push(`"${name}" has ${rows.length} rows for ${golden.scores.length} scores.`)
    } else {
      const at = rows.findIndex((row) => row.length !== features.length)
      if (at !== -1)
        problems.push(`"${name}" row ${at} has ${rows[at]!.length} values, not ${features.length}.`)
    }
  }
  return problems
}

function scoreText({ output, column }: ModelPlan['score']): string {
  return column === null ? output : `${output}[:, ${column}]`
}

function list(values: readonly ModelValue[]): string {
  return values.map(show).join(', ')
}

function show({ name, type, shape }: ModelValue): string {
  if (type === null) return `"${name}" (sequence or map)`
  return `"${name}" ${type}[${shape.map((size) => (size === '' ? '?' : size)).join(', ')}]`
}
