import { MillraceError } from '../errors.ts'
import type { Binding, BoundInput, ModelValue } from '../onnx/protocol.ts'
import type { Baseline, Golden, Manifest } from './manifest.ts'
import type { ModelInputPlan, ModelPlan } from './plan.ts'

/** What topology, manifest and session must agree on. Every function here returns problems in words; none is good. */
export type Problems = string[]

/** The session's own description as a binding, or MODEL_INVALID that lists every mismatch with its fix. */
export function bindModel(
  plan: Pick<ModelPlan, 'inputs' | 'score'>,
  session: { readonly inputs: readonly ModelValue[]; readonly outputs: readonly ModelValue[] },
  file: string,
): Binding {
  const problems = [
    ...inputProblems(plan.inputs, session.inputs),
    ...outputProblems(plan.score, session.outputs),
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
    problems.push(`The model's input ${show(value)} is not fed: add it to model.inputs.`)
  }
  return problems
}

function inputShapeProblems(input: ModelInputPlan, value: ModelValue): Problems {
  const columns = input.features.length
  if (value.type !== 'float32') {
    const fix =
      'Features are handed over as float32: export the model with float32 inputs (skl2onnx: FloatTensorType; PyTorch: model.float()).'
    return [`Input ${show(value)} is not a float32 tensor. ${fix}`]
  }
  const [rows, width] = value.shape
  if (value.shape.length > 2)
    return [`Input ${show(value)} has more than two dimensions; rows are [N, ${columns}].`]
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

export function outputProblems(score: ModelPlan['score'], values: readonly ModelValue[]): Problems {
  const value = values.find(({ name }) => name === score.output)
  if (!value)
    return [`The model has no output "${score.output}"; it has ${list(values)}. Correct model.score.`]
  if (value.type === null) return [zipMapProblem(value)]
  if (value.type !== 'float32' && value.type !== 'float64') {
    const others = values.filter(({ type }) => type === 'float32' || type === 'float64')
    const hint = others.length > 0 ? ` Outputs that can be: ${list(others)}.` : ''
    return [
      `Output ${show(value)} cannot be a score, which is float32 or float64.${hint} Correct model.score.`,
    ]
  }
  const [, columns] = value.shape
  if (value.shape.length > 2)
    return [`Output ${show(value)} has more than two dimensions; a score is one value a row.`]
  if (score.column === null) {
    if (typeof columns !== 'number' || columns === 1) return []
    return [
      `Output ${show(value)} has ${columns} values a row: name one, such as "${value.name}[:, ${columns - 1}]".`,
    ]
  }
  if (value.shape.length === 1) {
    return [`Output ${show(value)} has one value a row, not columns: write model.score as "${value.name}".`]
  }
  if (typeof columns !== 'number' || score.column < columns) return []
  return [
    `Output ${show(value)} has no column ${score.column}; the last is ${columns - 1}. Correct model.score.`,
  ]
}

function zipMapProblem(value: ModelValue): string {
  return (
    `Output "${value.name}" is a sequence or map (a ZipMap), which cannot be read. Convert the model again without it: ` +
    "skl2onnx options={'zipmap': False}; onnxmltools convert_lightgbm(..., zipmap=False)."
  )
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
