import type { Case } from './cases.ts'
import { simulate, type Sabotage } from './world.ts'

export interface ShrinkOptions {
  readonly sabotage?: Sabotage
  /** Told how many runs it took. */
  readonly done?: (runs: number) => void
}

/** Runs that making one case smaller may take. */
const runsMax = 1_500

/**
 * The smallest case found that breaks the same invariant: fewer faults, fewer records, plainer settings. Returns the case as it was when it does not fail again.
 */
export async function shrink(which: Case, options: ShrinkOptions = {}): Promise<Case> {
  let runs = 0
  const common = { keep: 0, ...(options.sabotage ? { sabotage: options.sabotage } : {}) }
  const first = await simulate({ ...which, ...common })
  const wanted = kindOf(first.violations)
  const fails = async (candidate: Case): Promise<boolean> => {
    if (runs++ >= runsMax) return false
    const { violations } = await simulate({ ...candidate, ...common })
    return violations.length > 0 && kindOf(violations) === wanted
  }
  let smallest: Case = { ...which, faults: first.faults, events: first.events }
  if (wanted === '' || !(await fails(smallest))) return which
  for (let size = Infinity; size > sizeOf(smallest);) {
    size = sizeOf(smallest)
    smallest = await plainer(smallest, fails)
    const faults = await fewer(smallest.faults ?? [], (kept) => fails({ ...smallest, faults: kept }))
    smallest = { ...smallest, faults }
    const events = await fewer(smallest.events ?? [], (kept) => fails({ ...smallest, events: kept }))
    smallest = { ...smallest, events }
  }
  options.done?.(runs)
  return smallest
}

/** `I5` of `I5: part …`. */
function kindOf(violations: readonly string[]): string {
  return violations[0]?.split(':')[0] ?? ''
}

function sizeOf({ faults = [], events = [], settings = {}, calm }: Case): number {
  return (faults.length + events.length) * 100 - Object.keys(settings).length - (calm ? 1 : 0)
}

const simpler: readonly Partial<Case>[] = [
  { depth: 1 },
  { calm: true },
  { settings: { buckets: 1 } },
  { settings: { reasons: false } },
  { settings: { alignMs: 0 } },
  { settings: { terminalDelayMs: 0 } },
  { settings: { appends: false } },
  { settings: { orderedReplies: true } },
  { settings: { cacheMaxBytes: 1e9 } },
  { settings: { unflushedRowsMax: 10_000 } },
  { settings: { unflushedAgeMaxMs: 10_000 } },
  { settings: { outageMaxMs: 86_400_000 } },
  { settings: { transactionTimeoutMs: 1_500 } },
  { settings: { lullMs: 0 } },
  { settings: { late: 'score' } },
  { settings: { start: 'earliest' } },
  { settings: { rowsPerTransactionMax: 1 } },
]

async function plainer(which: Case, fails: (candidate: Case) => Promise<boolean>): Promise<Case> {
  let plain = which
  for (const { settings, ...rest } of simpler) {
    const candidate = { ...plain, ...rest, settings: { ...plain.settings, ...settings } }
    if (JSON.stringify(candidate) !== JSON.stringify(plain) && (await fails(candidate))) plain = candidate
  }
  return plain
}

/** Delta debugging: leaves out halves, then quarters, and so on down to single ones. */
async function fewer<T>(
  all: readonly T[],
  fails: (kept: readonly T[]) => Promise<boolean>,
): Promise<readonly T[]> {
  let kept = all
  for (let size = Math.ceil(kept.length / 2); size >= 1; size = size === 1 ? 0 : Math.ceil(size / 2)) {
    for (let from = 0; from < kept.length;) {
      const without = [...kept.slice(0, from), ...kept.slice(from + size)]
      if (await fails(without)) kept = without
      else from += size
    }
  }
  return kept
}
