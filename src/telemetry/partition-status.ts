/**
 * Verdicts on a partition from its recent past, after Burrow's evaluation rules: no threshold on lag, which would have
 * to be tuned per topic, but what position and lag did over the last readings. Numbers as Burrow exports them.
 */
export const partitionStatusCodes = { ok: 1, warning: 2, stopped: 4, stalled: 5, rewound: 6 } as const
export type PartitionStatus = keyof typeof partitionStatusCodes

/** Readings kept per partition. */
export const observationsMax = 10

export interface PartitionObservation {
  readonly atMs: number
  readonly position: number
  readonly lagRecords: number
  /** When the position was last committed, epoch ms; null: not since the claim. */
  readonly committedAtMs: number | null
}

/** Adds an observation and forgets the oldest beyond the limit. */
export function remember(
  past: readonly PartitionObservation[],
  observation: PartitionObservation,
): readonly PartitionObservation[] {
  return [...past, observation].slice(-observationsMax)
}

/** Judges the observations, oldest first. Fewer than a full set is too little to complain about. */
export function judgePartition(past: readonly PartitionObservation[]): PartitionStatus {
  const first = past[0]
  const last = past[past.length - 1]
  if (!first || !last) return 'ok'
  if (isRewound(past)) return 'rewound'
  if (last.lagRecords === 0 || past.length < observationsMax) return 'ok'
  if (past.some((observation) => observation.lagRecords === 0)) return 'ok'
  if (last.committedAtMs === null || last.committedAtMs < first.atMs) return 'stopped'
  if (last.position === first.position) return 'stalled'
  return lagNeverShrank(past) ? 'warning' : 'ok'
}

/** A position went back and has not reached its old value again. */
function isRewound(past: readonly PartitionObservation[]): boolean {
  let highest = -1
  for (const { position } of past) highest = Math.max(highest, position)
  return past[past.length - 1]!.position < highest
}

function lagNeverShrank(past: readonly PartitionObservation[]): boolean {
  for (let i = 1; i < past.length; i++) {
    if (past[i]!.lagRecords < past[i - 1]!.lagRecords) return false
  }
  return past[past.length - 1]!.lagRecords > past[0]!.lagRecords
}
