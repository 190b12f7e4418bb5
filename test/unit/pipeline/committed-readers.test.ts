import { expect, test } from 'vitest'
import { committedReaderTime, keptForAtMost } from '../../../src/pipeline/committed-readers.ts'
import { encodeMetadata, type CommitMetadata } from '../../../src/pipeline/metadata.ts'
import type { StateShared } from '../../../src/pipeline/partition-context.ts'

const metadata: CommitMetadata = {
  incarnation: 'inc.topic-id',
  stateHash: 'of an earlier definition',
  clusterId: 'cluster',
  offset: 100,
  last: null,
  maxTime: 1_000,
  start: 0,
  base: 0,
  anchors: [],
  quarantine: [],
  gapUntil: null,
}
const empty: CommitMetadata = { ...metadata, offset: 0, maxTime: null }
const lives = new Map([['tx', { id: 'topic-id', partitions: 2 }]])

type Position = CommitMetadata | { readonly offset: number; readonly metadata: string } | null

/** Of a group that committed these in the partitions of the scored topic, which all end at `logEnd`. */
function readerTime(positions: readonly Position[], logEnd = 100): Promise<number | null> {
  const committed = positions.flatMap((position, partition) => {
    if (position === null) return []
    const text = 'metadata' in position ? position.metadata : encodeMetadata(position)
    return [[partition, { offset: position.offset, metadata: text }] as const]
  })
  const shared = {
    plan: { sources: [{ name: 'transactions', topic: 'tx' }], featuresSpec: { scored: 'transactions' } },
    topics: {
      positions: () => Promise.resolve(new Map(committed)),
      logEnd: () => Promise.resolve(logEnd),
    },
    clusterId: 'cluster',
    partitionCounts: new Map([['tx', positions.length]]),
  } as unknown as StateShared
  return committedReaderTime(shared, lives, new AbortController().signal)
}

test('the slowest reader is the one that committed the least event time, under whatever definition', async () => {
  const behind = { ...metadata, stateHash: 'another', maxTime: 700 }
  expect(await readerTime([metadata, behind])).toBe(700)
})

test.each<[string, Position]>([
  ['committed nothing', null],
  ['has metadata of another tool', { offset: 100, metadata: '' }],
  ['was moved by another tool', { offset: 50, metadata: encodeMetadata(metadata) }],
  ['is of another cluster', { ...metadata, clusterId: 'elsewhere' }],
  ['is of an earlier topic of the name', { ...metadata, incarnation: 'inc.earlier' }],
  ['consumed records without an event', { ...metadata, maxTime: null }],
])('nothing is known when a partition %s', async (_, position) => {
  expect(await readerTime([metadata, position])).toBeNull()
})

test('an empty partition does not hold the others, unless records wait in it', async () => {
  expect(await readerTime([metadata, empty], 0)).toBe(1_000)
  expect(await readerTime([metadata, empty], 1)).toBeNull()
  expect(await readerTime([empty, empty], 0)).toBeNull()
})

test('what parts were kept for is at most what any reader committed since, or says by its gap', () => {
  const facts = { clusterId: 'cluster', nowMs: 9_000, futureMaxMs: 300 }
  expect(keptForAtMost(metadata, [], facts)).toBe(1_000)
  const again = { ...metadata, maxTime: 10, gapUntil: 1_400 }
  expect(keptForAtMost(null, [again, { ...metadata, maxTime: 5 }], facts)).toBe(1_400)
  expect(keptForAtMost(null, [{ ...metadata, clusterId: 'elsewhere' }], facts)).toBe(9_300)
  expect(keptForAtMost(empty, [], facts)).toBe(9_300)
})
