import type { Prediction } from '../../src/record/prediction.ts'
import type { Plan } from '../../src/topology/plan.ts'
import { positionOf, type Outputs } from './evidence.ts'
import { alertFrom } from './service-topology.ts'

/** The score of linear.onnx is 1, 2 and 3 times its inputs, in float32. */
const weights = [1, 2, 3]
const tolerance = 1e-5

/** I7: score and decision, computed again from the published features; those are checked by themselves. */
export function scoreProblems({ model }: Plan, { predictions }: Outputs): string[] {
  if (!model.path.endsWith('linear.onnx')) return []
  const names = model.inputs.flatMap(({ features }) => features)
  return predictions.flatMap(({ value }) => {
    const score = names.reduce(
      (sum, name, i) => sum + (weights[i] ?? NaN) * (numberOf(value, name) ?? NaN),
      0,
    )
    const at = positionOf(value.position)
    if (!(Math.abs(value.score - score) <= tolerance * Math.max(1, Math.abs(score))))
      return [`I7: ${at} has score ${value.score}, its features give ${score}`]
    const decision = value.score >= alertFrom ? 'decline' : 'approve'
    return value.decision === decision ? [] : [`I7: ${at} says ${value.decision}, its score ${value.score}`]
  })
}

function numberOf({ features = {}, values = {} }: Prediction, name: string): number | null | undefined {
  const published: Readonly<Record<string, number | null>> = { ...values, ...features }
  return published[name]
}
