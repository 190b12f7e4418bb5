/** `millrace verify`: what was published, recomputed from the log. */
import { waitForBroker } from '../../kafka/wait-for-broker.ts'
import { scoredSource } from '../../pipeline/partition-context.ts'
import type { Prediction } from '../../record/prediction.ts'
import type { Log } from '../../telemetry/log.ts'
import type { Clock } from '../../time/clock.ts'
import type { Plan } from '../../topology/plan.ts'
import { placeText } from '../dead-letters/dead-letter.ts'
import { readReplay, type ReplayedRow } from '../replay.ts'
import { choosesKey, choosesTime, type VerifyChoice } from './choice.ts'
import {
  approximateColumns,
  compareRow,
  lackingUnflagged,
  mayDiffer,
  type ComparedColumns,
} from './compare.ts'
import { readEvidence, type Evidence } from './evidence.ts'
import { openScoreCheck, type ScoreCheck } from './scores.ts'
import { VerifyTally, type VerifyReport } from './tally.ts'

export interface VerifyOptions {
  readonly plan: Plan
  readonly choice: VerifyChoice
  readonly clock: Clock
  readonly log: Log
}

/** Reads outputs first, then the log to its end: every prediction's record is in it. */
export async function verify(options: VerifyOptions, signal: AbortSignal): Promise<VerifyReport> {
  const { plan, clock, log } = options
  await waitForBroker({ plan: plan.kafka, clock, log, startWaitMs: plan.limits.startWaitMs, signal })
  const evidence = await readEvidence(options, signal)
  const tally = new VerifyTally()
  const columns = comparedColumns(plan, evidence.partitions)
  const scores = await openScoreCheck({ plan, columns, tally, clock, log, signal })
  try {
    const left = new Map(evidence.predictions)
    for (const predictions of left.values()) for (const one of predictions) tally.read(one)
    const verifier = new RowVerifier(options, evidence, columns, tally, scores, left)
    const replay = { plan, clock, log, labels: null, asOf: Infinity, tellsLacks: true }
    await readReplay(replay, (row) => verifier.take(row), signal)
    await scores.end()
    for (const [place, predictions] of left) {
      const { partition, offset } = predictions[0]!.position
      if (offset < (evidence.logStart.get(partition) ?? 0)) tally.deleted += predictions.length
      else tally.extra.add(place)
    }
    noteGaps(options, evidence, tally)
    return tally.report
  } finally {
    await scores.close()
  }
}

function comparedColumns(plan: Plan, scoredPartitions: number): ComparedColumns {
  const { features, featuresSpec } = plan
  return {
    names: features.names,
    values: new Set(featuresSpec.values.map(({ name }) => name)),
    // Of other sources every partition is another's.
    approximate: approximateColumns(featuresSpec, features.mergedReads, (source) =>
      source === featuresSpec.scored ? scoredPartitions : Infinity,
    ),
  }
}

class RowVerifier {
  readonly #options: VerifyOptions
  readonly #evidence: Evidence
  readonly #columns: ComparedColumns
  readonly #tally: VerifyTally
  readonly #scores: ScoreCheck
  /** Predictions whose record has not come yet. */
  readonly #left: Map<string, readonly Prediction[]>
  readonly #topic: string
  readonly #inputsAreExact: boolean
  /** Windows of earlier rows reach records that are deleted. */
  #wholeSinceMs: number | null = null

  constructor(
    options: VerifyOptions,
    evidence: Evidence,
    columns: ComparedColumns,
    tally: VerifyTally,
    scores: ScoreCheck,
    left: Map<string, readonly Prediction[]>,
  ) {
    this.#options = options
    this.#evidence = evidence
    this.#columns = columns
    this.#tally = tally
    this.#scores = scores
    this.#left = left
    this.#topic = scoredSource(options.plan).topic
    const inputs = options.plan.model.inputs.flatMap(({ features }) => features)
    this.#inputsAreExact = !inputs.some((name) => columns.approximate.has(name))
  }

  async take(row: ReplayedRow): Promise<void> {
    this.#wholeSinceMs ??= this.#evidence.isShortened
      ? row.time + this.#options.plan.features.horizonMs
      : -Infinity
    const place = placeText({ topic: this.#topic, partition: row.partition, offset: row.offset })
    const predictions = this.#left.get(place)
    this.#left.delete(place)
    const isLetter = this.#evidence.deadLetters.has(place)
    if (predictions === undefined) {
      this.#unpredicted(row, place, isLetter)
      return
    }
    if (isLetter) this.#tally.both.add(place)
    for (const _ of predictions.slice(1)) this.#tally.twice.add(place)
    for (const prediction of predictions) await this.#compare(row, place, prediction)
  }

  #unpredicted(row: ReplayedRow, place: string, isLetter: boolean): void {
    const { choice } = this.#options
    if (!choosesKey(choice, row.key) || !choosesTime(choice, row.time)) return
    if (isLetter) this.#tally.deadLetters++
    else if (!this.#evidence.isCut && this.#evidence.isDone(row.partition, row.offset))
      this.#tally.missing.add(place)
  }

  async #compare(row: ReplayedRow, place: string, prediction: Prediction): Promise<void> {
    const reachesDeleted = row.time < (this.#wholeSinceMs ?? -Infinity)
    this.#tally.compared(place, prediction, compareRow(row, prediction, this.#columns, reachesDeleted))
    this.#tally.seen({ place, id: prediction.id }, lackingUnflagged(prediction, row))
    const isExact = this.#inputsAreExact && !reachesDeleted && !mayDiffer(prediction)
    await this.#scores.add(place, prediction, isExact ? row.numbers : null)
  }
}

function noteGaps({ choice }: VerifyOptions, evidence: Evidence, tally: VerifyTally): void {
  const { isCut, unreadable, foreign, isShortened } = evidence
  if (isShortened) tally.notCompared('windows that reach records deleted from the source topics')
  if (isCut) {
    tally.notCompared(
      `more than ${choice.limit} predictions were chosen: the others, and which are missing (raise --limit, or lower --sample)`,
    )
  }
  if (unreadable > 0)
    tally.notCompared(`${unreadable} records of the predictions topic that are no predictions`)
  if (foreign > 0) tally.notCompared(`${foreign} predictions of records of other topics`)
  tally.notCompared('decisions and alerts')
}
