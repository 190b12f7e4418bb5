import type { FeaturesSpec } from '../../src/features/spec.ts'
import { inputName, type InputPartition } from '../../src/record/input.ts'
import type { OutputRecord } from '../../src/record/output.ts'
import type { Reject } from '../../src/record/event.ts'
import type { Alert, Prediction } from '../../src/record/prediction.ts'
import { oracleRow, type LoggedEvent } from '../support/feature-oracle.ts'
import type { Expected, ExpectedLogs } from './expected.ts'
import { alertAbove, inputs, missingMean, modelInputs } from './topology.ts'

/** An output with what it was made of, instead of bytes. */
export interface SimulatedOutput extends OutputRecord {
  readonly made: Prediction | Alert | Reject
}

/** Compares what one transaction publishes with what the log says it must: I1, I2, I3, I7 and I9. */
export class OutputCheck {
  readonly #spec: FeaturesSpec
  readonly #logs: ExpectedLogs
  readonly #violated: (what: string) => void
  /** Committed position of an input, now. */
  readonly #position: (name: string) => number
  readonly #alertIds = new Set<string>()

  constructor(
    spec: FeaturesSpec,
    logs: ExpectedLogs,
    position: (name: string) => number,
    violated: (what: string) => void,
  ) {
    this.#spec = spec
    this.#logs = logs
    this.#position = position
    this.#violated = violated
  }

  /** Outputs of the records in [from, until), in their order. */
  check(input: InputPartition, from: number, until: number, outputs: readonly SimulatedOutput[]): void {
    const due = this.#logs.of(input).filter(({ raw }) => raw.offset >= from && raw.offset < until)
    let at = 0
    for (const expected of due) {
      if (expected.outcome === null) continue
      const output = outputs[at++]
      const place = `${inputName(input)} offset ${expected.raw.offset}`
      const found = output === undefined ? 'nothing' : describe(output)
      const wanted =
        expected.outcome === 'prediction'
          ? `prediction at ${expected.raw.offset}`
          : `${expected.outcome} at ${expected.raw.offset}`
      if (found !== wanted) return this.#violated(`I1, I3: ${place} must yield ${wanted}, yields ${found}`)
      if (expected.outcome !== 'prediction') continue
      const prediction = output?.made as Prediction
      this.#checkPrediction(input, expected, prediction)
      if (prediction.score > alertAbove) this.#checkAlert(place, prediction, outputs[at++])
    }
    const extra = outputs[at]
    if (extra) this.#violated(`I1, I2: ${inputName(input)} [${from}, ${until}): ${describe(extra)} too many`)
  }

  #checkAlert(place: string, prediction: Prediction, output: SimulatedOutput | undefined): void {
    if (output?.kind !== 'alert') return this.#violated(`I2: ${place}: the alert is missing`)
    const alert = output.made as Alert
    if (alert.position.offset !== prediction.position.offset || alert.score !== prediction.score) {
      return this.#violated(`I2: ${place}: the alert is not its prediction's`)
    }
    if (this.#alertIds.has(alert.alertId)) return this.#violated(`I2: alert ${alert.alertId} a second time`)
    this.#alertIds.add(alert.alertId)
  }

  #checkPrediction(input: InputPartition, expected: Expected, prediction: Prediction): void {
    const place = `${inputName(input)} offset ${expected.raw.offset}`
    const visible = new Map(Object.entries(prediction.watermarks ?? {}))
    for (const [name, offset] of visible) {
      const position = this.#position(name)
      if (offset > position)
        this.#violated(`I6: ${place} saw ${name} up to ${offset} of ${position} committed`)
    }
    if (expected.late !== prediction.flags.includes('late')) {
      this.#violated(`R1: ${place}: late must be ${expected.late}, flags are ${prediction.flags.join()}`)
    }
    const at: LoggedEvent = { source: input.source, event: expected.event! }
    const { numbers } = oracleRow({
      spec: this.#spec,
      events: this.#related(expected),
      at,
      visible,
      lateBeforeMs: expected.lateBeforeMs,
    })
    const published = { ...prediction.values, ...prediction.features }
    for (const [name, number] of numbers) {
      if (published[name] === number) continue
      return this.#violated(`I9: ${place}: ${name} must be ${number}, published is ${published[name]}`)
    }
    const score = scoreOf(modelInputs.map((name) => numbers.get(name) ?? missingMean))
    if (score !== prediction.score)
      this.#violated(`I7: ${place}: score must be ${score}, is ${prediction.score}`)
  }

  /** Applied events that share an entity with this one: no other can matter to it. */
  #related({ event }: Expected): LoggedEvent[] {
    const { customer, terminal } = event!.fields
    return inputs.flatMap((input) =>
      this.#logs.of(input).flatMap((other): LoggedEvent[] => {
        if (other.event === null || !other.applied) return []
        const { fields } = other.event
        const shares = fields['customer'] === customer || fields['terminal'] === terminal
        return shares ? [{ source: input.source, event: other.event }] : []
      }),
    )
  }
}

/** The simulated model. */
export function scoreOf(row: Iterable<number>): number {
  let sum = 0
  for (const value of row) sum += Math.fround(value)
  return sum
}

function describe({ kind, made }: SimulatedOutput): string {
  if ('rejected' in made) return `${made.reason} at ${made.raw.offset}`
  return `${kind} at ${made.position.offset}`
}
