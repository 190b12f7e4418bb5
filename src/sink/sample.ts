import type { Alert, Prediction } from '../record/prediction.ts'
import type { SinkPlan } from './plan.ts'

/** A prediction with everything it can have. */
export const samplePrediction: Prediction = {
  id: 'tx-00000001',
  key: 'c00001',
  occurredAt: 1_752_000_000_000,
  scoredAt: 1_752_000_000_042,
  score: 0.9731,
  decision: 'decline',
  model: {
    name: 'card-fraud',
    version: '1',
    digest: 'sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08',
  },
  flags: ['late'],
  position: { topic: 'card.transactions', partition: 3, offset: 123_456 },
  features: { customer_count_1d: 14, terminal_risk_7d: null },
  values: { amount: 12.34 },
  watermarks: { 'card.labels:0': 981 },
  entityWatermarks: { device: { 'card.labels:0': 984 } },
  behind: { 'card.labels:0': 12 },
}

export const sampleAlert: Alert = {
  ...samplePrediction,
  alertId: '3f2a9c0d1e4b5a697887766554433221',
  severity: 'high',
  rules: [{ id: 'model-score', severity: 'high' }],
  reasons: [{ feature: 'customer_count_1d', value: 14, baseline: 2, effect: 0.41 }],
  caseKey: 'c00001',
}

/** What a topology with these `include` flags publishes, with and without a merged feature's watermarks. */
export function samplePredictions(include: SinkPlan['predictions']['include']): readonly Prediction[] {
  const { features, values, watermarks, entityWatermarks, behind, ...always } = samplePrediction
  const included = {
    ...always,
    ...(include.features && features ? { features } : null),
    ...(include.values && values ? { values } : null),
  }
  if (watermarks === undefined || entityWatermarks === undefined || behind === undefined) return [included]
  const apart = { ...included, watermarks, entityWatermarks }
  return [included, { ...included, watermarks }, apart, { ...apart, behind }]
}

export function sampleAlerts(include: SinkPlan['predictions']['include']): readonly Alert[] {
  const { alertId, severity, rules, reasons, caseKey } = sampleAlert
  return samplePredictions(include).flatMap((prediction) => [
    { ...prediction, alertId, severity, rules, reasons, caseKey },
    { ...prediction, alertId, severity, rules, reasons: [], caseKey },
  ])
}
