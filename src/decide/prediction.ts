import type { Event } from '../record/event.ts'
import type {
  Alert,
  AlertRuleHit,
  ModelIdentity,
  Prediction,
  PredictionFlag,
  Reason,
  Severity,
} from '../record/prediction.ts'
import { alertId } from './alert-id.ts'

/** What is known of one scored event. */
export interface ScoredEvent {
  readonly event: Event
  readonly score: number
  /** Wall clock, epoch ms. */
  readonly scoredAt: number
  readonly decision: string
  readonly model: ModelIdentity
  readonly flags: readonly PredictionFlag[]
  /** Absent unless the flags say `unaligned`. */
  readonly behind?: Prediction['behind'] | undefined
  /** Null when no merged feature was computed. */
  readonly watermarks: Readonly<Record<string, number>> | null
  /** Null or absent unless entities saw different offsets. */
  readonly entityWatermarks?: Prediction['entityWatermarks'] | null
  /** Published only when the topology includes them; NaN (missing) becomes null. */
  readonly features?: Readonly<Record<string, number | null>>
  readonly values?: Readonly<Record<string, number | null>>
}

/** The one place where predictions are made. The order of the fields is the order in the published JSON. */
export function createPrediction(scored: ScoredEvent): Prediction {
  const { event, features, values, watermarks, entityWatermarks = null } = scored
  const { topic, partition, offset } = event.raw
  return {
    id: event.id,
    key: event.key,
    occurredAt: event.time,
    scoredAt: scored.scoredAt,
    score: scored.score,
    decision: scored.decision,
    model: scored.model,
    flags: scored.flags,
    position: { topic, partition, offset },
    ...(features === undefined ? null : { features: withoutNaN(features) }),
    ...(values === undefined ? null : { values: withoutNaN(values) }),
    ...(watermarks === null ? null : { watermarks }),
    ...(entityWatermarks === null ? null : { entityWatermarks }),
    ...(scored.behind === undefined ? null : { behind: scored.behind }),
  }
}

export interface AlertGrounds {
  readonly incarnation: string
  readonly rules: readonly AlertRuleHit[]
  readonly severity: Severity
  readonly reasons: readonly Reason[]
}

/** The alert of a prediction: the same fields, then what is an alert's own. Alerts of one event key share a case. */
export function createAlert(prediction: Prediction, grounds: AlertGrounds): Alert {
  return {
    ...prediction,
    alertId: alertId(grounds.incarnation, prediction.position),
    severity: grounds.severity,
    rules: grounds.rules,
    reasons: grounds.reasons,
    caseKey: prediction.key,
  }
}

/** The same record unless something in it has no JSON form. */
function withoutNaN(
  numbers: Readonly<Record<string, number | null>>,
): Readonly<Record<string, number | null>> {
  for (const name in numbers) {
    if (numbers[name] !== null && !Number.isFinite(numbers[name])) {
      return Object.fromEntries(
        Object.entries(numbers).map(([each, value]) => [each, Number.isFinite(value) ? value : null]),
      )
    }
  }
  return numbers
}
