import type { FeaturesSpec } from '../../src/features/spec.ts'
import { inputName, type InputPartition } from '../../src/record/input.ts'
import type { OutputRecord } from '../../src/record/output.ts'
import type { Reject } from '../../src/record/event.ts'
import type { Alert, Prediction } from '../../src/record/prediction.ts'
import { oracleRow, type LoggedEvent } from '../support/feature-oracle.ts'
import type { Expected, ExpectedLog, ExpectedLogs } from './expected.ts'
import type { Account } from './ledger.ts'
import {
  alertAbove,
  allowedLatenessMs,
  horizonMs,
  missingMean,
  modelInputs,
  outOfOrderMs,
  transactions,
  type Settings,
} from './topology.ts'

/** An output with what it was made of, instead of bytes. */
export interface SimulatedOutput extends OutputRecord {
  readonly made: Prediction | Alert | Reject
}

export interface OutputCheckParts {
  readonly settings: Settings
  readonly spec: FeaturesSpec
  readonly logs: ExpectedLogs
  /** Committed position of an input, now. */
  readonly position: (name: string) => number
  readonly violated: (what: string) => void
}

type Numbers = ReadonlyMap<string, number | null>

/** Compares what one transaction publishes with what the log says it must: I1, I2, I3, I7 and I9. */
export class OutputCheck {
  readonly #parts: OutputCheckParts
  readonly #merged: ReadonlySet<string>
  readonly #alertIds = new Set<string>()

  constructor(parts: OutputCheckParts) {
    this.#parts = parts
    const { features, entities } = parts.spec
    const mergedEntities = new Set(entities.filter(({ merge }) => merge).map(({ name }) => name))
    this.#merged = new Set(
      features.flatMap((feature) =>
        feature.kind !== 'ratio' && (mergedEntities.has(feature.over) || feature.from !== parts.spec.scored)
          ? [feature.name]
          : [],
      ),
    )
  }

  /** Outputs of the records in [from, until), in their order. */
  check(
    input: InputPartition,
    from: number,
    until: number,
    outputs: readonly SimulatedOutput[],
    account: Account,
  ): void {
    const { logs, violated } = this.#parts
    const due = logs.of(input).filter(({ raw }) => raw.offset >= from && raw.offset < until)
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
      if (found !== wanted) return violated(`I1, I3: ${place} must yield ${wanted}, yields ${found}`)
      if (expected.outcome !== 'prediction') continue
      const prediction = output?.made as Prediction
      this.#checkPrediction(input, expected, prediction, account)
      if (prediction.score > alertAbove)
        this.#checkAlert(place, account.incarnation, prediction, outputs[at++])
    }
    const extra = outputs[at]
    if (extra) violated(`I1, I2: ${inputName(input)} [${from}, ${until}): ${describe(extra)} too many`)
  }

  #checkAlert(
    place: string,
    incarnation: string,
    prediction: Prediction,
    output: SimulatedOutput | undefined,
  ): void {
    const { violated } = this.#parts
    if (output?.kind !== 'alert') return violated(`I2: ${place}: the alert is missing`)
    const alert = output.made as Alert
    if (alert.position.offset !== prediction.position.offset || alert.score !== prediction.score) {
      return violated(`I2: ${place}: the alert is not its prediction's`)
    }
    const id = `${incarnation} ${alert.alertId}`
    if (this.#alertIds.has(id)) return violated(`I2: alert ${alert.alertId} a second time`)
    this.#alertIds.add(id)
  }

  #checkPrediction(
    input: InputPartition,
    expected: Expected,
    prediction: Prediction,
    account: Account,
  ): void {
    const { violated, position, settings, logs } = this.#parts
    const place = `${inputName(input)} offset ${expected.raw.offset}`
    const visible = new Map(Object.entries(prediction.watermarks ?? {}))
    for (const other of settings.inputs) {
      const name = inputName(other)
      const offset = visible.get(name) ?? 0
      // A position may go back with a new incarnation only.
      if (offset > position(name) && logs.versions(other).length <= 1)
        violated(`I6: ${place} saw ${name} up to ${offset} of ${position(name)} committed`)
    }
    const flags = new Set(prediction.flags)
    const isGap = account.gapUntil !== null && expected.event!.time <= account.gapUntil
    const mayBeGap =
      isGap || this.#othersLost(input, expected) || expected.event!.time < account.expiredBefore
    if (flags.has('late') !== expected.late || (flags.has('gap') ? !mayBeGap : isGap)) {
      violated(
        `R1: ${place}: late must be ${expected.late}, gap ${isGap}, flags are ${prediction.flags.join()}`,
      )
    }
    this.#checkAligned(place, input, expected, prediction, visible)
    this.#checkNumbers(place, input, expected, prediction, visible, account)
  }

  /** I10: what stood in another log before the event, where a delayed window looks, was seen; or a flag says otherwise. */
  #checkAligned(
    place: string,
    input: InputPartition,
    expected: Expected,
    prediction: Prediction,
    visible: ReadonlyMap<string, number>,
  ): void {
    const { settings, logs, spec, violated } = this.#parts
    if (prediction.flags.includes('unaligned') || expected.late) return
    for (const other of settings.inputs) {
      const [log, ...earlier] = logs.versions(other)
      if (other === input || log === undefined || earlier.length > 0) continue
      const seen = visible.get(inputName(other)) ?? 0
      const missed = log.all.find(
        (one) => one.raw.offset >= seen && isNeeded(spec, expected, one, other.source, settings),
      )
      if (missed !== undefined) {
        violated(
          `I10: ${place} saw ${inputName(other)} up to ${seen}, needs ${missed.raw.offset}, and no flag says so`,
        )
      }
    }
  }

  /** Whether the event may have read the state of another partition that misses deleted records. */
  #othersLost(input: InputPartition, { event }: Expected): boolean {
    const { settings, logs } = this.#parts
    if (!settings.merged || event!.fields['terminal'] === null) return false
    const others = settings.inputs.filter((other) => other !== input)
    const lost = others.flatMap((other) => logs.versions(other).map((log) => log.lostUntil ?? -Infinity))
    return event!.time <= Math.max(...lost) + outOfOrderMs + horizonMs + allowedLatenessMs
  }

  /** Other partitions may have been read in an earlier incarnation: one of their versions must explain all numbers. */
  #checkNumbers(
    place: string,
    input: InputPartition,
    expected: Expected,
    prediction: Prediction,
    visible: ReadonlyMap<string, number>,
    account: Account,
  ): void {
    const { violated, logs, settings } = this.#parts
    const own = logs.versions(input).at(-1)!
    const others = settings.inputs.filter((other) => other !== input)
    const worlds = others.reduce<readonly (readonly ExpectedLog[])[]>(
      (known, other) => {
        const versions = logs.versions(other)
        if (versions.length === 0) return known
        return known.flatMap((world) => versions.map((version) => [...world, version]))
      },
      [[own]],
    )
    const rereads = expected.event!.time <= account.rereadUntil
    const skipped = rereads ? this.#merged : none
    const isFlagged = prediction.flags.includes('gap')
    let first: string | null = null
    let numbers: Numbers | null = null
    // The newest versions first: nearly always they are what was read.
    for (const world of worlds.toReversed()) {
      const found = this.#numbersOf(input, expected, visible, world)
      const wrong = differenceOf(found, prediction, skipped)
      const missed = wrong === null && !isFlagged ? this.#missed(input, expected, visible, world) : null
      const unsaid = missed === null ? null : differenceOf(missed, prediction, skipped)
      if (wrong === null && unsaid === null) {
        numbers = found
        break
      }
      first ??= wrong ?? `deleted records of others matter, and no flag says so: ${unsaid}`
    }
    if (numbers === null) return violated(`I9: ${place}: ${first}`)
    if (rereads && !prediction.flags.includes('gap')) {
      const misses = worlds.map((world) =>
        differenceOf(this.#numbersOf(input, expected, visible, world), prediction, none),
      )
      if (!misses.includes(null)) {
        violated(`I9: ${place}: what others stored is gone, and no flag says so: ${misses.at(-1)}`)
      }
    }
    if (rereads) return
    const score = scoreOf(modelInputs(settings).map((name) => numbers.get(name) ?? missingMean))
    if (score !== prediction.score) violated(`I7: ${place}: score must be ${score}, is ${prediction.score}`)
    if (account.gapUntil === null || isFlagged) return
    const newest = others.flatMap((other) => logs.versions(other).slice(-1))
    const undeleted = [own, ...newest].map((log) => log.whole())
    const whole = this.#numbersOf(input, expected, visible, undeleted)
    const missed = differenceOf(whole, prediction, this.#merged)
    if (missed !== null) violated(`I9: ${place}: deleted records matter, and no flag says so: ${missed}`)
  }

  /** As if other partitions had lost nothing; null: they have not. */
  #missed(
    input: InputPartition,
    expected: Expected,
    visible: ReadonlyMap<string, number>,
    world: readonly ExpectedLog[],
  ): Numbers | null {
    const isLost = (log: ExpectedLog): boolean => log.input !== input && log.lostUntil !== null
    if (!world.some(isLost)) return null
    const undeleted = world.map((log) => (isLost(log) ? log.whole() : log))
    return this.#numbersOf(input, expected, visible, undeleted)
  }

  #numbersOf(
    input: InputPartition,
    expected: Expected,
    visible: ReadonlyMap<string, number>,
    world: readonly ExpectedLog[],
  ): Numbers {
    return oracleRow({
      spec: this.#parts.spec,
      events: related(expected, world),
      at: { source: input.source, event: expected.event! },
      visible,
      lateBeforeMs: expected.lateBeforeMs,
    }).numbers
  }
}

const none: ReadonlySet<string> = new Set()

/** Whether a delayed window of the event looks at a record that was there before it, and in the order that is promised. */
function isNeeded(
  spec: FeaturesSpec,
  { event, raw }: Expected,
  other: Expected,
  source: string,
  { unorderedLabels }: Settings,
): boolean {
  if (other.event === null || !other.applied || other.raw.timestamp >= raw.timestamp) return false
  const isOrdered = source === transactions || !unorderedLabels
  if (isOrdered && other.event.time < other.maxTime - outOfOrderMs) return false
  return spec.features.some((feature) => {
    if (feature.kind === 'ratio' || feature.from !== source || feature.delayMs === 0) return false
    const entity = spec.entities.find(({ name }) => name === feature.over)
    const keys = entity?.keys ?? []
    if (keys.some((key) => event!.fields[key] === null || event!.fields[key] !== other.event!.fields[key]))
      return false
    const newest = event!.time - feature.delayMs
    return other.event!.time <= newest && other.event!.time > newest - feature.windowMs
  })
}

function differenceOf(
  numbers: Numbers,
  { values, features }: Prediction,
  skipped: ReadonlySet<string>,
): string | null {
  const published = { ...values, ...features }
  for (const [name, number] of numbers) {
    if (published[name] === number || skipped.has(name)) continue
    return `${name} must be ${number}, published is ${published[name]}`
  }
  return null
}

/** Applied events that share an entity with this one: no other can matter to it. */
function related({ event }: Expected, world: readonly ExpectedLog[]): LoggedEvent[] {
  const { customer, terminal } = event!.fields
  return world.flatMap((log) => {
    const { source } = log.input
    return log.all.flatMap((other): LoggedEvent[] => {
      if (other.event === null || !other.applied) return []
      const { fields } = other.event
      const shares = fields['customer'] === customer || fields['terminal'] === terminal
      return shares ? [{ source, event: other.event }] : []
    })
  })
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
