import type { Case } from './cases.ts'
import { differential, type Result } from './run.ts'

/** Runs that making one case smaller may take. */
const runsMax = 800

/** The smallest case found that is red in the same way: fewer features, stops and records. */
export async function shrink(which: Case): Promise<Case> {
  let runs = 0
  const first = await differential(which)
  const wanted = kindOf(first)
  const fails = async (candidate: Case): Promise<boolean> => {
    return runs++ < runsMax && kindOf(await differential(candidate)) === wanted
  }
  if (wanted === '') return which
  const { features, stops, events } = first
  const left = { features, stops, events }
  for (const part of ['features', 'stops', 'events', 'features', 'events'] as const) {
    left[part] = await fewer(left[part], (some) => fails({ ...which, ...left, [part]: some }))
  }
  return { ...which, ...left }
}

/** `replay` of `replay: …`. */
function kindOf({ problems }: Pick<Result, 'problems'>): string {
  return problems[0]?.split(':')[0] ?? ''
}

/** Delta debugging: leaves out halves, then quarters, and so on down to single ones. */
export async function fewer<T>(
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
