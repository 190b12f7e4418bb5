import { expect, test } from 'vitest'
import { LiveCollector } from '../../../src/cli/live-collector.ts'
import type { CommittedSlice } from '../../../src/pipeline/observer.ts'
import type { Alert } from '../../../src/record/prediction.ts'

function slice(timestamps: number[], acknowledgedAt: number, alerts: readonly Alert[] = []): CommittedSlice {
  return {
    input: { source: 'tx', topic: 'tx', partition: 0 },
    records: timestamps.length,
    predictions: timestamps.length,
    alerts,
    rejects: [],
    flagged: new Map(),
    behind: [],
    timestamps: Float64Array.from(timestamps),
    acknowledgedAt,
    durationsMs: { decode: 0, feature: 0, queue: 0, encode: 0, commit: 0 },
  }
}

function alert(occurredAt: number): Alert {
  return {
    id: `e${occurredAt}`,
    key: 'c',
    occurredAt,
    scoredAt: occurredAt,
    score: 0.9,
    decision: 'review',
    model: { name: 'm', version: '1', digest: 'sha256:0' },
    flags: [],
    position: { topic: 'tx', partition: 0, offset: occurredAt },
    alertId: String(occurredAt),
    severity: 'high',
    rules: [{ id: 'r', severity: 'high' }],
    reasons: [],
    caseKey: 'c',
  }
}

test('latency counts live records only, totals count all', () => {
  const collector = new LiveCollector(() => 1_000)
  collector.committed(slice([10, 20, 30], 5_000))
  expect(collector.state().latency).toBeNull()
  collector.committed(slice([4_990, 4_990], 5_000))
  expect(collector.live).toBe(2)
  expect(collector.state().totals.predictions).toBe(5)
  expect(collector.state().latency?.p50Ms).toBeGreaterThan(8)
  expect(collector.state().latency?.p50Ms).toBeLessThan(13)
})

test('the newest alerts come first, and their number is bounded', () => {
  const collector = new LiveCollector(() => 0)
  collector.committed(slice([1], 2, [alert(5), alert(9), alert(7)]))
  expect(collector.state().alerts.map(({ occurredAt }) => occurredAt)).toEqual([9, 7, 5])
  for (let i = 0; i < 100; i++) collector.committed(slice([1], 2, [alert(100 + i)]))
  expect(collector.state().alerts.length).toBeLessThanOrEqual(20)
  expect(collector.alerts).toBe(103)
})

test('a second is counted once it is over', () => {
  const collector = new LiveCollector(() => 0)
  collector.committed(slice([1, 1], 2))
  expect(collector.state().eventsPerSecond).toEqual([])
  collector.tick()
  collector.committed(slice([1], 2))
  collector.tick()
  collector.tick()
  expect(collector.state().eventsPerSecond).toEqual([2, 1, 0])
})
