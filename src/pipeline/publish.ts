import { decide } from '../decide/decide.ts'
import { createAlert, createPrediction } from '../decide/prediction.ts'
import { rankReasons, reasonVariants } from '../decide/reasons.ts'
import { worseOf } from '../decide/worse.ts'
import type { DecideContext } from '../decide/plan.ts'
import type { Reject } from '../record/event.ts'
import { inputName } from '../record/input.ts'
import type { OutputRecord } from '../record/output.ts'
import type { Alert, AlertRuleHit, Reason, ScoreType } from '../record/prediction.ts'
import { begins } from '../time/watchdog.ts'
import type { AppliedRow } from './apply.ts'
import { EventFailures, expressionReject } from './event-failures.ts'
import { modelInputs } from './matrix.ts'
import type { Batching, PartitionSetup, Shared } from './partition-context.ts'
import type { PreparedSlice } from './slice.ts'
import type { Owned } from './takeover.ts'

/** What one transaction holds. */
export interface Published {
  readonly outputs: readonly OutputRecord[]
  readonly predictions: number
  readonly alerts: readonly Alert[]
  readonly rejects: readonly Reject[]
  readonly flagged: ReadonlyMap<string, number>
  /** Of each unaligned prediction: offsets that the partition furthest behind had not read. */
  readonly behind: readonly number[]
}

type Scores = Awaited<ReturnType<Batching['score']>>

/** Turns scores into predictions, alerts and dead letters, in offset order: each record yields exactly one prediction or dead letter. */
export async function publish(
  setup: PartitionSetup,
  owned: Owned,
  slice: PreparedSlice,
  { scores, failures }: Scores,
  signal: AbortSignal,
): Promise<Published> {
  const { shared } = setup
  const outputs: OutputRecord[] = []
  const rejects: Reject[] = []
  const alerts: Alert[] = []
  const flagged = new Map<string, number>()
  const behind: number[] = []
  const scoredAt = shared.clock.now()
  const troubles = new EventFailures((place, message) =>
    shared.observer.expressionFailed(setup.input, place, message),
  )
  let predictions = 0
  const name = inputName(setup.input)
  const dead = (reject: Reject): void => {
    rejects.push(reject)
    outputs.push(shared.outlet.deadLetter(reject, reject.attempts ?? 1))
  }
  for (const item of slice.items) {
    if (item.kind === 'reject') {
      dead(item.reject)
      continue
    }
    const { applied, row } = item
    begins(name, applied.event.raw.offset)
    const failure = failures?.get(row)
    if (failure !== undefined) {
      dead(inferenceReject(applied, failure))
      continue
    }
    const score = scores[row] as number
    troubles.begin()
    const outcome = decide(shared.plan.decide, new RowContext(shared, applied, score), troubles)
    if (troubles.first !== null && shared.plan.expressions.onError === 'dead-letter') {
      dead(expressionReject(applied.event, troubles.first, 'decide'))
      continue
    }
    const flags = flagsWith(applied.flags, troubles)
    const prediction = createPrediction({
      event: applied.event,
      score,
      scoredAt,
      decision: outcome.decision,
      model: shared.scorer.identity,
      flags,
      behind: applied.behind,
      watermarks: applied.stamp?.watermarks ?? null,
      entityWatermarks: applied.stamp?.byEntity ?? null,
      ...includes(shared, applied),
    })
    const encoded = shared.outlet.prediction(prediction, applied.event.raw)
    if ('rejected' in encoded) {
      dead(encoded)
      continue
    }
    let alertOutput: OutputRecord | null = null
    if (outcome.severity !== null) {
      const reasons = await reasonsOf(setup, slice, row, { score, applied, rules: outcome.rules }, signal)
      const alert = createAlert(prediction, {
        incarnation: owned.metadata.incarnation,
        rules: outcome.rules,
        severity: outcome.severity,
        reasons,
      })
      const encodedAlert = shared.outlet.alert(alert, applied.event.raw)
      if ('rejected' in encodedAlert) {
        dead(encodedAlert)
        continue
      }
      alerts.push(alert)
      alertOutput = encodedAlert
    }
    predictions++
    if (applied.behind !== undefined) behind.push(Math.max(0, ...Object.values(applied.behind)))
    for (const flag of flags) flagged.set(flag, (flagged.get(flag) ?? 0) + 1)
    outputs.push(encoded)
    if (alertOutput !== null) outputs.push(alertOutput)
  }
  return { outputs, predictions, alerts, rejects, flagged, behind }
}

function flagsWith(flags: AppliedRow['flags'], { first }: EventFailures): AppliedRow['flags'] {
  return first === null || flags.includes('expression-error') ? flags : [...flags, 'expression-error']
}

function inferenceReject(applied: AppliedRow, message: string): Reject {
  return { rejected: true, reason: 'INFERENCE', stage: 'model', message, raw: applied.event.raw }
}

function includes(
  { plan }: Shared,
  { row }: AppliedRow,
): { features?: Record<string, number | null>; values?: Record<string, number | null> } {
  const { include } = plan.sinks.predictions
  const values = plan.featuresSpec.values.length
  const names = plan.features.names
  return {
    ...(include.features ? { features: published(names, row.numbers, values, names.length) } : {}),
    ...(include.values ? { values: published(names, row.numbers, 0, values) } : {}),
  }
}

function published(
  names: readonly string[],
  numbers: Float64Array,
  from: number,
  to: number,
): Record<string, number | null> {
  const out: Record<string, number | null> = {}
  for (let i = from; i < to; i++) {
    const value = numbers[i] as number
    out[names[i] as string] = Number.isFinite(value) ? value : null
  }
  return out
}

interface Alarming {
  readonly score: number
  readonly applied: AppliedRow
  readonly rules: readonly AlertRuleHit[]
}

/**
 * Replaces one feature after the other by its baseline and scores again. Only alert rows pay for it, and trouble in it
 * never makes a dead letter: the alert then has no reasons.
 */
async function reasonsOf(
  { shared, input }: PartitionSetup,
  slice: PreparedSlice,
  row: number,
  { score, applied, rules }: Alarming,
  signal: AbortSignal,
): Promise<readonly Reason[]> {
  const { baseline } = shared.scorer
  const count = shared.plan.decide.reasons
  if (baseline === null || count === 0) return []
  const inputs = modelInputs(shared)
  const at = row * inputs.length
  const values = new Map(inputs.map(({ name }, i) => [name, slice.matrix.values[at + i] as number]))
  const variants = reasonVariants(values, baseline)
  if (variants.length === 0) return []
  const rows = new Float32Array(variants.length * inputs.length)
  for (const [index, variant] of variants.entries()) {
    for (const [i, { name }] of inputs.entries()) {
      const value = name === variant.feature ? variant.baseline : values.get(name)
      rows[index * inputs.length + i] = value ?? 0
    }
  }
  try {
    const scored = await shared.batching.score(rows, variants.length, signal)
    if (scored.failures !== null) return []
    const fired = new Set(rules.map(({ id }) => id))
    const at = (moved: number): DecideContext => new RowContext(shared, applied, moved)
    return rankReasons(worseOf(shared.plan.decide, fired, score, at), score, variants, scored.scores, count)
  } catch (error) {
    signal.throwIfAborted()
    shared.observer.trouble(
      input,
      new Error(`no reasons for an alert of ${inputName(input)}`, { cause: error }),
    )
    return []
  }
}

/** What rules see; the records of values and features are made only when a rule asks for them. */
class RowContext implements DecideContext {
  readonly score: number
  readonly scoreType: ScoreType
  readonly fields: Readonly<Record<string, unknown>>
  readonly flags: readonly string[]
  readonly #shared: Shared
  readonly #numbers: Float64Array

  constructor(shared: Shared, applied: AppliedRow, score: number) {
    this.score = score
    this.scoreType = shared.scorer.scoreType
    this.fields = applied.event.fields
    this.flags = applied.flags
    this.#shared = shared
    this.#numbers = applied.row.numbers
  }
  get values(): Readonly<Record<string, number>> {
    return this.#record(0, this.#shared.plan.featuresSpec.values.length)
  }
  get features(): Readonly<Record<string, number>> {
    return this.#record(this.#shared.plan.featuresSpec.values.length, this.#numbers.length)
  }
  #record(from: number, to: number): Record<string, number> {
    const { names } = this.#shared.plan.features
    const record: Record<string, number> = {}
    for (let i = from; i < to; i++) record[names[i] as string] = this.#numbers[i] as number
    return record
  }
}
