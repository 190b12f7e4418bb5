import type { AggregateSpec } from '../../src/features/spec.ts'
import type { Prediction } from '../../src/record/prediction.ts'
import type { Plan } from '../../src/topology/plan.ts'
import type { LoggedInput } from './card-world.ts'
import { placeOf, positionOf, type CheckOptions, type Outputs } from './evidence.ts'
import type { History } from './judge-features.ts'

type Delayed = AggregateSpec

/** A record that changed state, and what tells whether it had to be seen. */
interface Candidate {
  readonly input: LoggedInput
  /** Its place in `input`: records below an event's `writtenAfter` stood in the log before it. */
  readonly index: number
  readonly time: number
  /** In the order that its source promises; any, where none is promised. */
  readonly inOrder: boolean
}

/**
 * I10: what stood in another log before an event was written, where a delayed window of it looks, had been read; or the
 * prediction says `unaligned`. From the logs and the stamped offsets alone.
 */
export function alignmentProblems(
  plan: Plan,
  input: readonly LoggedInput[],
  history: History,
  { predictions }: Outputs,
  options: CheckOptions,
): string[] {
  const { featuresSpec } = plan
  const features = featuresSpec.features.filter(
    (feature): feature is Delayed => feature.kind !== 'ratio' && feature.delayMs > 0,
  )
  const candidates = new Map(
    features.map(({ from, over }) => [`${from} ${over}`, index(plan, input, history, from, over)]),
  )
  const byPosition = new Map(input.map((one) => [positionOf(one), one]))
  return predictions.flatMap(({ value }) => {
    const event = byPosition.get(positionOf(value.position))
    const isSkipped = options.otherFeatures?.(value.position) === true
    const isExcused = value.flags.some((flag) => flag === 'unaligned' || flag === 'late' || flag === 'gap')
    if (isSkipped || isExcused || event?.event === undefined || event.event === null) return []
    const { time, fields } = event.event
    return features.flatMap((feature) => {
      const keys = featuresSpec.entities.find(({ name }) => name === feature.over)?.keys ?? []
      const same = candidates.get(`${feature.from} ${feature.over}`)?.get(textOf(keys, fields)) ?? []
      const missed = same.find(
        (one) =>
          placeOf(one.input) !== placeOf(event) &&
          one.index < (event.writtenAfter ?? 0) &&
          one.inOrder &&
          one.time <= time - feature.delayMs &&
          one.time > time - feature.delayMs - feature.windowMs &&
          one.input.offset >= seenOf(value, feature.over, placeOf(one.input)),
      )
      if (missed === undefined) return []
      return [
        `I10: ${positionOf(value.position)} ${feature.name} had not read ${positionOf(missed.input)}, unflagged`,
      ]
    })
  })
}

function seenOf(
  { watermarks = {}, entityWatermarks = {} }: Prediction,
  entity: string,
  input: string,
): number {
  return entityWatermarks[entity]?.[input] ?? watermarks[input] ?? 0
}

/** Records of a source that changed state, by entity. */
function index(
  plan: Plan,
  input: readonly LoggedInput[],
  history: History,
  from: string,
  over: string,
): ReadonlyMap<string, readonly Candidate[]> {
  const { disorderMaxMs } = plan.sources.find(({ name }) => name === from)!
  const keys = plan.featuresSpec.entities.find(({ name }) => name === over)?.keys ?? []
  const newest = new Map<string, number>()
  const byEntity = new Map<string, Candidate[]>()
  for (const [at, one] of input.entries()) {
    if (one.source !== from || one.event === null) continue
    const { time, fields } = one.event
    const before = newest.get(placeOf(one)) ?? -Infinity
    newest.set(placeOf(one), Math.max(before, time))
    if (history.get(positionOf(one))?.applied !== true) continue
    const name = textOf(keys, fields)
    const list = byEntity.get(name) ?? []
    byEntity.set(name, list)
    list.push({
      input: one,
      index: at,
      time,
      inOrder: disorderMaxMs === null || time > before - Math.max(1, disorderMaxMs),
    })
  }
  return byEntity
}

function textOf(keys: readonly string[], fields: Readonly<Record<string, unknown>>): string {
  return keys.map((key) => String(fields[key])).join('|')
}
