import type { Reason } from '../record/prediction.ts'
import type { Worse } from './worse.ts'

/** One question to the model: what would the score be if this feature had its usual value? */
export interface ReasonVariant {
  readonly feature: string
  readonly value: number
  readonly baseline: number
}

/**
 * The questions for one row: every model input whose baseline is known and differs from it. `values` holds what the
 * model saw, by feature name; differences that vanish in the model's float32 are none.
 */
export function reasonVariants(
  values: ReadonlyMap<string, number>,
  baseline: ReadonlyMap<string, number>,
): readonly ReasonVariant[] {
  const variants: ReasonVariant[] = []
  for (const [feature, value] of values) {
    const usual = baseline.get(feature)
    if (usual === undefined || !Number.isFinite(usual) || !Number.isFinite(value)) continue
    if (Math.fround(usual) !== Math.fround(value)) variants.push({ feature, value, baseline: usual })
  }
  return variants
}

/**
 * The `count` features whose replacement moves the score back the most from where it is worse, strongest first; ties in
 * the order of the inputs.
 */
export function rankReasons(
  worse: Worse,
  score: number,
  variants: readonly ReasonVariant[],
  /** Score of each variant. */
  scores: ArrayLike<number>,
  count: number,
): readonly Reason[] {
  return variants
    .map(({ feature, value, baseline }, i) => ({
      feature,
      value,
      baseline,
      effect: worse === 'higher' ? score - (scores[i] ?? NaN) : (scores[i] ?? NaN) - score,
    }))
    .filter(({ effect }) => effect > 0 && Number.isFinite(effect))
    .toSorted((a, b) => b.effect - a.effect)
    .slice(0, count)
}
