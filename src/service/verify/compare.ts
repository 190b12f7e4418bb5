/** One published prediction against its event as recomputed from the log. Pure. */
import type { FeaturesSpec } from '../../features/spec.ts'
import type { Layout } from '../../features/compiled.ts'
import type { Lack } from '../../pipeline/lacking.ts'
import type { Prediction, PredictionFlag } from '../../record/prediction.ts'
import type { ReplayedRow } from '../replay.ts'

export interface RecomputedRow {
  readonly id: string
  readonly key: string
  readonly time: number
  /** In the order of the columns; NaN where missing. */
  readonly numbers: Float64Array
  readonly flags: readonly PredictionFlag[]
}

export interface ComparedColumns {
  /** Values and features, in the order of a row's numbers. */
  readonly names: readonly string[]
  readonly values: ReadonlySet<string>
  /** See what other partitions have flushed by then: live and recomputed they may differ. */
  readonly approximate: ReadonlySet<string>
}

export interface Difference {
  /** A value, a feature, or `id`, `key`, `time`, `flags`, `score`. */
  readonly what: string
  readonly published: string | number | null
  readonly recomputed: string | number | null
  /** NaN where one of them is no number. */
  readonly by: number
}

export interface RowComparison {
  /** What must be the same and is not. */
  readonly wrong: readonly Difference[]
  /** What differs in an approximate column, in a prediction whose flags say that it saw less, or over deleted records. */
  readonly excused: readonly Difference[]
  /** Columns that the prediction does not carry. */
  readonly absent: readonly string[]
}

/** Its windows may have been incomplete, and it says so. */
export function mayDiffer({ flags }: Prediction): boolean {
  return flags.includes('unaligned') || flags.includes('gap')
}

export function compareRow(
  row: RecomputedRow,
  prediction: Prediction,
  columns: ComparedColumns,
  reachesDeleted = false,
): RowComparison {
  const wrong = identityDifferences(row, prediction)
  const excused: Difference[] = []
  const absent: string[] = []
  for (const [i, name] of columns.names.entries()) {
    const published = publishedNumber(prediction, name, columns)
    if (published === undefined) {
      absent.push(name)
      continue
    }
    const recomputed = numberOrNull(row.numbers[i])
    if (isSame(published, recomputed)) continue
    const difference = { what: name, published, recomputed, by: distance(published, recomputed) }
    if (reachesDeleted || columns.approximate.has(name) || mayDiffer(prediction)) excused.push(difference)
    else wrong.push(difference)
  }
  return { wrong, excused, absent }
}

function identityDifferences(row: RecomputedRow, prediction: Prediction): Difference[] {
  const { id, key, occurredAt } = prediction
  const differences: Difference[] = []
  const compare = (what: string, published: string | number, recomputed: string | number): void => {
    if (published !== recomputed) differences.push({ what, published, recomputed, by: NaN })
  }
  compare('id', id, row.id)
  compare('key', key, row.key)
  compare('time', occurredAt, row.time)
  // A rule may be in error as well, of which the log says nothing.
  const told = row.flags.includes('expression-error')
    ? [...flagsOfLog, 'expression-error' as const]
    : flagsOfLog
  compare('flags', flagsAmong(told, prediction.flags), flagsAmong(told, row.flags))
  return differences
}

/** They follow from the log alone; the others say what one process saw. */
const flagsOfLog: readonly PredictionFlag[] = ['late', 'capped']

function flagsAmong(told: readonly PredictionFlag[], flags: readonly PredictionFlag[]): string {
  return flags
    .filter((flag) => told.includes(flag))
    .toSorted()
    .join('|')
}

/** Undefined: the prediction does not carry it. */
export function publishedNumber(
  prediction: Prediction,
  name: string,
  { values }: Pick<ComparedColumns, 'values'>,
): number | null | undefined {
  const group = values.has(name) ? prediction.values : prediction.features
  return group !== undefined && Object.hasOwn(group, name) ? group[name] : undefined
}

function numberOrNull(value: number | undefined): number | null {
  return value === undefined || !Number.isFinite(value) ? null : value
}

/** Fractional sums may be added up in another order after a takeover; counts and whole sums may not differ at all. */
const toleranceRelative = 1e-9

export function isSame(published: number | null, recomputed: number | null): boolean {
  if (published === recomputed) return true
  if (published === null || recomputed === null) return false
  if (Number.isInteger(published) && Number.isInteger(recomputed)) return false
  const size = Math.max(Math.abs(published), Math.abs(recomputed))
  return Math.abs(published - recomputed) <= toleranceRelative * size
}

function distance(one: number | null, other: number | null): number {
  return one === null || other === null ? NaN : Math.abs(one - other)
}

/** Other CPUs and batch sizes round differently in float32. */
const scoreTolerance = 1e-5

export function scoreDifference(published: number, recomputed: number): Difference | null {
  const by = Math.abs(published - recomputed)
  if (by <= scoreTolerance * Math.max(1, Math.abs(published))) return null
  return { what: 'score', published, recomputed, by }
}

/** What the prediction had not read although its windows need it, and does not say; a late one looks back less far. */
export function lackingUnflagged(prediction: Prediction, row: Pick<ReplayedRow, 'lacks'>): readonly Lack[] {
  return mayDiffer(prediction) || prediction.flags.includes('late') ? [] : row.lacks(prediction)
}

/**
 * Columns that see other partitions' events without a delay to wait for, and ratios of such columns: what others have
 * flushed last is good enough for them, so they are not the same twice.
 */
export function approximateColumns(
  { features, scored }: FeaturesSpec,
  mergedReads: readonly Layout[],
  partitionsOf: (source: string) => number,
): ReadonlySet<string> {
  const found = new Set<string>()
  for (const feature of features) {
    if (feature.kind === 'ratio' || feature.delayMs > 0) continue
    const readsOthers = mergedReads.some(
      ({ entity, source }) => entity === feature.over && source === feature.from,
    )
    // One partition has no others.
    if (readsOthers && (feature.from !== scored || partitionsOf(scored) > 1)) found.add(feature.name)
  }
  for (let before = -1; before !== found.size;) {
    before = found.size
    for (const feature of features) {
      if (feature.kind === 'ratio' && (found.has(feature.of) || found.has(feature.to)))
        found.add(feature.name)
    }
  }
  return found
}
