import type { RawRecord } from '../record/raw-record.ts'
import { readFetched, type FetchedBytes } from './fetched.ts'
import { endsOf } from './held-back.ts'
import type { DescribedTopic } from './inspect-codec.ts'
import { fetchedBytes } from './patches/fetched-bytes.ts'
import type { RawBroker, RawCluster } from './raw-cluster.ts'

export interface SampleSize {
  readonly partitionsMax: number
  /** At the beginning of each log, and at its end. */
  readonly oldestMax: number
  readonly newestMax: number
}

/** Committed records of one partition that follow each other in its log. */
export interface SampledRun {
  readonly partition: number
  readonly part: 'oldest' | 'newest'
  readonly records: readonly RawRecord[]
}

const readCommitted = 1
const earliestTimestamp = -2
const latestTimestamp = -1
const fetchBytesMax = 1024 * 1024
/** Of one run: what follows is not read. */
const runBytesMax = 4 * 1024 * 1024
/** A run may consist of aborted records and markers only. */
const fetchesMax = 16
/** There is data at every offset asked for, so the broker answers at once; kafkajs gives up soon after it. */
const fetchWaitMs = 5_000

/**
 * The oldest and the newest committed records of some partitions, spread over the topic. Reads without a group, and
 * leaves no trace. Partitions without a leader are left out.
 */
export async function sampleTopic(
  cluster: RawCluster,
  { topic, partitions }: DescribedTopic,
  size: SampleSize,
): Promise<readonly SampledRun[]> {
  const chosen = spread(
    partitions.filter(({ leader }) => leader >= 0),
    size.partitionsMax,
  )
  const runs = await Promise.all(
    chosen.map(async ({ partition, leader }) => {
      const broker = await cluster.findBroker({ nodeId: String(leader) })
      return sampleLog(broker, topic, partition, size)
    }),
  )
  return runs.flat()
}

async function sampleLog(
  broker: RawBroker,
  topic: string,
  partition: number,
  { oldestMax, newestMax }: SampleSize,
): Promise<readonly SampledRun[]> {
  const endOf = async (timestamp: number): Promise<number> =>
    (await endsOf(broker, topic, [partition], readCommitted, timestamp)).get(partition) ?? 0
  const [start, end] = [await endOf(earliestTimestamp), await endOf(latestTimestamp)]
  const read = async (part: SampledRun['part'], from: number, until: number): Promise<SampledRun> => ({
    partition,
    part,
    records: await readRun(broker, { topic, partition }, from, until),
  })
  if (end <= start) return []
  if (end - start <= oldestMax + newestMax) return [await read('newest', start, end)]
  return [await read('oldest', start, start + oldestMax), await read('newest', end - newestMax, end)]
}

async function readRun(
  broker: RawBroker,
  place: { readonly topic: string; readonly partition: number },
  from: number,
  until: number,
): Promise<readonly RawRecord[]> {
  const records: RawRecord[] = []
  let bytes = 0
  for (let next = from, fetches = 0; next < until && fetches < fetchesMax; fetches++) {
    const fetched = await readFetched(place, await fetchFrom(broker, place, next), next)
    if (fetched.next === next) break
    for (const record of fetched.records) {
      if (record.offset >= until) continue
      records.push(record)
      bytes += (record.value?.length ?? 0) + (record.key?.length ?? 0)
      if (bytes >= runBytesMax) return records
    }
    next = fetched.next
  }
  return records
}

async function fetchFrom(
  broker: RawBroker,
  { topic, partition }: { readonly topic: string; readonly partition: number },
  offset: number,
): Promise<FetchedBytes> {
  const { responses } = await broker.fetch({
    isolationLevel: readCommitted,
    maxWaitTime: fetchWaitMs,
    minBytes: 1,
    maxBytes: fetchBytesMax,
    topics: [{ topic, partitions: [{ partition, fetchOffset: String(offset), maxBytes: fetchBytesMax }] }],
  })
  return fetchedBytes(responses[0]?.partitions[0]?.messages ?? [])
}

/** As many of these as allowed, spread evenly. */
export function spread<T>(all: readonly T[], max: number): readonly T[] {
  if (all.length <= max) return all
  return Array.from({ length: max }, (_, index) => all[Math.floor((index * all.length) / max)] as T)
}
