import { describe, expect, test } from 'vitest'
import { alertId } from '../../../src/decide/alert-id.ts'
import { createAlert, createPrediction, type ScoredEvent } from '../../../src/decide/prediction.ts'

const position = { topic: 'card.transactions', partition: 3, offset: 17 }

const scored: ScoredEvent = {
  event: {
    id: 'tx-1',
    key: 'c00001',
    time: 1_752_000_000_000,
    fields: {},
    raw: { ...position, timestamp: 0, key: Buffer.from('c00001'), value: Buffer.from('{}'), headers: [] },
  },
  score: 0.9,
  scoredAt: 1_752_000_000_042,
  decision: 'review',
  model: { name: 'card-fraud', version: '1', digest: 'sha256:00' },
  flags: ['late'],
  watermarks: null,
}

describe('a prediction', () => {
  test('has its fields in the published order, and only those that apply', () => {
    expect(JSON.stringify(createPrediction(scored))).toBe(
      '{"id":"tx-1","key":"c00001","occurredAt":1752000000000,"scoredAt":1752000000042,"score":0.9,' +
        '"decision":"review","model":{"name":"card-fraud","version":"1","digest":"sha256:00"},"flags":["late"],' +
        '"position":{"topic":"card.transactions","partition":3,"offset":17}}',
    )
    const full = createPrediction({
      ...scored,
      features: { a: 1 },
      values: { b: 2 },
      watermarks: { 'l:0': 5 },
      entityWatermarks: { device: { 'l:0': 7 } },
      behind: { 'l:0': 3 },
    })
    expect(Object.keys(full).slice(-6)).toEqual([
      'position',
      'features',
      'values',
      'watermarks',
      'entityWatermarks',
      'behind',
    ])
  })

  test('has null where a feature or value is missing', () => {
    const prediction = createPrediction({
      ...scored,
      features: { seen: 1.5, missing: NaN, absent: null },
      values: { endless: Infinity },
    })
    expect(prediction.features).toEqual({ seen: 1.5, missing: null, absent: null })
    expect(prediction.values).toEqual({ endless: null })
  })
})

describe('an alert', () => {
  const grounds = {
    incarnation: 'a1b2c3d4',
    rules: [{ id: 'model-score', severity: 'high' as const }],
    severity: 'high' as const,
    reasons: [{ feature: 'f', value: 2, baseline: 1, effect: 0.3 }],
  }

  test('is the prediction and its own fields behind it; alerts of one key are one case', () => {
    const prediction = createPrediction(scored)
    const alert = createAlert(prediction, grounds)
    expect(alert).toMatchObject(prediction)
    expect(Object.keys(alert)).toEqual([
      ...Object.keys(prediction),
      'alertId',
      'severity',
      'rules',
      'reasons',
      'caseKey',
    ])
    expect(alert.caseKey).toBe('c00001')
    expect(alert.alertId).toBe(alertId('a1b2c3d4', position))
  })

  test('has the same id when a transaction is retried, and another one for every position and incarnation', () => {
    const ids = [
      alertId('a', { topic: 't', partition: 1, offset: 11 }),
      alertId('a', { topic: 't', partition: 1, offset: 12 }),
      alertId('a', { topic: 't', partition: 11, offset: 1 }),
      alertId('a', { topic: 't1', partition: 1, offset: 11 }),
      alertId('b', { topic: 't', partition: 1, offset: 11 }),
    ]
    expect(new Set(ids).size).toBe(ids.length)
    expect(ids[0]).toBe(alertId('a', { topic: 't', partition: 1, offset: 11 }))
    // published: alert ids of a running system must survive an upgrade
    expect(alertId('a1b2c3d4', position)).toBe('1133474720123702b1766cbb47e3fa4e')
  })
})
