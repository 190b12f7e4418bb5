/** Everything a run depends on. Given again, it gives the same run. */
export interface Case {
  readonly seed: number
  /** Scored events, at most. */
  readonly size?: number
  /** Only these records, by id, and the first of every scored partition; absent: all. */
  readonly events?: readonly string[]
  /** Only these features, and what their ratios read; absent: all. */
  readonly features?: readonly string[]
  /** Only these stops of processes, as text; absent: those the seed says. */
  readonly stops?: readonly string[]
}

/** The command that shows a case again. */
export function replayCommand(which: Case): string {
  const { seed, ...rest } = which
  return Object.keys(rest).length === 0
    ? `node scripts/differential-seeds.ts --seed ${seed}`
    : `node scripts/differential-seeds.ts --case '${JSON.stringify(which)}'`
}
