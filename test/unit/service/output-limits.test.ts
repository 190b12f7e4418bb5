import { expect, test } from 'vitest'
import type { TopicDescription } from '../../../src/kafka/admin.ts'
import type { OutputRecord } from '../../../src/record/output.ts'
import { aloneBytes } from '../../../src/record/size.ts'
import { OutputLimits } from '../../../src/service/output-limits.ts'

const log = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} }

function described(topic: string, maxMessageBytes: number, segmentBytes = 1_000_000_000): TopicDescription {
  return {
    topic,
    partitions: 1,
    cleanupPolicy: 'delete',
    retentionMs: -1,
    retentionBytes: -1,
    maxMessageBytes,
    segmentBytes,
    minInSyncReplicas: 1,
  }
}

function limitsOf(start: readonly TopicDescription[], later: readonly TopicDescription[] = start) {
  const outputs = start.map(({ topic }) => topic)
  return new OutputLimits(start, { admin: { describeTopics: async () => later }, outputs, log })
}

const record = (topic: string, bytes: number): OutputRecord => ({
  kind: 'prediction',
  topic,
  partition: 0,
  key: null,
  value: 'v'.repeat(bytes),
  headers: undefined,
})

test('a topic takes what it says, or one segment, whichever is less', () => {
  const { bytesMax, smallest } = limitsOf([described('a', 5_000), described('b', 5_000, 3_000)])
  expect([...bytesMax]).toEqual([
    ['a', 5_000],
    ['b', 3_000],
  ])
  expect(smallest).toBe(3_000)
})

test('after a refusal the topics are asked again', async () => {
  const limits = limitsOf([described('a', 5_000), described('b', 9_000)], [described('a', 4_000)])
  await limits.refused([record('b', 8_000)])
  expect([limits.bytesMax.get('a'), limits.bytesMax.get('b')]).toEqual([4_000, 9_000])
})

test('a topic that takes less than it says: the largest record no longer fits, each time', async () => {
  const limits = limitsOf([described('a', 5_000), described('b', 9_000)])
  const [large, small] = [record('b', 8_000), record('a', 100)]
  await limits.refused([small, large])
  expect(limits.bytesMax.get('b')).toBe(aloneBytes(large) - 1)
  await limits.refused([record('a', 3_000)])
  expect(limits.bytesMax.get('b')).toBe(aloneBytes(large) - 1)
  expect(limits.bytesMax.get('a')).toBe(aloneBytes(record('a', 3_000)) - 1)
})
