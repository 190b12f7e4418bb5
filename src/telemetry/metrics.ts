import { Counter, Gauge, Registry, collectDefaultMetrics } from 'prom-client'
import { Distribution, type Series } from './distribution.ts'

export const metricPrefix = 'millrace_'

export interface MetricEntry {
  /** Without the prefix; base units; counters end in `_total`. */
  readonly name: string
  readonly type: 'counter' | 'gauge' | 'histogram'
  /** Bounded sets only: never an entity, a user, an event or a record key. */
  readonly labels: readonly string[]
  readonly help: string
  readonly buckets?: readonly number[]
}

/** 1 ms to 60 s: a scored event takes tens of milliseconds live, minutes in a backlog. */
const latencyBuckets = [
  0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60,
] as const
/** 50 µs to 2.5 s: a stage of one slice, a Redis command, a model run. */
const workBuckets = [
  0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5,
] as const
/** Powers of two up to the largest batch a topology may ask for by default (2048), and twice that. */
const rowBuckets = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096] as const

/** Every metric of the service. docs/metrics.md is generated from this table. */
export const metricTable = {
  recordsConsumed: {
    name: 'records_consumed_total',
    type: 'counter',
    labels: ['topic', 'partition'],
    help: 'Records taken from the source topics.',
  },
  recordsProcessed: {
    name: 'records_processed_total',
    type: 'counter',
    labels: ['topic', 'outcome'],
    help: 'Records whose outcome is committed. outcome: scored, state, late, dead_letter.',
  },
  stageDuration: {
    name: 'stage_duration_seconds',
    type: 'histogram',
    labels: ['stage'],
    help: 'Time one slice spends in a stage. stage: decode, feature, queue, infer, encode, produce, commit.',
    buckets: workBuckets,
  },
  eventToPrediction: {
    name: 'event_to_prediction_seconds',
    type: 'histogram',
    labels: [],
    help: 'Record timestamp of a scored event to the acknowledged commit of its prediction.',
    buckets: latencyBuckets,
  },
  batchSize: {
    name: 'batch_size',
    type: 'histogram',
    labels: [],
    help: 'Rows scored together.',
    buckets: rowBuckets,
  },
  batchWait: {
    name: 'batch_wait_seconds',
    type: 'histogram',
    labels: [],
    help: 'Time from the arrival of the oldest row of a batch to its dispatch.',
    buckets: workBuckets,
  },
  batchDispatch: {
    name: 'batch_dispatch_total',
    type: 'counter',
    labels: ['reason'],
    help: 'Batches sent to the model, by why they were sent then.',
  },
  batchTargetSize: {
    name: 'batch_target_size',
    type: 'gauge',
    labels: [],
    help: 'Learned cap on the rows of a batch.',
  },
  queueDepth: {
    name: 'queue_depth',
    type: 'gauge',
    labels: [],
    help: 'Rows waiting to be scored.',
  },
  inferenceDuration: {
    name: 'inference_duration_seconds',
    type: 'histogram',
    labels: ['model', 'version'],
    help: 'Time inside the model session, per batch.',
    buckets: workBuckets,
  },
  modelInfo: {
    name: 'model_info',
    type: 'gauge',
    labels: ['model', 'version', 'digest'],
    help: 'Always 1; the model in use.',
  },
  alertsEmitted: {
    name: 'alerts_emitted_total',
    type: 'counter',
    labels: ['rule', 'severity'],
    help: 'Rules that fired in committed alerts (an alert with two rules counts in both).',
  },
  transactions: {
    name: 'transactions_total',
    type: 'counter',
    labels: ['result'],
    help: 'Kafka transactions by end. result: committed, aborted, fenced, unknown.',
  },
  transactionDuration: {
    name: 'transaction_duration_seconds',
    type: 'histogram',
    labels: [],
    help: 'First produce of a transaction to its end.',
    buckets: workBuckets,
  },
  deadLetters: {
    name: 'dlq_records_total',
    type: 'counter',
    labels: ['topic', 'reason'],
    help: 'Committed dead letters by source topic and reason.',
  },
  rebalances: {
    name: 'rebalances_total',
    type: 'counter',
    labels: [],
    help: 'Generations of the consumer group this process has joined.',
  },
  assignedPartitions: {
    name: 'assigned_partitions',
    type: 'gauge',
    labels: [],
    help: 'Input partitions this process owns now.',
  },
  partitionStatus: {
    name: 'partition_status',
    type: 'gauge',
    labels: ['topic', 'partition'],
    help: 'Verdict from the last ten readings: 1 ok, 2 warning (lag only grows), 4 stopped (no commit), 5 stalled (commits without progress), 6 rewound.',
  },
  lagRecords: {
    name: 'consumer_lag_records',
    type: 'gauge',
    labels: ['topic', 'partition'],
    help: 'Committed position to the high watermark; open and aborted transactions and their markers count.',
  },
  lagStableRecords: {
    name: 'consumer_lag_stable_records',
    type: 'gauge',
    labels: ['topic', 'partition'],
    help: 'Committed position to the last stable offset: what a read_committed consumer can take now. Absent while unknown.',
  },
  heldBackSeconds: {
    name: 'consumer_held_back_seconds',
    type: 'gauge',
    labels: ['topic', 'partition'],
    help: 'How long the last stable offset has stood still below the high watermark: an open transaction of a producer holds back what is behind it. 0: nothing is held back. Absent while unknown.',
  },
  lagSeconds: {
    name: 'consumer_lag_seconds',
    type: 'gauge',
    labels: ['topic', 'partition'],
    help: 'Now minus the timestamp of the next unconsumed record; 0 when everything is consumed. Exact, not interpolated.',
  },
  lastCommit: {
    name: 'last_commit_timestamp_seconds',
    type: 'gauge',
    labels: ['topic', 'partition'],
    help: 'Unix time of the last acknowledged commit.',
  },
  redisCommandDuration: {
    name: 'redis_command_duration_seconds',
    type: 'histogram',
    labels: ['command'],
    help: 'Round trip of one call to Redis. command: load, flush, watermarks, other.',
    buckets: workBuckets,
  },
  redisErrors: {
    name: 'redis_errors_total',
    type: 'counter',
    labels: ['command'],
    help: 'Calls to Redis that failed and were retried or handed over.',
  },
  stateFlushLag: {
    name: 'state_flush_lag_records',
    type: 'gauge',
    labels: ['topic', 'partition'],
    help: 'Committed records whose state is not in Redis yet.',
  },
  stateRewinds: {
    name: 'state_rewinds_total',
    type: 'counter',
    labels: ['reason'],
    help: 'Times state was rebuilt by reading the log again, by why.',
  },
  stateDistrusted: {
    name: 'state_distrusted_total',
    type: 'counter',
    labels: ['reason'],
    help: 'Times all stored state was given up and rebuilt from the log, because parts of it were gone. reason: evicted, deleted.',
  },
  redisMayEvict: {
    name: 'redis_may_evict',
    type: 'gauge',
    labels: [],
    help: 'Redis masters whose maxmemory-policy is not noeviction, so that windows may vanish; not ready while it is above 0.',
  },
  redisEvictedKeys: {
    name: 'redis_evicted_keys_total',
    type: 'counter',
    labels: [],
    help: 'Keys that Redis evicted while this process watched, whosever they were. Any one makes all state be rebuilt.',
  },
  cacheHitRatio: {
    name: 'cache_hit_ratio',
    type: 'gauge',
    labels: [],
    help: 'Share of entity look-ups answered from memory since start.',
  },
  schemaDecodeFailures: {
    name: 'schema_decode_failures_total',
    type: 'counter',
    labels: ['topic', 'reason'],
    help: 'Records that could not be decoded or did not match their schema.',
  },
  unalignedEvents: {
    name: 'unaligned_events_total',
    type: 'counter',
    labels: ['topic'],
    help: 'Events scored with flag `unaligned`: other partitions had not caught up within `align`.',
  },
  expressionErrors: {
    name: 'expression_errors_total',
    type: 'counter',
    labels: ['expression'],
    help: 'Runs of an expression that ended in error (not those where a field is only missing), by its place in the topology, such as features.NAME.where; one text in several places counts at the first. After a takeover an event may count again.',
  },
  unalignedBehind: {
    name: 'unaligned_behind_offsets',
    type: 'histogram',
    labels: [],
    buckets: [1, 10, 100, 1_000, 10_000, 100_000, 1_000_000],
    help: 'Of each event with flag `unaligned`: offsets that the partition furthest behind had not read of what was in its log when the event came.',
  },
  buildInfo: {
    name: 'build_info',
    type: 'gauge',
    labels: ['version', 'node'],
    help: 'Always 1; what runs here.',
  },
} as const satisfies Record<string, MetricEntry>

type Table = typeof metricTable
type LabelOf<E extends MetricEntry> = E['labels'][number]
type Handle<E extends MetricEntry> = E['type'] extends 'counter'
  ? Counter<LabelOf<E>>
  : E['type'] extends 'gauge'
    ? Gauge<LabelOf<E>>
    : [LabelOf<E>] extends [never]
      ? Series
      : Distribution<LabelOf<E>>

/**
 * Handles by name of the table. Counters and gauges are prom-client's; a histogram without labels is a `Series`,
 * one with labels gives it by `.of({label})`.
 */
export type Metrics = { readonly [Name in keyof Table]: Handle<Table[Name]> }

export interface CreatedMetrics {
  readonly metrics: Metrics
  readonly registry: Registry
}

/** Metrics of one running instance in a registry of their own. `processMetrics` adds Node's (`process_*`, `nodejs_*`). */
export function createMetrics(
  options: { registry?: Registry; processMetrics?: boolean } = {},
): CreatedMetrics {
  const registry = options.registry ?? new Registry()
  if (options.processMetrics) collectDefaultMetrics({ register: registry })
  const metrics = Object.fromEntries(
    Object.entries(metricTable).map(([handle, entry]) => [handle, createMetric(entry, registry)]),
  )
  return { metrics: metrics as unknown as Metrics, registry }
}

function createMetric(entry: MetricEntry, registry: Registry): unknown {
  const name = metricPrefix + entry.name
  const { help } = entry
  if (entry.type === 'histogram') {
    const distribution = new Distribution(name, help, entry.labels, entry.buckets ?? workBuckets)
    // The registry's type asks for one of its four classes; what it uses is `name`, `get` and `reset`.
    registry.registerMetric(distribution as unknown as Gauge)
    return entry.labels.length === 0 ? distribution.of({}) : distribution
  }
  const configuration = { name, help, labelNames: [...entry.labels], registers: [registry] }
  return entry.type === 'counter' ? new Counter(configuration) : new Gauge(configuration)
}
