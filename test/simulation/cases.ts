import type { Settings } from './topology.ts'

/** Everything a run depends on. Given again, it gives the same run. */
export interface Case {
  readonly seed: number
  /** Slices between take and commit. */
  readonly depth: number
  /** Instead of what the seed says. */
  readonly settings?: Partial<Settings>
  /** Only these faults, as text (faults.ts); absent: those the seed says. */
  readonly faults?: readonly string[]
  /** Only these records, by id, and the first of every scored input; absent: all. */
  readonly events?: readonly string[]
  /** Chance decides nothing: latencies are the least, fetches are small. */
  readonly calm?: true
}

/** The command that replays a case. */
export function replayCommand(which: Case): string {
  const { seed, depth, ...rest } = which
  return Object.keys(rest).length === 0
    ? `node scripts/simulate-seeds.ts --seed ${seed} --depth ${depth}`
    : `node scripts/simulate-seeds.ts --case '${JSON.stringify(which).replaceAll("'", String.raw`'\''`)}'`
}
