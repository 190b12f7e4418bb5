import { expect, test } from 'vitest'
import { createMetrics } from '../../../src/telemetry/metrics.ts'
import {
  compatibilityText,
  reportPartitions,
  type PartitionReading,
} from '../../../src/telemetry/partition-reading.ts'

const reading = (change: Partial<PartitionReading>): PartitionReading => ({
  topic: 'card',
  partition: 0,
  position: 100,
  lagRecords: 5,
  lagStableRecords: 4,
  heldBackMs: 2000,
  lagMs: 1500,
  status: 'ok',
  ...change,
})

test('readings become gauges in seconds and records', async () => {
  const { metrics, registry } = createMetrics()
  reportPartitions(metrics, [reading({}), reading({ partition: 1, status: 'stalled' })])
  const text = await registry.metrics()
  expect(text).toContain('millrace_consumer_lag_records{topic="card",partition="0"} 5')
  expect(text).toContain('millrace_consumer_lag_stable_records{topic="card",partition="0"} 4')
  expect(text).toContain('millrace_consumer_held_back_seconds{topic="card",partition="0"} 2')
  expect(text).toContain('millrace_consumer_lag_seconds{topic="card",partition="0"} 1.5')
  expect(text).toContain('millrace_partition_status{topic="card",partition="1"} 5')
  expect(text).toContain('millrace_assigned_partitions 2')
})

test('a partition that was taken away leaves no series behind', async () => {
  const { metrics, registry } = createMetrics()
  reportPartitions(metrics, [reading({}), reading({ partition: 1 })])
  reportPartitions(metrics, [reading({ partition: 1 })])
  expect(await registry.metrics()).not.toContain('partition="0"')
})

test('what is unknown is absent, not zero', async () => {
  const { metrics, registry } = createMetrics()
  reportPartitions(metrics, [
    reading({ lagRecords: null, lagStableRecords: null, heldBackMs: null, lagMs: null, status: null }),
  ])
  expect(await registry.metrics()).not.toContain('topic="card"')
})

test('the compatibility page has the names and labels that dashboards query', async () => {
  const text = await compatibilityText('fraud', [
    reading({}),
    reading({ partition: 1, lagRecords: 7, lagMs: 9000 }),
  ])
  const samples = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'))
  expect(samples).toEqual([
    'kafka_consumergroup_lag{consumergroup="fraud",topic="card",partition="0"} 5',
    'kafka_consumergroup_lag{consumergroup="fraud",topic="card",partition="1"} 7',
    'kafka_consumergroup_lag_sum{consumergroup="fraud",topic="card"} 12',
    'kafka_consumergroup_current_offset{consumergroup="fraud",topic="card",partition="0"} 100',
    'kafka_consumergroup_current_offset{consumergroup="fraud",topic="card",partition="1"} 100',
    'kafka_consumergroup_group_lag_seconds{group="fraud",topic="card",partition="0"} 1.5',
    'kafka_consumergroup_group_lag_seconds{group="fraud",topic="card",partition="1"} 9',
    'kafka_consumergroup_group_max_lag_seconds{group="fraud"} 9',
  ])
})
