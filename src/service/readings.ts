import type { PartitionTask } from '../pipeline/partition-task.ts'
import type { Metrics } from '../telemetry/metrics.ts'
import type { PartitionReading } from '../telemetry/partition-reading.ts'
import { judgePartition, remember, type PartitionObservation } from '../telemetry/partition-status.ts'
import type { Clock } from '../time/clock.ts'
import type { Service } from './service.ts'

/** Observations of a partition's recent past; they go with the task. */
const pasts = new WeakMap<PartitionTask, readonly PartitionObservation[]>()
/** Burrow judges readings some seconds apart; scrapes may come closer together. */
const observeEveryMs = 10_000

/** Where every owned partition stands now; also sets the gauges that are read from the tasks. */
export async function readings(
  service: Service,
  metrics: Metrics,
  clock: Clock,
): Promise<readonly PartitionReading[]> {
  metrics.queueDepth.set(service.batcher.queuedRows)
  metrics.stateFlushLag.reset()
  const hits: number[] = []
  const all = service.tasks.tasks.map((task): PartitionReading => {
    const { topic, partition } = task.stream.input
    const reading = task.reading
    if (reading === null) {
      return {
        topic,
        partition,
        position: -1,
        lagRecords: null,
        lagStableRecords: null,
        lagMs: null,
        status: null,
      }
    }
    hits.push(reading.cacheHitRatio)
    metrics.stateFlushLag.set({ topic, partition: String(partition) }, reading.unflushedRows)
    const end = task.stream.highWatermark
    const lagRecords = end < 0 ? null : Math.max(0, end - reading.position)
    return {
      topic,
      partition,
      position: reading.position,
      lagRecords,
      lagStableRecords: null,
      lagMs: lagRecords === 0 ? 0 : ageOf(task, clock.now()),
      status: lagRecords === null ? null : judge(task, reading.position, lagRecords, clock),
    }
  })
  if (hits.length > 0) metrics.cacheHitRatio.set(Math.min(...hits))
  await Promise.resolve()
  return all
}

/** Age of the next unconsumed record: the oldest taken and not committed, else the head of the queue. */
function ageOf(task: PartitionTask, nowMs: number): number | null {
  const timestamp = task.reading?.pendingTimestamp ?? task.stream.nextTimestamp
  return timestamp === null ? null : Math.max(0, nowMs - timestamp)
}

function judge(
  task: PartitionTask,
  position: number,
  lagRecords: number,
  clock: Clock,
): ReturnType<typeof judgePartition> {
  const past = pasts.get(task) ?? []
  const atMs = clock.now()
  const newest = past.at(-1)
  if (newest !== undefined && atMs - newest.atMs < observeEveryMs) return judgePartition(past)
  const committedAtMs = task.reading?.committedAt ?? null
  const next = remember(past, { atMs, position, lagRecords, committedAtMs })
  pasts.set(task, next)
  return judgePartition(next)
}
