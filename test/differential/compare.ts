import type { FeaturesSpec } from '../../src/features/spec.ts'
import type { Prediction } from '../../src/record/prediction.ts'
import type { Plan } from '../../src/topology/plan.ts'
import { agrees } from '../support/rounding.ts'
import {
  indexed,
  isInError,
  isWindowed,
  judge,
  kindOf,
  rowOf,
  sees,
  windowOf,
  windowsOf,
  type ColumnKind,
  type Judged,
  type Visible,
} from './definition.ts'
import type { LoggedRecord } from './log.ts'
import { scored, type DrawnTopology } from './topology.ts'

/** What is compared of a row of a replay. */
export interface ReplayedRow {
  /** In the order of `plan.features.names`; NaN where missing. */
  readonly numbers: Float64Array
  readonly flags: readonly string[]
}

/** The same log three times. */
export interface Sides {
  readonly topology: DrawnTopology
  readonly plan: Plan
  readonly log: readonly LoggedRecord[]
  /** By position of the scored event; null: a dead letter. */
  readonly live: ReadonlyMap<string, Prediction | null>
  readonly replayed: ReadonlyMap<string, ReplayedRow | null>
}

export interface Verdict {
  readonly problems: readonly string[]
  /** What was compared and what was met, for figures and to ask whether a run meant anything. */
  readonly counts: ReadonlyMap<string, number>
}

/** Its own partition is what an event sees in any case. */
const nothing: Visible = { watermarks: {}, byEntity: {} }

/** With as much time to wait, partitions that wait for each other for no reason would be the cause of a flag; virtual ms. */
const alignAmpleMs = 20_000

type Numbers = Readonly<Record<string, number | null>>

export function compare(sides: Sides): Verdict {
  const comparison = new Comparison(sides)
  comparison.run()
  return comparison
}

class Comparison implements Verdict {
  readonly problems: string[] = []
  readonly counts = new Map<string, number>()
  readonly #sides: Sides
  readonly #kinds: ReadonlyMap<string, ColumnKind>
  readonly #judged: readonly Judged[]
  /** All there is, without a cap. */
  readonly #all: Visible

  constructor(sides: Sides) {
    this.#sides = sides
    const { topology, plan, log } = sides
    const { spec } = topology
    this.#kinds = new Map(plan.features.names.map((name) => [name, kindOf(spec, name)]))
    this.#judged = judge(topology, log)
    const inputs = new Set(log.map(({ input }) => input))
    this.#all = {
      watermarks: Object.fromEntries([...inputs].map((input) => [input, Infinity])),
      byEntity: {},
    }
  }

  run(): void {
    const { topology, live, replayed } = this.#sides
    const related = indexed(this.#judged)
    const policy = topology.sources.find(({ name }) => name === scored)!.late
    for (const at of this.#judged) {
      if (at.source !== scored) continue
      const place = `${at.input}:${at.raw.offset}`
      const isDead = at.late && policy === 'dead-letter'
      const [prediction, row] = [live.get(place), replayed.get(place)]
      if (prediction === undefined || row === undefined || isDead !== (prediction === null)) {
        this.problems.push(
          `outcome: ${place} must be ${isDead ? 'a dead letter' : 'scored'}, live and in replay`,
        )
        continue
      }
      if (isDead !== (row === null)) this.problems.push(`outcome: ${place} is otherwise in replay`)
      if (prediction === null || row === null) continue
      const records = related(at)
      this.#checkLive(place, at, records, prediction)
      this.#checkReplay(place, at, records, row)
      this.#checkPair(place, at, records, prediction, row)
    }
  }

  // --- live ---------------------------------------------------------------------------------------------------------

  #checkLive(place: string, at: Judged, records: readonly Judged[], prediction: Prediction): void {
    const { spec } = this.#sides.topology
    const { flags, features, values, watermarks = {}, entityWatermarks = {} } = prediction
    const visible: Visible = { watermarks, byEntity: entityWatermarks }
    const { numbers, capped } = rowOf(spec, at, records, visible)
    const said = {
      late: flags.includes('late'),
      capped: flags.includes('capped'),
      gap: flags.includes('gap'),
      inError: flags.includes('expression-error'),
    }
    const inError = isInError(spec, at)
    if (said.late !== at.late || said.capped !== capped || said.gap || said.inError !== inError) {
      this.problems.push(
        `flags: ${place} is late: ${at.late}, capped: ${capped}, in error: ${inError}, and says ${flags.join() || 'nothing'}`,
      )
    }
    this.#count('live rows')
    for (const flag of flags) this.#count(`flag ${flag}`)
    const published: Numbers = { ...values, ...features }
    for (const [name, number] of numbers) {
      this.#count('live numbers')
      if (agrees(spec, name, (column) => published[column] ?? null, number)) continue
      this.problems.push(
        `live: ${place}: ${name} must be ${number} at its stamp, published is ${published[name]}`,
      )
    }
    this.#checkStamp(place, at, records, visible, flags.includes('unaligned'))
  }

  /**
   * What a delayed window holds and stood in the log before the event is in what the row saw, or the row says
   * `unaligned`. Beyond a promised outOfOrder nobody waits.
   */
  #checkStamp(
    place: string,
    at: Judged,
    records: readonly Judged[],
    visible: Visible,
    isUnaligned: boolean,
  ): void {
    const { spec } = this.#sides.topology
    let isBehind = false
    for (const feature of spec.features) {
      if (!isWindowed(feature) || feature.delayMs === 0) continue
      const window = windowOf(spec, feature, at, records)
      if (window.length > 0) this.#count('delayed windows with something in them')
      for (const record of window) {
        if (sees(visible, feature.over, record)) continue
        if (record.appended > at.appended) this.#count('came after the event')
        else if (!record.promised) this.#count('live: beyond outOfOrder')
        else {
          isBehind = true
          if (isUnaligned) continue
          this.problems.push(
            `unaligned: ${place}: ${feature.name} lacks ${record.event.id}, which stood in the log before, and no flag says so`,
          )
          return
        }
      }
    }
    if (!isUnaligned) return
    this.#count(isBehind ? 'unaligned and behind' : 'unaligned for fear')
    if (!isBehind && this.#sides.topology.alignMs >= alignAmpleMs) {
      this.problems.push(`needless: ${place} is flagged unaligned, lacks nothing, and there was time to wait`)
    }
  }

  // --- replay -------------------------------------------------------------------------------------------------------

  #checkReplay(place: string, at: Judged, records: readonly Judged[], row: ReplayedRow): void {
    const { topology, plan } = this.#sides
    const { flags } = row
    if (flags.includes('late') !== at.late)
      this.problems.push(`flags: ${place} late: ${at.late}, not so in replay`)
    const inError = isInError(topology.spec, at)
    if (flags.includes('expression-error') !== inError)
      this.problems.push(`flags: ${place} in error: ${inError}, not so in replay`)
    const isLoose = flags.includes('capped') || flags.includes('unaligned')
    if (isLoose) return this.#count('replayed rows with a flag')
    const uncapped = { ...topology.spec, eventsPerEntityMax: Infinity }
    const { numbers } = rowOf(uncapped, at, records, this.#all)
    this.#count('replayed rows')
    const alone = rowOf(uncapped, at, records, nothing).numbers
    for (const [index, name] of plan.features.names.entries()) {
      const numberOf = (column: string): number | null =>
        presentOrNull(row.numbers[plan.features.names.indexOf(column)]!)
      const found = presentOrNull(row.numbers[index]!)
      if (this.#kinds.get(name) === 'now') {
        if (isCount(topology.spec, name) && !(found! >= alone.get(name)! && found! <= numbers.get(name)!)) {
          this.problems.push(`replay: ${place}: ${name} is ${found}, there are ${numbers.get(name)}`)
        }
        continue
      }
      this.#count('replayed numbers')
      if (agrees(topology.spec, name, numberOf, numbers.get(name)!)) continue
      const windows = windowsOf(topology.spec, name)
      const isBeyond = windows.some((feature) =>
        windowOf(topology.spec, feature, at, records).some(({ promised }) => !promised),
      )
      if (isBeyond) this.#count('replay: beyond outOfOrder')
      else this.problems.push(`replay: ${place}: ${name} must be ${numbers.get(name)}, is ${found}`)
    }
  }

  /** Rows without a flag are equal, but for what came after the event was scored. */
  #checkPair(
    place: string,
    at: Judged,
    records: readonly Judged[],
    { features, values, flags, watermarks = {}, entityWatermarks = {} }: Prediction,
    replayed: ReplayedRow,
  ): void {
    if ([...flags, ...replayed.flags].some((flag) => flag !== 'expression-error')) return
    const { topology, plan } = this.#sides
    const visible: Visible = { watermarks, byEntity: entityWatermarks }
    const published: Numbers = { ...values, ...features }
    for (const [index, name] of plan.features.names.entries()) {
      const kind = this.#kinds.get(name)
      const isSame = published[name] === presentOrNull(replayed.numbers[index]!)
      this.#count(`${kind}: live ${isSame ? 'equals' : 'differs from'} replay`)
      if (isSame || kind === 'now') continue
      const isLess = windowsOf(topology.spec, name).some((feature) =>
        windowOf(topology.spec, feature, at, records).some(
          (one) => !one.promised || !sees(visible, feature.over, one),
        ),
      )
      if (!isLess)
        this.problems.push(`pair: ${place}: ${name} is ${published[name]} live, otherwise in replay`)
    }
  }

  #count(what: string): void {
    this.counts.set(what, (this.counts.get(what) ?? 0) + 1)
  }
}

function isCount({ features }: FeaturesSpec, name: string): boolean {
  return features.some((feature) => {
    if (feature.kind !== 'aggregate' || feature.name !== name) return false
    return feature.aggregate === 'count' && feature.default === 0
  })
}

function presentOrNull(number: number): number | null {
  return Number.isFinite(number) ? number : null
}
