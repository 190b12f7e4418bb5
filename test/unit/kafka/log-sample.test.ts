import { expect, test } from 'vitest'
import type { DescribedTopic } from '../../../src/kafka/inspect-codec.ts'
import type { Broker, Patchable } from '../../../src/kafka/internals.ts'
import { sampleTopic, spread } from '../../../src/kafka/log-sample.ts'
import { keepRecordBytes, patchFetchedBytes } from '../../../src/kafka/patches/fetched-bytes.ts'
import type { RawBroker, RawCluster } from '../../../src/kafka/raw-cluster.ts'
import { marker, plainBatch } from '../../support/record-batches.ts'

const size = { partitionsMax: 2, oldestMax: 3, newestMax: 4 }

interface LogEntry {
  readonly kind: 'data' | 'marker'
  readonly producer: string
  readonly bytes?: number
}

/** A broker with this log in each partition, that answers with `rowsMax` records at most. */
function cluster(
  log: readonly LogEntry[],
  aborted: readonly { producerId: string; firstOffset: string }[],
  rowsMax = 100,
) {
  const fetches: number[] = []
  const batch = ({ kind, producer, bytes = 1 }: LogEntry, offset: number): Buffer => {
    if (kind === 'marker') return marker(offset, Number(producer), 'abort')
    const record = { offset, timestamp: 1, key: Buffer.from('k'), value: Buffer.alloc(bytes) }
    return plainBatch([record], producer === plain ? {} : { producerId: Number(producer) })
  }
  const methods: Partial<RawBroker> = {
    listOffsets: async ({ topics }) => {
      const asked = topics[0]?.partitions[0]
      const offset = asked?.timestamp === -2 ? 0 : log.length
      return { responses: [{ partitions: [{ partition: asked?.partition ?? 0, offset: String(offset) }] }] }
    },
    fetch: async ({ topics }) => {
      const from = Number(topics[0]?.partitions[0]?.fetchOffset)
      fetches.push(from)
      const bytes = Buffer.concat(log.map(batch).slice(from, from + rowsMax))
      const messages = await keepRecordBytes({
        readInt32: () => bytes.length,
        canReadBytes: () => true,
        readBytes: () => bytes,
      })
      return { responses: [{ partitions: [{ messages, abortedTransactions: aborted }] }] }
    },
  }
  patchFetchedBytes({ prototype: methods } as unknown as Patchable<Broker>)
  const broker = methods
  return { fetches, raw: { findBroker: async () => broker } as unknown as RawCluster }
}

function topic(...leaders: readonly number[]): DescribedTopic {
  const partitions = leaders.map((leader, partition) => ({ partition, leader, replicas: 1, inSync: 1 }))
  return { errorCode: 0, topic: 't', partitions, operations: null }
}

const plain = '-1'
const data = (count: number, producer = plain): LogEntry[] =>
  Array.from({ length: count }, () => ({ kind: 'data' as const, producer }))
const offsets = (runs: Awaited<ReturnType<typeof sampleTopic>>) =>
  runs.map(({ part, records }) => [part, records.map(({ offset }) => offset)])

test('the oldest and the newest records of a long log, the whole of a short one, nothing of an empty one', async () => {
  expect(offsets(await sampleTopic(cluster(data(20), []).raw, topic(1), size))).toEqual([
    ['oldest', [0, 1, 2]],
    ['newest', [16, 17, 18, 19]],
  ])
  expect(offsets(await sampleTopic(cluster(data(7), []).raw, topic(1), size))).toEqual([
    ['newest', [0, 1, 2, 3, 4, 5, 6]],
  ])
  expect(await sampleTopic(cluster([], []).raw, topic(1), size)).toEqual([])
})

test('markers and what was aborted are left out', async () => {
  const log: LogEntry[] = [
    ...data(2, '1'),
    { kind: 'marker', producer: '1' },
    ...data(2, '2'),
    { kind: 'marker', producer: '2' },
  ]
  const { raw } = cluster(log, [{ producerId: '1', firstOffset: '0' }])
  expect(offsets(await sampleTopic(raw, topic(1), size))).toEqual([['newest', [3, 4]]])
})

test('answers that are small are asked for again, and no more than needed', async () => {
  const { raw, fetches } = cluster(data(20), [], 2)
  const runs = await sampleTopic(raw, topic(1), size)
  expect(offsets(runs)).toEqual([
    ['oldest', [0, 1, 2]],
    ['newest', [16, 17, 18, 19]],
  ])
  expect(fetches).toEqual([0, 2, 16, 18])
})

test('records of a megabyte end a run early', async () => {
  const large = data(7).map((one) => ({ ...one, bytes: 1024 * 1024 }))
  const [run] = await sampleTopic(cluster(large, [], 1).raw, topic(1), size)
  expect(run?.records).toHaveLength(4)
})

test('some partitions stand for many, and those without a leader are left out', async () => {
  const runs = await sampleTopic(cluster(data(1), []).raw, topic(1, -1, 1, 1, 1, 1), size)
  expect(runs.map(({ partition }) => partition)).toEqual([0, 3])
  expect(spread([1, 2, 3, 4, 5, 6, 7, 8], 4)).toEqual([1, 3, 5, 7])
})
