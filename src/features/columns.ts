import { MillraceError } from '../errors.ts'
import type { FeatureSpec, FeaturesSpec, RatioSpec } from './spec.ts'

/** A ratio over columns of the row. */
export interface RatioStep {
  readonly column: number
  readonly of: number
  readonly to: number
  readonly default: number | null
}

/** Names of a row's columns: values first, then features, in topology order. */
export function columnNames(spec: FeaturesSpec): string[] {
  const names = [...spec.values, ...spec.features].map((column) => column.name)
  const seen = new Set<string>()
  for (const name of names) {
    if (seen.has(name)) {
      throw new MillraceError(
        'TOPOLOGY_INVALID',
        `${name} is defined twice among values and features; rename one`,
      )
    }
    seen.add(name)
  }
  return names
}

/** Ratios in an order in which each comes after the ratios it reads. */
export function planRatios(features: readonly FeatureSpec[], names: readonly string[]): RatioStep[] {
  const ratios = new Map<string, RatioSpec>()
  for (const feature of features) if (feature.kind === 'ratio') ratios.set(feature.name, feature)
  const steps: RatioStep[] = []
  const state = new Map<string, 'open' | 'done'>()

  const visit = (feature: RatioSpec): void => {
    if (state.get(feature.name) === 'done') return
    if (state.get(feature.name) === 'open') {
      throw new MillraceError(
        'TOPOLOGY_INVALID',
        `feature ${feature.name}: this ratio is computed from itself`,
      )
    }
    state.set(feature.name, 'open')
    const columnFor = (operand: string): number => {
      const column = names.indexOf(operand)
      if (column < 0) {
        throw new MillraceError(
          'TOPOLOGY_INVALID',
          `feature ${feature.name}: there is no value or feature called ${operand}`,
        )
      }
      const other = ratios.get(operand)
      if (other !== undefined) visit(other)
      return column
    }
    const of = columnFor(feature.of)
    const to = columnFor(feature.to)
    steps.push({ column: names.indexOf(feature.name), of, to, default: feature.default })
    state.set(feature.name, 'done')
  }
  for (const feature of ratios.values()) visit(feature)
  return steps
}

/** `of` ÷ `to`; NaN is missing. */
function ratio(of: number, to: number, otherwise: number | null): number {
  return Number.isNaN(of) || Number.isNaN(to) || to === 0 ? (otherwise ?? NaN) : of / to
}

export function runRatios(steps: readonly RatioStep[], numbers: Float64Array): void {
  for (const step of steps) {
    numbers[step.column] = ratio(numbers[step.of]!, numbers[step.to]!, step.default)
  }
}
