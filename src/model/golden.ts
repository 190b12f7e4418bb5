import type { Golden } from './manifest.ts'
import type { ModelInputPlan } from './plan.ts'

/** Golden inputs as rows in topology order, ready to score. */
export function goldenRows(inputs: readonly ModelInputPlan[], golden: Golden): Float32Array<ArrayBuffer> {
  const n = golden.scores.length
  const rows: number[] = []
  for (let row = 0; row < n; row++) for (const { name } of inputs) rows.push(...golden.inputs[name]![row]!)
  return Float32Array.from(rows)
}

/** Null when every score is within the tolerance; else what differs, worst first. */
export function goldenDifference(golden: Golden, scores: Float64Array): string | null {
  let worst = -1
  let worstBy = golden.tolerance
  let count = 0
  for (let row = 0; row < golden.scores.length; row++) {
    const by = Math.abs(scores[row]! - golden.scores[row]!)
    if (by <= golden.tolerance) continue
    count += 1
    if (by > worstBy) [worst, worstBy] = [row, by]
  }
  if (count === 0) return null
  return (
    `${count} of ${golden.scores.length} golden rows score differently, most of all row ${worst}: ` +
    `${scores[worst]} instead of ${golden.scores[worst]} (tolerance ${golden.tolerance})`
  )
}
