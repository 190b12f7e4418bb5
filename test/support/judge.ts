import { parseMetadata } from '../../src/pipeline/metadata.ts'
import type { Prediction } from '../../src/record/prediction.ts'
import type { LoggedInput, Position } from './card-world.ts'
import { placeOf, positionOf, type CheckOptions, type Evidence, type Outputs } from './evidence.ts'
import { alignmentProblems } from './judge-aligned.ts'
import { featureProblems, fold } from './judge-features.ts'
import { scoreProblems } from './judge-scores.ts'
import type { RefereeRecord } from './referee.ts'
import { alertFrom } from './service-topology.ts'

/*
 * Judges a run from the logs alone, as an outsider: inputs as written, outputs as Kafka's own consumer shows them, features
 * by the brute-force oracle. Knows the rules of exactly-once.md, not the code that keeps them.
 */
/** Violations of I1, I2, I3, I7, I9 and I10 over everything that is committed; none when all is well. */
export function problemsOf(
  { plan, input, positions, outputs }: Evidence,
  options: CheckOptions = {},
): string[] {
  const committed = new Map(positions.map((one) => [placeOf(one), one]))
  const { unseen, killers } = options
  const history = fold(input, plan, (one) => unseen?.(one) === true || killers?.(one) === true)
  return [
    ...positions.flatMap(metadataProblems),
    ...coverage(
      input.filter(({ source }) => source === 'transactions'),
      outputs,
      (place) => committed.get(place)?.offset ?? 0,
      options,
    ),
    ...alertProblems(outputs),
    ...order(outputs.predictions.map(({ record, value }) => ({ record, position: value.position }))),
    ...order(outputs.alerts.map(({ record, value }) => ({ record, position: value.position }))),
    ...order(outputs.deadLetters.map((record) => ({ record, position: deadLetterPosition(record) }))),
    ...scoreProblems(plan, outputs),
    ...featureProblems(plan, history, outputs, options),
    ...alignmentProblems(plan, input, history, outputs, options),
  ]
}

function metadataProblems(position: Position): string[] {
  const named = parseMetadata(position.metadata)?.offset
  return named === position.offset
    ? []
    : [`metadata of ${placeOf(position)} names offset ${named}, committed is ${position.offset}`]
}

/** About a dozen, some of every kind. */
export function summary(problems: readonly string[]): string[] {
  if (problems.length <= 12) return [...problems]
  const kinds = [...Map.groupBy(problems, (problem) => problem.split(':', 1)[0]).values()]
  const each = Math.max(1, Math.floor(12 / kinds.length))
  return [...kinds.flatMap((kind) => kind.slice(0, each)), `… ${problems.length} in all`]
}

export function deadLetterPosition({ headers }: RefereeRecord): Prediction['position'] {
  return {
    topic: headers['__dlq.errors.topic'] ?? '',
    partition: Number(headers['__dlq.errors.partition']),
    offset: Number(headers['__dlq.errors.offset']),
  }
}

/** I1: every record below the committed offset gave exactly one prediction or dead letter of the right kind. */
function coverage(
  inputs: readonly LoggedInput[],
  { predictions, deadLetters }: Outputs,
  committed: (place: string) => number,
  { poison, killers, skipped }: CheckOptions,
): string[] {
  const outcomeOf = (input: LoggedInput): string => {
    if (killers?.(input) === true) return 'POISON'
    return poison?.(input) === true ? 'INFERENCE' : input.becomes
  }
  const problems: string[] = []
  const found = new Map<string, string[]>()
  const add = (position: Prediction['position'], what: string): void => {
    const name = positionOf(position)
    const before = found.get(name)
    if (before === undefined) found.set(name, [what])
    else before.push(what)
  }
  for (const { value } of predictions) add(value.position, 'prediction')
  for (const record of deadLetters) {
    add(deadLetterPosition(record), record.headers['millrace.dlq.reason'] ?? 'no reason')
  }
  for (const input of inputs) {
    const name = positionOf(input)
    const outcome = found.get(name) ?? []
    found.delete(name)
    const due = input.offset < committed(placeOf(input)) && skipped?.(input) !== true
    const expected = due ? [outcomeOf(input)] : []
    if (outcome.join() !== expected.join()) {
      problems.push(`I1: ${name} gave [${outcome.join()}], expected [${expected.join()}]`)
    }
  }
  for (const [name, what] of found) problems.push(`I1: ${what.join()} for ${name}, which is no input`)
  return problems
}

/** I2: exactly the predictions whose score reaches the rule have an alert, once, saying the same. */
function alertProblems({ predictions, alerts }: Outputs): string[] {
  const problems: string[] = []
  const due = new Map(
    predictions
      .filter(({ value }) => value.score >= alertFrom)
      .map(({ value }) => [positionOf(value.position), value]),
  )
  const ids = new Set<string>()
  for (const { value } of alerts) {
    const name = positionOf(value.position)
    const prediction = due.get(name)
    due.delete(name)
    if (ids.has(value.alertId)) problems.push(`I2: alert id ${value.alertId} twice`)
    ids.add(value.alertId)
    if (prediction === undefined) problems.push(`I2: alert for ${name} twice, or without its prediction`)
    else if (prediction.id !== value.id || prediction.score !== value.score)
      problems.push(`I2: alert for ${name} and its prediction differ`)
  }
  for (const name of due.keys()) problems.push(`I2: the alert for ${name} is lost`)
  return problems
}

/** I3: outputs lie in their input's partition, in its order. */
function order(
  outputs: readonly { readonly record: RefereeRecord; readonly position: Prediction['position'] }[],
): string[] {
  const problems: string[] = []
  const last = new Map<number, number>()
  for (const { record, position } of outputs) {
    const name = `${record.topic}:${record.partition}:${record.offset}`
    if (record.partition !== position.partition) problems.push(`I3: ${name} is of ${positionOf(position)}`)
    const before = last.get(record.partition) ?? -1
    if (position.offset <= before)
      problems.push(`I3: ${name} is of ${positionOf(position)}, behind ${before}`)
    last.set(record.partition, position.offset)
  }
  return problems
}
