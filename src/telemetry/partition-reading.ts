import { Gauge, Registry } from 'prom-client'
import type { Metrics } from './metrics.ts'
import { partitionStatusCodes, type PartitionStatus } from './partition-status.ts'

/** One owned input partition as the service sees it when somebody asks. */
export interface PartitionReading {
  readonly topic: string
  readonly partition: number
  /** Committed position: offset of the next unconsumed record. */
  readonly position: number
  /** Records to the high watermark; null while unknown. */
  readonly lagRecords: number | null
  /** Records to the last stable offset; null while unknown. */
  readonly lagStableRecords: number | null
  /** How long an open transaction of a producer has held records back, ms; 0: nothing is held back; null while unknown. */
  readonly heldBackMs: number | null
  /** Age of the next unconsumed record, ms; 0 when all is consumed; null while unknown. */
  readonly lagMs: number | null
  readonly status: PartitionStatus | null
}

/**
 * Replaces the per-partition gauges by these readings. Called just before a scrape: only partitions this process
 * owns are there, so sums over instances stay right across rebalances.
 */
export function reportPartitions(metrics: Metrics, readings: readonly PartitionReading[]): void {
  metrics.lagRecords.reset()
  metrics.lagStableRecords.reset()
  metrics.heldBackSeconds.reset()
  metrics.lagSeconds.reset()
  metrics.partitionStatus.reset()
  metrics.assignedPartitions.set(readings.length)
  for (const reading of readings) {
    const labels = { topic: reading.topic, partition: String(reading.partition) }
    if (reading.lagRecords !== null) metrics.lagRecords.set(labels, reading.lagRecords)
    if (reading.lagStableRecords !== null) metrics.lagStableRecords.set(labels, reading.lagStableRecords)
    if (reading.heldBackMs !== null) metrics.heldBackSeconds.set(labels, reading.heldBackMs / 1000)
    if (reading.lagMs !== null) metrics.lagSeconds.set(labels, reading.lagMs / 1000)
    if (reading.status !== null) metrics.partitionStatus.set(labels, partitionStatusCodes[reading.status])
  }
}

/**
 * The names that common lag dashboards query: kafka_exporter's (label `consumergroup`) and kafka-lag-exporter's
 * (label `group`). Off by default: next to one of those exporters every series would count twice.
 */
export const compatibilityNames = [
  'kafka_consumergroup_lag',
  'kafka_consumergroup_lag_sum',
  'kafka_consumergroup_current_offset',
  'kafka_consumergroup_group_lag_seconds',
  'kafka_consumergroup_group_max_lag_seconds',
] as const

/** The compatibility page as text, made anew for every scrape. */
export function compatibilityText(group: string, readings: readonly PartitionReading[]): Promise<string> {
  const registry = new Registry()
  const [lagName, sumName, offsetName, secondsName, maxSecondsName] = compatibilityNames
  const gauge = <L extends string>(name: string, help: string, labelNames: L[]) =>
    new Gauge({ name, help, labelNames, registers: [registry] })
  const lag = gauge(lagName, 'Records behind the high watermark.', ['consumergroup', 'topic', 'partition'])
  const sum = gauge(sumName, 'Records behind, over the partitions of this instance.', [
    'consumergroup',
    'topic',
  ])
  const offset = gauge(offsetName, 'Committed position.', ['consumergroup', 'topic', 'partition'])
  const seconds = gauge(secondsName, 'Age of the next unconsumed record.', ['group', 'topic', 'partition'])
  const maxSeconds = gauge(maxSecondsName, 'Largest age over the partitions of this instance.', ['group'])
  let largestMs = 0
  for (const { topic, partition, position, lagRecords, lagMs } of readings) {
    offset.set({ consumergroup: group, topic, partition }, position)
    if (lagRecords !== null) {
      lag.set({ consumergroup: group, topic, partition }, lagRecords)
      sum.inc({ consumergroup: group, topic }, lagRecords)
    }
    if (lagMs !== null) {
      seconds.set({ group, topic, partition }, lagMs / 1000)
      largestMs = Math.max(largestMs, lagMs)
    }
  }
  maxSeconds.set({ group }, largestMs / 1000)
  return registry.metrics()
}
