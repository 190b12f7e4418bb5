/**
 * What must hold, which check looks at it, and when. Everything is judged from the logs, the committed metadata and what Redis
 * holds, by code that shares nothing with the pipeline but the formats (and for I5 the insertion of events into a part).
 *
 * | | must hold | checked by | when |
 * |---|---|---|---|
 * | I1 | every record in [start, c) gives exactly one of prediction and dead letter, none at or above c | OutputCheck.check; Ledger.commit: no outputs before a start is pinned | every commit |
 * | I2 | an alert belongs to its prediction, none is missing, orphaned or there twice | OutputCheck.#checkAlert | every commit |
 * | I3 | outputs of a partition come in the order of its records | OutputCheck.check | every commit |
 * | I4 | c never goes back within an incarnation, and a new one needs a reason | Ledger.commit, Ledger.#begin | every commit |
 * | I5 | a part is the fold of what its partition has below W and windows can see, without quarantined offsets | StoreCheck.checkParts | every 16th flush, and at the end; in the small world every flush |
 * | I6 | W ≤ c, and nobody saw more of another partition than was committed | StoreCheck.checkWatermark, OutputCheck.#checkPrediction | every flush, every commit |
 * | I7 | the published score is the model's for the features of the log | OutputCheck.#checkNumbers | every commit |
 * | I8 | after the last trouble lag and unflushed changes are gone within a minute, no process stops without a reason, no reader waits behind an open transaction, and a drain ends | World.run, World.#stopped, SmallWorld.#end | the end |
 * | I9 | published features are the oracle's: own ones at the record's offset, merged ones at the stamped watermarks; a gap that matters is flagged | OutputCheck.#checkNumbers | every commit |
 * | I10 | a delayed window saw what stood in the other logs before the event came, or the flag `unaligned` says otherwise | OutputCheck.#checkAligned | every commit |
 * | R1 | the flags `late` and `gap` are a function of the log and the metadata | OutputCheck.#checkPrediction | every commit |
 * | R4 | every commit carries a position with metadata, a start is pinned where it says | Ledger.commit, Ledger.#begin | every commit |
 * | R6 | nobody uses a producer after anything but an acknowledged commit | SimulatedClaim.run | every transaction |
 *
 * sabotage.test.ts shows each of I1 to I10 to be able to fail.
 */
export const invariants = ['I1', 'I2', 'I3', 'I4', 'I5', 'I6', 'I7', 'I8', 'I9', 'I10'] as const

/** The invariants that a violation names: `I1, I3: …`. */
export function invariantsOf(violation: string): readonly string[] {
  return (violation.split(':')[0] ?? '').split(', ')
}
