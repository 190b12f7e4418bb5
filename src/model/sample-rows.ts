import type { Baseline, Manifest } from './manifest.ts'
import type { ModelFiles } from './files.ts'
import { goldenRows } from './golden.ts'
import type { ModelInputPlan } from './plan.ts'

/** Rows of one kind and size, with which a model is tried before it serves. */
export interface RowBlock {
  readonly kind: 'golden' | 'trained' | 'made'
  readonly rows: readonly Float32Array[]
}

const goldenRowsMax = 16 // one run each; enough to notice a model that mixes rows
const blockRows = 6
/** One size saturates a sigmoid, another drowns in what it is added to: a dependence shows at some of them. */
const magnitudes = [0.01, 1, 30, 1000] as const

/**
 * Rows that differ: golden ones, others out of what the training saw, and made-up ones of several magnitudes. Always the
 * same for the same model, so a start that worked works again.
 */
export function sampleBlocks(inputs: readonly ModelInputPlan[], files: ModelFiles): RowBlock[] {
  const features = inputs.flatMap((input) => input.features)
  const next = numbersFrom(features.length)
  const block = (kind: RowBlock['kind'], value: (feature: string, row: number) => number): RowBlock => ({
    kind,
    rows: Array.from({ length: blockRows }, (_, row) =>
      Float32Array.from(features, (name) => value(name, row)),
    ),
  })
  const seen = seenInTraining(files)
  const blocks: RowBlock[] = []
  if (files.golden !== null) {
    const { golden } = files
    const count = Math.min(golden.scores.length, goldenRowsMax)
    const flat = goldenRows(inputs, golden)
    const row = (i: number): Float32Array => flat.slice(i * features.length, (i + 1) * features.length)
    blocks.push({ kind: 'golden', rows: Array.from({ length: count }, (_, i) => row(i)) })
  }
  if (seen !== null) blocks.push(block('trained', (name) => seen(name, next())))
  // Whole numbers: what a table is looked up with, and a row of zeros.
  blocks.push(block('made', (_, row) => (row === 0 ? 0 : Math.floor(next() * 4))))
  // Every other row without negative numbers: few features have any.
  for (const magnitude of magnitudes)
    blocks.push(block('made', (_, row) => magnitude * (row % 2 === 0 ? next() : 2 * next() - 1)))
  return blocks
}

/** A value that the training may have seen for a feature; `at` is between 0 and 1. Null when nothing is known of it. */
function seenInTraining({ baseline, manifest }: ModelFiles): ((name: string, at: number) => number) | null {
  if (baseline === null && !manifest?.inputs.some(({ features }) => features.some(({ range }) => range)))
    return null
  return (name, at) => {
    const [low, high] = rangeOf(name, baseline, manifest)
    return low + at * (high - low)
  }
}

function rangeOf(name: string, baseline: Baseline | null, manifest: Manifest | null): [number, number] {
  const described = manifest?.inputs.flatMap(({ features }) => features).find((each) => each.name === name)
  if (described?.range) return described.range
  const edges = baseline?.features[name]?.edges
  if (edges !== undefined) return [edges[0]!, edges.at(-1)!]
  const median = baseline?.medians[name] ?? 0
  return median === 0 ? [0, 1] : [median / 2, median * 2]
}

/** Numbers from 0 to 1, always the same ones (mulberry32). */
function numbersFrom(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}
