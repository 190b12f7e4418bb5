/** Scores published predictions again, in batches, by the model that the topology names now. */
import { openScorer } from '../../model/onnx-scorer.ts'
import type { Scorer } from '../../model/scorer.ts'
import { MillraceError } from '../../errors.ts'
import { fillRow, inputsOf } from '../../pipeline/matrix.ts'
import type { Prediction } from '../../record/prediction.ts'
import type { Log } from '../../telemetry/log.ts'
import type { Clock } from '../../time/clock.ts'
import type { Plan } from '../../topology/plan.ts'
import { publishedNumber, scoreDifference, type ComparedColumns } from './compare.ts'
import type { VerifyTally } from './tally.ts'

export interface ScoreCheck {
  /** `numbers`: the row as recomputed; null when it may differ from what was scored. */
  add(place: string, prediction: Prediction, numbers: Float64Array | null): Promise<void>
  end(): Promise<void>
  close(): Promise<void>
}

export interface ScoreCheckParts {
  readonly plan: Plan
  readonly columns: ComparedColumns
  readonly tally: VerifyTally
  readonly clock: Clock
  readonly log: Log
  readonly signal: AbortSignal
}

const batchRowsMax = 256

/** Without a usable model nothing is scored, and the report says why. */
export async function openScoreCheck(parts: ScoreCheckParts): Promise<ScoreCheck> {
  const { plan, clock, log, signal, tally } = parts
  try {
    const scorer = await openScorer({ plan: plan.model, clock, log, signal })
    return scoreCheck(parts, scorer)
  } catch (error) {
    if (!(error instanceof MillraceError)) throw error
    tally.notCompared(`scores: ${error.message}`)
    return { add: () => Promise.resolve(), end: () => Promise.resolve(), close: () => Promise.resolve() }
  }
}

function scoreCheck({ plan, columns, tally }: ScoreCheckParts, scorer: Scorer): ScoreCheck {
  const inputs = inputsOf(plan, scorer)
  const { width } = scorer
  let waiting: { readonly place: string; readonly score: number }[] = []
  let rows = new Float32Array(batchRowsMax * width)

  const flush = async (): Promise<void> => {
    if (waiting.length === 0) return
    const batch = waiting
    const full = rows.slice(0, batch.length * width)
    waiting = []
    rows = new Float32Array(batchRowsMax * width)
    const { scores } = await scorer.score(full, batch.length)
    for (const [i, { place, score }] of batch.entries()) {
      const difference = scoreDifference(score, scores[i]!)
      if (difference !== null) tally.wrong(place, difference)
    }
    tally.scored += batch.length
  }
  return {
    async add(place, prediction, numbers) {
      if (prediction.model.digest !== scorer.identity.digest) {
        tally.otherModels++
        return
      }
      // What was published is what was scored, so a wrong feature does not make the score wrong too.
      const scored = publishedInputs(prediction, columns, inputs) ?? numbers
      if (scored === null) {
        tally.notCompared('scores of rows whose inputs are neither published nor the same twice')
        return
      }
      const problem = fillRow(rows, waiting.length * width, scored, inputs)
      if (problem !== null) {
        tally.wrong(place, { what: 'score', published: prediction.score, recomputed: null, by: NaN })
        return
      }
      waiting.push({ place, score: prediction.score })
      if (waiting.length >= batchRowsMax) await flush()
    },
    end: flush,
    close: () => scorer.close(),
  }
}

/** In the order of the columns; null when the prediction lacks one of the model's inputs. */
function publishedInputs(
  prediction: Prediction,
  columns: ComparedColumns,
  inputs: ReturnType<typeof inputsOf>,
): Float64Array | null {
  const numbers = new Float64Array(columns.names.length).fill(NaN)
  for (const { name, column } of inputs) {
    const number = publishedNumber(prediction, name, columns)
    if (number === undefined) return null
    numbers[column] = number ?? NaN
  }
  return numbers
}
