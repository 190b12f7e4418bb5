import { basename } from 'node:path'
import type { Prediction } from '../../src/record/prediction.ts'
import type { Plan } from '../../src/topology/plan.ts'
import { positionOf, type Outputs } from './evidence.ts'
import { alertFrom } from './service-topology.ts'

/** What the models of test/fixtures/models/make.py give for a row. */
const models: Readonly<Record<string, (x: readonly number[]) => number>> = {
  'linear.onnx': ([a = NaN, b = NaN, c = NaN]) => a + 2 * b + 3 * c,
  'log.onnx': ([a = NaN]) => Math.log(a),
  'lookup.onnx': ([a = NaN]) => [0.1, 0.2, 0.3, 0.4][a] ?? NaN,
  'slow.onnx': ([a = NaN]) => a,
}
/** They compute in float32. */
const tolerance = 1e-5

/** I7: score and decision, computed again from the published features; those are checked by themselves. */
export function scoreProblems({ model }: Plan, { predictions }: Outputs): string[] {
  const scoreOf = models[basename(model.path)]
  if (scoreOf === undefined) throw new Error(`nobody knows what ${model.path} gives for a row`)
  const names = model.inputs.flatMap(({ features }) => features)
  return predictions.flatMap(({ value }) => {
    const score = scoreOf(names.map((name) => numberOf(value, name) ?? NaN))
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
