import type { Scorer } from '../model/scorer.ts'
import type { Reject } from '../record/event.ts'
import type { Plan } from '../topology/plan.ts'
import type { AppliedRow } from './apply.ts'
import type { Shared } from './partition-context.ts'

/** One item of a slice, in offset order. */
export type SliceItem =
  | { readonly kind: 'reject'; readonly reject: Reject }
  /** `row` is its place in the matrix. */
  | { readonly kind: 'row'; readonly applied: AppliedRow; readonly row: number }

/** Model inputs of the scored events, row by row. */
export interface Matrix {
  readonly values: Float32Array
  readonly rows: number
}

/** Puts the model's inputs side by side; a missing or unrepresentable one makes a dead letter (NaN never reaches a model). */
export function buildMatrix(
  shared: Shared,
  applied: readonly (AppliedRow | Reject)[],
): { items: SliceItem[]; matrix: Matrix } {
  const inputs = modelInputs(shared)
  const values = new Float32Array(applied.length * inputs.length)
  const items: SliceItem[] = []
  let rows = 0
  for (const item of applied) {
    if ('rejected' in item) {
      items.push({ kind: 'reject', reject: item })
      continue
    }
    const problem = fillRow(values, rows * inputs.length, item.row.numbers, inputs)
    if (problem === null) items.push({ kind: 'row', applied: item, row: rows++ })
    else items.push({ kind: 'reject', reject: missing(item, problem) })
  }
  const used = rows * inputs.length
  return { items, matrix: { values: used === values.length ? values : values.slice(0, used), rows } }
}

/** Where a model input is found in a row, and what stands in for a missing one (NaN: nothing does). */
export interface ModelInput {
  readonly name: string
  readonly column: number
  readonly missing: number
}

const inputsByShared = new WeakMap<Shared, readonly ModelInput[]>()

export function modelInputs(shared: Shared): readonly ModelInput[] {
  let inputs = inputsByShared.get(shared)
  if (inputs === undefined) {
    inputs = inputsOf(shared.plan, shared.scorer)
    inputsByShared.set(shared, inputs)
  }
  return inputs
}

export function inputsOf(
  { model, features }: Pick<Plan, 'model' | 'features'>,
  scorer: Pick<Scorer, 'missing'>,
): readonly ModelInput[] {
  return model.inputs
    .flatMap((input) => input.features)
    .map((name) => ({
      name,
      column: features.names.indexOf(name),
      missing: scorer.missing.get(name) ?? NaN,
    }))
}

/** Writes a row's inputs into `values` from `at` on; says why when one is missing or does not fit. */
export function fillRow(
  values: Float32Array,
  at: number,
  numbers: Float64Array,
  inputs: readonly ModelInput[],
): string | null {
  for (let i = 0; i < inputs.length; i++) {
    const input = inputs[i] as ModelInput
    let value = numbers[input.column] as number
    if (Number.isNaN(value)) value = input.missing
    values[at + i] = value
    if (Number.isFinite(values[at + i])) continue
    return Number.isNaN(value)
      ? `feature ${input.name} is missing and the model's manifest gives no value for it`
      : `feature ${input.name} = ${value} does not fit the model's float32`
  }
  return null
}

function missing(item: AppliedRow, message: string): Reject {
  return { rejected: true, reason: 'MISSING', stage: 'feature', message, raw: item.event.raw }
}
