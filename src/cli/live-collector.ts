import type { CommittedSlice } from '../pipeline/observer.ts'
import type { PartitionReading } from '../telemetry/partition-reading.ts'
import { difference, quantile, Series, type SeriesSnapshot } from '../telemetry/distribution.ts'
import type { LiveAlert, LivePartition, LiveState } from './live-state.ts'

const secondsShown = 120
const alertsKept = 20
/** Quantiles are taken over this many seconds. */
const latencyWindowSeconds = 10

/** 12 % apart from 0.5 ms to 2 minutes: enough for a p99 on a screen. */
const bounds = Float64Array.from({ length: 110 }, (_, i) => 0.0005 * 1.12 ** i)

/** Gathers what the live view shows from committed slices. */
export class LiveCollector {
  readonly #liveFrom: () => number
  readonly #latency = new Series(bounds)
  #snapshots: SeriesSnapshot[] = []
  #perSecond: number[] = []
  #second = 0
  #alerts: LiveAlert[] = []
  predictions = 0
  alerts = 0
  deadLetters = 0
  /** Predictions and dead letters of events whose record timestamp is at or after `liveFrom`. */
  live = 0

  /** Latency counts only records from `liveFrom` (epoch ms) on: history is read long after its time. */
  constructor(liveFrom: () => number) {
    this.#liveFrom = liveFrom
  }

  readonly committed = (slice: CommittedSlice): void => {
    const from = this.#liveFrom()
    this.predictions += slice.predictions
    this.alerts += slice.alerts.length
    this.deadLetters += slice.rejects.length
    for (const timestamp of slice.timestamps) {
      if (timestamp < from) continue
      this.live++
      this.#latency.observe(Math.max(0, slice.acknowledgedAt - timestamp) / 1000)
    }
    this.#second += slice.predictions
    for (const alert of slice.alerts) {
      this.#alerts.unshift({
        occurredAt: alert.occurredAt,
        id: alert.id,
        key: alert.key,
        score: alert.score,
        severity: alert.severity,
        rules: alert.rules.map(({ id }) => id),
        reasons: alert.reasons,
      })
    }
    this.#alerts = this.#alerts.toSorted((a, b) => b.occurredAt - a.occurredAt).slice(0, alertsKept)
  }

  /** Call once a second. */
  tick(): void {
    this.#perSecond = [...this.#perSecond, this.#second].slice(-secondsShown)
    this.#second = 0
    this.#snapshots = [...this.#snapshots, this.#latency.snapshot()].slice(-latencyWindowSeconds)
  }

  /** Over everything live so far; null before the first. */
  latencyOfAll(): LiveState['latency'] {
    return quantiles(this.#latency.snapshot())
  }

  state(): Pick<LiveState, 'eventsPerSecond' | 'latency' | 'totals' | 'alerts'> {
    const now = this.#latency.snapshot()
    const oldest = this.#snapshots[0]
    return {
      eventsPerSecond: this.#perSecond,
      latency: quantiles(oldest === undefined ? now : difference(now, oldest)),
      totals: { predictions: this.predictions, alerts: this.alerts, deadLetters: this.deadLetters },
      alerts: this.#alerts,
    }
  }
}

function quantiles(snapshot: SeriesSnapshot): LiveState['latency'] {
  const p50 = quantile(snapshot, 0.5)
  const p99 = quantile(snapshot, 0.99)
  return p50 === null || p99 === null ? null : { p50Ms: p50 * 1000, p99Ms: p99 * 1000 }
}

/** Partitions as the live view shows them. */
export function livePartitions(
  tasks: readonly { readonly status: string }[],
  readings: readonly PartitionReading[],
): readonly LivePartition[] {
  return readings.map((reading, index) => ({
    topic: reading.topic,
    partition: reading.partition,
    status: tasks[index]?.status ?? 'unknown',
    lagRecords: reading.lagRecords,
    lagMs: reading.lagMs,
  }))
}
