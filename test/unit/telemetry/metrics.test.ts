import { readFile } from 'node:fs/promises'
import { describe, expect, test } from 'vitest'
import { metricsDocument } from '../../../src/telemetry/metrics-doc.ts'
import { createMetrics, metricTable, type MetricEntry } from '../../../src/telemetry/metrics.ts'

const entries = Object.values<MetricEntry>(metricTable)

describe('metric table', () => {
  test('counters end in _total, and nothing else does', () => {
    for (const { name, type } of entries)
      expect([name, name.endsWith('_total')]).toEqual([name, type === 'counter'])
  })

  test('names are unique and durations are in seconds', () => {
    expect(new Set(entries.map(({ name }) => name)).size).toBe(entries.length)
    for (const { name } of entries)
      expect(name).not.toMatch(/_(ms|millis|milliseconds|us|minutes|kb|mb)(_|$)/)
  })

  test('no label names an entity, a user or an event', () => {
    const bounded = new Set(
      'command digest expression model node outcome partition reason result rule severity stage topic version'.split(
        ' ',
      ),
    )
    for (const { name, labels } of entries) {
      expect([name, labels.filter((label) => !bounded.has(label))]).toEqual([name, []])
    }
  })

  test('has every name that operations promise', () => {
    const promised =
      `records_consumed_total records_processed_total stage_duration_seconds event_to_prediction_seconds
      batch_size batch_wait_seconds batch_dispatch_total batch_target_size queue_depth inference_duration_seconds
      model_info alerts_emitted_total transactions_total transaction_duration_seconds dlq_records_total
      rebalances_total assigned_partitions partition_status consumer_lag_records consumer_lag_seconds
      last_commit_timestamp_seconds redis_command_duration_seconds redis_errors_total state_flush_lag_records
      state_rewinds_total cache_hit_ratio schema_decode_failures_total build_info`.split(/\s+/)
    const names = new Set(entries.map(({ name }) => name))
    expect(promised.filter((name) => !names.has(name))).toEqual([])
  })

  test('docs/metrics.md is fresh (node scripts/generate-metrics-doc.ts)', async () => {
    const committed = await readFile(new URL('../../../docs/metrics.md', import.meta.url), 'utf8')
    expect(committed).toBe(metricsDocument())
  })
})

describe('createMetrics', () => {
  test('gives handles that count under the prefixed names', async () => {
    const { metrics, registry } = createMetrics()
    metrics.recordsConsumed.inc({ topic: 'card', partition: '3' }, 250)
    metrics.queueDepth.set(17)
    metrics.stageDuration.of({ stage: 'decode' }).observe(0.002)
    metrics.eventToPrediction.observeAll([4, 40, 400], 1e-3)
    const text = await registry.metrics()
    expect(text).toContain('millrace_records_consumed_total{topic="card",partition="3"} 250')
    expect(text).toContain('millrace_queue_depth 17')
    expect(text).toContain('millrace_stage_duration_seconds_count{stage="decode"} 1')
    expect(text).toContain('millrace_event_to_prediction_seconds_bucket{le="0.05"} 2')
    expect(text).toContain('millrace_event_to_prediction_seconds_bucket{le="+Inf"} 3')
    expect(text).toContain('millrace_event_to_prediction_seconds_sum 0.444')
    expect(text).toContain('# TYPE millrace_event_to_prediction_seconds histogram')
  })

  test('keeps instances apart', async () => {
    const one = createMetrics()
    const other = createMetrics()
    one.metrics.rebalances.inc()
    expect(await one.registry.metrics()).toContain('millrace_rebalances_total 1')
    expect(await other.registry.metrics()).toContain('millrace_rebalances_total 0')
  })

  test("adds Node's metrics when asked", async () => {
    const { registry } = createMetrics({ processMetrics: true })
    expect(await registry.metrics()).toContain('process_resident_memory_bytes')
  })
})
