/**
 *                 ┌────────────── trouble: memory dropped, taken over again ─────────────┐
 *                 ▼                                                                      │
 *   waiting → claiming → replaying → serving ⇄ paused ─────────────────────────────────→─┤
 *                 │          │          │         │                                      │
 *                 └──────────┴──────────┴─────────┴→ draining → stopped                  │
 *                                    └→ fenced (until a heartbeat is accepted) ──────────┘
 *
 * `failed` is final and stops the process.
 */
export const partitionStatuses = [
  'waiting',
  'claiming',
  'replaying',
  'serving',
  'paused',
  'fenced',
  'draining',
  'stopped',
  'failed',
] as const
export type PartitionStatus = (typeof partitionStatuses)[number]

export const legalMoves: Readonly<Record<PartitionStatus, readonly PartitionStatus[]>> = {
  waiting: ['claiming', 'stopped', 'failed'],
  claiming: ['replaying', 'serving', 'waiting', 'fenced', 'draining', 'stopped', 'failed'],
  replaying: ['serving', 'waiting', 'fenced', 'draining', 'stopped', 'failed'],
  serving: ['paused', 'waiting', 'fenced', 'draining', 'stopped', 'failed'],
  paused: ['serving', 'waiting', 'fenced', 'draining', 'stopped', 'failed'],
  fenced: ['claiming', 'waiting', 'stopped', 'failed'],
  draining: ['waiting', 'fenced', 'stopped', 'failed'],
  stopped: [],
  failed: [],
}
