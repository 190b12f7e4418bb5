/**
 * Proves that the score of a row is its own: rows are scored alone, then with others, and every difference beyond rounding
 * is found. A model that mixes rows would answer by chance, and nobody would notice.
 */
import type { ModelFileFacts } from '../onnx/model-file.ts'
import type { RunFailed } from '../onnx/protocol.ts'
import { dependenceCause } from './causes.ts'
import type { PoolWorker } from './pool.ts'
import type { RowBlock } from './sample-rows.ts'

/** A row that can be scored, and its score alone. */
export interface LoneRow {
  readonly row: Float32Array
  readonly score: number
  readonly isGolden: boolean
  /** The largest difference that is rounding. */
  readonly tolerance: number
}

/**
 * Other sizes of a batch use other kernels, which add up in another order. Of 35 models (forests, boosted trees, linear,
 * kernel and recurrent ones, networks, statically quantised ones) the largest difference was 1.4e-5 of the largest score of
 * such rows, and 30 of them had none; of quantised dynamically ones it was 0.5. Numbers of 16 bits are rounded as often as
 * they are stored.
 */
const relativeTolerance = { float: 5e-4, half: 2e-2 }
/** Below this share of the largest score of all, as far out in the tail of an exponential, nothing is exact. */
const absoluteShare = 1e-2

/** Tolerances of rows that were scored alone; `scores[i]` null where a row cannot be scored. */
export function loneRows(
  blocks: readonly RowBlock[],
  scores: readonly (number | null)[],
  { halfPrecision }: Pick<ModelFileFacts, 'halfPrecision'>,
  goldenTolerance: number,
): LoneRow[] {
  const relative = halfPrecision ? relativeTolerance.half : relativeTolerance.float
  const largest = (some: readonly (number | null)[]): number =>
    Math.max(0, ...some.map((score) => Math.abs(score ?? 0)))
  const floor = relative * absoluteShare * largest(scores)
  let at = 0
  return blocks.flatMap(({ kind, rows }) => {
    const own = scores.slice(at, (at += rows.length))
    const rounding = Math.max(floor, relative * largest(own))
    const isGolden = kind === 'golden'
    const tolerance = isGolden ? Math.max(rounding, goldenTolerance) : rounding
    return rows.flatMap((row, i) => {
      const score = own[i] ?? null
      return score === null ? [] : [{ row, score, isGolden, tolerance }]
    })
  })
}

/** The batches in which rows are scored again, smallest first: rows like each other, some far apart, all of them, each twice. */
export function neighbourhoods(rows: readonly LoneRow[]): readonly (readonly LoneRow[])[] {
  const reversed = rows.toReversed()
  const near = 5
  return [
    rows.slice(0, 2),
    ...rows.flatMap((_, i) => (i % near === 0 ? [rows.slice(i, i + near)] : [])),
    ...[3, 7].map((step) => rows.filter((_, i) => i % step === 1)),
    reversed,
    rows.flatMap((row) => [row, row]),
  ].filter(({ length }) => length > 1)
}

/** Collects rows whose score changed with their company. */
export class RowsApart {
  readonly #changed = new Set<LoneRow>()
  readonly #tried: number
  #worst: { readonly row: LoneRow; readonly score: number; readonly batch: number } | null = null

  constructor(tried: number) {
    this.#tried = tried
  }

  compare(batch: readonly LoneRow[], scores: Float64Array): void {
    for (const [i, row] of batch.entries()) {
      const score = scores[i]!
      const by = Math.abs(score - row.score)
      if (by <= row.tolerance) continue
      this.#changed.add(row)
      const worst = this.#worst
      if (
        worst === null ||
        by / row.tolerance > Math.abs(worst.score - worst.row.score) / worst.row.tolerance
      )
        this.#worst = { row, score, batch: batch.length }
    }
  }

  /** What is wrong, or null. Rounding may tip one row over an edge of a tree; two rows at once are no accident. */
  problem(facts: ModelFileFacts): string | null {
    const worst = this.#worst
    if (worst === null || this.#changed.size < Math.min(2, this.#tried)) return null
    const { row, score, batch } = worst
    const what = row.isGolden ? 'a golden row' : `the row [${shown(row.row)}]`
    return (
      `the score of a row depends on the rows beside it, or on chance: ${this.#changed.size} of ${this.#tried} sample rows ` +
      `changed their score, most of all ${what}, which scores ${row.score} alone and ${score} in a batch of ${batch}. ` +
      dependenceCause(facts)
    )
  }
}

export async function scoreTogether(
  worker: PoolWorker,
  rows: readonly LoneRow[],
): Promise<Float64Array | RunFailed> {
  const reply = await worker.run(flat(rows.map(({ row }) => row)), rows.length)
  return reply.kind === 'scored' ? reply.scores : reply
}

function flat(rows: readonly Float32Array[]): Float32Array<ArrayBuffer> {
  const width = rows[0]!.length
  const all = new Float32Array(rows.length * width)
  for (const [i, row] of rows.entries()) all.set(row, i * width)
  return all
}

const valuesShownMax = 6

function shown(row: Float32Array): string {
  const values = [...row.subarray(0, valuesShownMax)].map((value) => String(Number(value.toPrecision(4))))
  return values.join(', ') + (row.length > valuesShownMax ? ', …' : '')
}
