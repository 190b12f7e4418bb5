/** Which rows are written, and what to say when few or no labels or rows came out. */
import type { PredictionFlag } from '../record/prediction.ts'
import type { LabelCounts, LabelField } from '../service/label-field.ts'
import type { ReplayedRow, ReplaySummary } from '../service/replay.ts'
import type { Log } from '../telemetry/log.ts'

export interface RowChoice {
  readonly labels: LabelField | null
  readonly asOf: number
  readonly from: number
  readonly to: number
  readonly without?: readonly PredictionFlag[]
}

export class RowTally {
  rows = 0
  labelled = 0
  readonly flagged: Record<string, number> = {}
  #inTime = 0
  #firstMs = Infinity
  #lastMs = -Infinity
  #sampleId: string | null = null
  readonly #choice: RowChoice

  constructor(choice: RowChoice) {
    this.#choice = choice
  }

  /** Whether the row is to be written; counts it. */
  takes(row: ReplayedRow): boolean {
    const { from, to, without = [] } = this.#choice
    this.#firstMs = Math.min(this.#firstMs, row.time)
    this.#lastMs = Math.max(this.#lastMs, row.time)
    if (row.time < from || row.time >= to) return false
    this.#inTime++
    for (const flag of row.flags) this.flagged[flag] = (this.flagged[flag] ?? 0) + 1
    if (row.flags.some((flag) => without.includes(flag))) return false
    this.rows++
    this.#sampleId ??= row.id
    if (row.label !== null) this.labelled++
    return true
  }

  warn(summary: ReplaySummary, log: Log): void {
    if (this.rows === 0) {
      log.warn({ rows: 0 }, `no row was written: ${this.#whyNoRows(summary)}`)
      return
    }
    const { labels } = this.#choice
    if (labels === null || summary.labels === null || this.labelled > 0) return
    const why = whyNoLabels(summary.labels, labels, this.#choice.asOf, this.#sampleId)
    log.warn({ labelled: 0, rows: this.rows }, `0 of ${this.rows} rows have a label: ${why}`)
  }

  #whyNoRows({ scored, rejected }: ReplaySummary): string {
    const { from, to, without = [] } = this.#choice
    if (scored === 0 && rejected === 0) return 'the topics of the sources hold no records'
    if (scored === 0) {
      return `the scored source holds no valid event, and ${rejected} records were refused; see \`millrace dlq ls\``
    }
    if (this.#inTime > 0)
      return `all ${this.#inTime} rows in this time carry a flag of --without (${without.join(', ')})`
    const asked = [
      ...(Number.isFinite(from) ? [`--from ${iso(from)}`] : []),
      ...(Number.isFinite(to) ? [`--to ${iso(to)}`] : []),
    ]
    return `the event times of all ${scored} events are from ${iso(this.#firstMs)} to ${iso(this.#lastMs)}, outside ${asked.join(' ')}`
  }
}

function whyNoLabels(
  { records, rejected, later, without, ids, sampleId }: LabelCounts,
  { source, field }: LabelField,
  asOf: number,
  rowId: string | null,
): string {
  if (records === 0) return `the topic of ${source} is empty`
  if (later === records)
    return `all ${records} records of ${source} were published at or after --as-of ${iso(asOf)}`
  if (ids > 0) {
    return `${ids} labels of ${source} have other ids: theirs are like ${sampleId}, those of the rows like ${rowId}; the id of a label is that of the event it labels`
  }
  if (rejected === records - later) return `none of the ${rejected} records of ${source} is a valid event`
  return `${field} is absent or null in all ${without} events of ${source}`
}

function iso(time: number): string {
  return new Date(time).toISOString()
}
