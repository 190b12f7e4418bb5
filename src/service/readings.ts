import type { PartitionTask } from '../pipeline/partition-task.ts'
import type { InputStream } from '../source/source.ts'
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
        heldBackMs: null,
        lagMs: null,
        status: null,
      }
    }
    hits.push(reading.cacheHitRatio)
    metrics.stateFlushLag.set({ topic, partition: String(partition) }, reading.unflushedRows)
    const { position } = reading
    const { lagRecords, lagStableRecords, heldBackMs } = lagOf(task.stream, position, clock.now())
    // A partition that has taken all it may take makes progress, whatever an open transaction holds back.
    const lagTakable = lagStableRecords ?? lagRecords
    return {
      topic,
      partition,
      position,
      lagRecords,
      lagStableRecords,
      heldBackMs,
      lagMs: lagRecords === 0 ? 0 : ageOf(task, clock.now()),
      status: lagTakable === null ? null : judge(task, position, lagTakable, clock),
    }
  })
  if (hits.length > 0) metrics.cacheHitRatio.set(Math.min(...hits))
  await Promise.resolve()
  return all
}

/** How far a position is behind the end of its log, and behind what readers of committed records may take. */
export function lagOf(
  { highWatermark, stableEnd }: Pick<InputStream, 'highWatermark' | 'stableEnd'>,
  position: number,
  nowMs: number,
): Pick<PartitionReading, 'lagRecords' | 'lagStableRecords' | 'heldBackMs'> {
  const heldSinceMs = stableEnd?.heldSinceMs ?? null
  return {
    lagRecords: highWatermark < 0 ? null : Math.max(0, highWatermark - position),
    lagStableRecords: stableEnd === null ? null : Math.max(0, stableEnd.offset - position),
    heldBackMs: stableEnd === null ? null : heldSinceMs === null ? 0 : Math.max(0, nowMs - heldSinceMs),
  }
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
