import type { BatchObservation } from '../batch/batcher.ts'
import { MillraceError } from '../errors.ts'
import type { CommittedSlice, PipelineObserver } from '../pipeline/observer.ts'
import type { ModelIdentity } from '../record/prediction.ts'
import type { Log } from '../telemetry/log.ts'
import type { Metrics } from '../telemetry/metrics.ts'

/** Metrics and log of what the pipeline does; `also` hears of every committed slice (live view, summaries). */
export function observePipeline(
  metrics: Metrics,
  log: Log,
  also?: (slice: CommittedSlice) => void,
): PipelineObserver {
  const stage = {
    decode: metrics.stageDuration.of({ stage: 'decode' }),
    feature: metrics.stageDuration.of({ stage: 'feature' }),
    queue: metrics.stageDuration.of({ stage: 'queue' }),
    encode: metrics.stageDuration.of({ stage: 'encode' }),
    commit: metrics.stageDuration.of({ stage: 'commit' }),
  }
  return {
    status: ({ topic, partition }, status, detail) => {
      log.info({ topic, partition, status, ...(detail === '' ? {} : { detail }) }, 'partition status')
    },
    taken: ({ topic, partition }, records) => {
      metrics.recordsConsumed.inc({ topic, partition: String(partition) }, records)
    },
    committed: (slice) => {
      for (const name of ['decode', 'feature', 'queue', 'encode', 'commit'] as const) {
        stage[name].observe(slice.durationsMs[name] / 1000)
      }
      metrics.transactionDuration.observe(slice.durationsMs.commit / 1000)
      countOutcomes(metrics, slice)
      const waits = slice.timestamps.map((timestamp) => Math.max(0, slice.acknowledgedAt - timestamp))
      metrics.eventToPrediction.observeAll(waits, 1e-3)
      also?.(slice)
    },
    transactionFailed: ({ topic, partition }, result) => {
      metrics.transactions.inc({ result })
      log.warn({ topic, partition, result }, 'transaction not committed')
    },
    flushed: () => undefined,
    expressionFailed: expressionFailures(metrics, log),
    begun: ({ topic, partition }, reason) => log.info({ topic, partition, reason }, 'begins'),
    rewound: ({ topic, partition }) => {
      metrics.stateRewinds.inc({ reason: 'watermark' })
      log.warn({ topic, partition }, 'Redis is not as this owner left it; taking the partition over again')
    },
    trouble: ({ topic, partition }, error) => {
      const code = error instanceof MillraceError ? error.code : 'INTERNAL'
      const fields = { topic, partition, code, error: error instanceof Error ? error.message : String(error) }
      if (error instanceof MillraceError && error.reaction !== 'stop') log.warn(fields, 'partition trouble')
      else
        log.error(
          {
            ...fields,
            ...(error instanceof MillraceError
              ? {}
              : { stack: error instanceof Error ? error.stack : undefined }),
          },
          'partition failed',
        )
    },
  }
}

/** A broken expression fails on every event: it is told of at the 1st, 10th, 100th, … time. */
function expressionFailures(metrics: Metrics, log: Log): PipelineObserver['expressionFailed'] {
  const counts = new Map<string, number>()
  return ({ topic, partition }, expression, message) => {
    metrics.expressionErrors.inc({ expression })
    const count = (counts.get(expression) ?? 0) + 1
    counts.set(expression, count)
    if (Number.isInteger(Math.log10(count)))
      log.warn({ topic, partition, expression, error: message, count }, 'expression in error')
  }
}

function countOutcomes(metrics: Metrics, slice: CommittedSlice): void {
  const { topic, partition } = slice.input
  metrics.transactions.inc({ result: 'committed' })
  metrics.lastCommit.set({ topic, partition: String(partition) }, slice.acknowledgedAt / 1000)
  const late = slice.flagged.get('late') ?? 0
  const state = slice.records - slice.predictions - slice.rejects.length
  if (slice.predictions > late)
    metrics.recordsProcessed.inc({ topic, outcome: 'scored' }, slice.predictions - late)
  if (late > 0) metrics.recordsProcessed.inc({ topic, outcome: 'late' }, late)
  if (state > 0) metrics.recordsProcessed.inc({ topic, outcome: 'state' }, state)
  for (const offsets of slice.behind) metrics.unalignedBehind.observe(offsets)
  const unaligned = slice.flagged.get('unaligned') ?? 0
  if (unaligned > 0) metrics.unalignedEvents.inc({ topic }, unaligned)
  for (const { reason } of slice.rejects) {
    metrics.recordsProcessed.inc({ topic, outcome: 'dead_letter' })
    metrics.deadLetters.inc({ topic, reason })
    if (reason === 'DECODE' || reason === 'SCHEMA') metrics.schemaDecodeFailures.inc({ topic, reason })
  }
  for (const alert of slice.alerts) {
    for (const { id } of alert.rules) metrics.alertsEmitted.inc({ rule: id, severity: alert.severity })
  }
}

/** Metrics of the shared batcher. */
export function observeBatches(metrics: Metrics, model: ModelIdentity): (batch: BatchObservation) => void {
  const inference = metrics.inferenceDuration.of({ model: model.name, version: model.version })
  const infer = metrics.stageDuration.of({ stage: 'infer' })
  return (batch) => {
    metrics.batchSize.observe(batch.rows)
    metrics.batchWait.observe(batch.waitedMs / 1000)
    metrics.batchDispatch.inc({ reason: batch.reason })
    metrics.batchTargetSize.set(batch.sizeTarget)
    inference.observe(batch.runMs / 1000)
    infer.observe(batch.tookMs / 1000)
  }
}
