/** Scenarios of the slice for continuous integration, and how many rounds: all kinds of faults, below 8 minutes on 2 cores. */
export const slice: ReadonlyMap<string, number> = new Map([
  ['kill-anywhere', 2],
  ['kill-after-claim', 1],
  ['kill-in-commit', 2],
  ['kill-before-flush', 2],
  ['sleep-before-commit', 1],
  ['late-flush', 1],
  ['late-produce', 1],
  ['commit-before-claim', 1],
  ['hand-over', 1],
  ['broker-kill', 1],
  ['leader-kill', 1],
  ['redis-flushall', 2],
  ['redis-old-snapshot', 1],
  ['sentinel-failover', 1],
  ['slow-labels', 1],
  ['awkward-records', 1],
  ['model-throws', 1],
])

/** No scenario of the slice starts later; what is left out is named. The longest one takes a minute. */
export const sliceMaxMs = 7 * 60_000
/** A random mix comes on top. */
export const sliceMixMinutes = 1
