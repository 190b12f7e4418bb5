/** What a verification found, added up. */
import type { Lack } from '../../pipeline/lacking.ts'
import type { Prediction } from '../../record/prediction.ts'
import { mayDiffer, type Difference, type RowComparison } from './compare.ts'

/** How often, and the first few places. */
export interface Places {
  readonly count: number
  /** `topic:partition@offset` of the source record. */
  readonly examples: readonly string[]
}

/** Of one column. */
export interface Finding {
  readonly rows: number
  /** Largest absolute difference; null where one side is missing or no number. */
  readonly largest: number | null
  readonly example: {
    readonly place: string
    readonly published: Difference['published']
    readonly recomputed: Difference['recomputed']
  }
}

export type Findings = Readonly<Record<string, Finding>>

/** A prediction that saw less of a partition than a window needs, and does not say so. */
export interface Behind extends Lack {
  readonly place: string
  readonly id: string
}

/** How many predictions, and what the first few of them lack. */
export interface BehindPredictions {
  readonly count: number
  readonly examples: readonly Behind[]
}

export interface VerifyReport {
  /** Something differs that must not. */
  readonly differs: boolean
  /** Predictions that were compared with their event. */
  readonly compared: number
  /** Of them, those with a difference that must not be. */
  readonly wrong: number
  readonly differences: Findings
  /** Committed as done, and neither a prediction nor a dead letter is there. */
  readonly missing: Places
  /** Predictions of records that give none. */
  readonly extra: Places
  /** Predictions of a record that has one already. */
  readonly twice: Places
  /** Records with a prediction and a dead letter. */
  readonly both: Places
  /** Records with a dead letter in place of a prediction. */
  readonly deadLetters: number
  /** Predictions whose flags say that they may differ: how many, how many do, and in what. */
  readonly flagged: { readonly rows: number; readonly differing: number; readonly differences: Findings }
  /** Predictions of records that are deleted by now. */
  readonly deleted: number
  /** Differences that mean nothing: columns that see other partitions without a delay, and windows over deleted records. */
  readonly approximate: Findings
  readonly scores: { readonly compared: number; readonly otherModels: number }
  /** Predictions that saw less than their windows need and do not say so. */
  readonly behind: BehindPredictions
  /** By model name and version: predictions read. */
  readonly models: Readonly<Record<string, number>>
  readonly notCompared: readonly string[]
}

const examplesMax = 5

class PlaceCount implements Places {
  count = 0
  readonly examples: string[] = []
  add(place: string): void {
    this.count++
    if (this.examples.length < examplesMax) this.examples.push(place)
  }
}

type MutableFindings = Record<string, Finding>

export class VerifyTally {
  readonly missing = new PlaceCount()
  readonly extra = new PlaceCount()
  readonly twice = new PlaceCount()
  readonly both = new PlaceCount()
  deadLetters = 0
  scored = 0
  otherModels = 0
  deleted = 0
  readonly #notes = new Set<string>()
  readonly #absent = new Map<string, number>()
  readonly #models: Record<string, number> = {}
  readonly #differences: MutableFindings = {}
  readonly #flagged: MutableFindings = {}
  readonly #approximate: MutableFindings = {}
  readonly #wrong = new Set<string>()
  readonly #behind: Behind[] = []
  #behindRows = 0
  #compared = 0
  #flaggedRows = 0
  #flaggedDiffering = 0

  read({ model }: Prediction): void {
    const name = `${model.name} ${model.version}`
    this.#models[name] = (this.#models[name] ?? 0) + 1
  }

  compared(place: string, prediction: Prediction, { wrong, excused, absent }: RowComparison): void {
    this.#compared++
    for (const difference of wrong) this.wrong(place, difference)
    const isFlagged = mayDiffer(prediction)
    if (isFlagged) this.#flaggedRows++
    if (isFlagged && excused.length > 0) this.#flaggedDiffering++
    const findings = isFlagged ? this.#flagged : this.#approximate
    for (const difference of excused) note(findings, place, difference)
    for (const name of absent) this.#absent.set(name, (this.#absent.get(name) ?? 0) + 1)
  }

  wrong(place: string, difference: Difference): void {
    this.#wrong.add(place)
    note(this.#differences, place, difference)
  }

  /** Whether the prediction saw what its windows need. */
  seen(prediction: Pick<Behind, 'place' | 'id'>, lacks: readonly Lack[]): void {
    if (lacks.length > 0) this.#behindRows++
    for (const lack of lacks) {
      if (this.#behind.length < examplesMax) this.#behind.push({ ...prediction, ...lack })
    }
  }

  /** Something that could not be compared, and why. */
  notCompared(what: string): void {
    this.#notes.add(what)
  }

  get report(): VerifyReport {
    const { missing, extra, twice, both } = this
    const found = [missing, extra, twice, both].some(({ count }) => count > 0)
    return {
      differs: found || this.#behindRows > 0 || this.#wrong.size > 0,
      compared: this.#compared,
      wrong: this.#wrong.size,
      differences: this.#differences,
      missing: plain(missing),
      extra: plain(extra),
      twice: plain(twice),
      both: plain(both),
      deadLetters: this.deadLetters,
      flagged: { rows: this.#flaggedRows, differing: this.#flaggedDiffering, differences: this.#flagged },
      deleted: this.deleted,
      approximate: this.#approximate,
      scores: { compared: this.scored, otherModels: this.otherModels },
      behind: { count: this.#behindRows, examples: this.#behind },
      models: this.#models,
      notCompared: [...this.#notes, ...this.#absences()],
    }
  }

  /** Columns absent from as many predictions are absent for one reason: they are named together. */
  #absences(): string[] {
    const byCount = Map.groupBy(this.#absent, ([, count]) => count)
    return [...byCount].map(([count, columns]) => {
      const names = columns.map(([name]) => name)
      const shown = names.length > namesMax ? `${names.length} columns` : names.join(', ')
      return `${shown}: not in ${count} of ${this.#compared} predictions (sinks.predictions.include: [features, values])`
    })
  }
}

const namesMax = 8

function note(
  findings: MutableFindings,
  place: string,
  { what, published, recomputed, by }: Difference,
): void {
  const before = findings[what]
  const largest = Math.max(before?.largest ?? -Infinity, Number.isNaN(by) ? -Infinity : by)
  const isLarger = before === undefined || largest > (before.largest ?? -Infinity)
  findings[what] = {
    rows: (before?.rows ?? 0) + 1,
    largest: Number.isFinite(largest) ? largest : null,
    example: isLarger ? { place, published, recomputed } : before.example,
  }
}

function plain({ count, examples }: Places): Places {
  return { count, examples }
}
