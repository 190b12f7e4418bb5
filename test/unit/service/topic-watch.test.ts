import { expect, test } from 'vitest'
import { MillraceError } from '../../../src/errors.ts'
import type { TopicLife } from '../../../src/kafka/topic-metadata.ts'
import { lookIntervalMs, TopicWatch, type TopicWatchOptions } from '../../../src/service/topic-watch.ts'
import { manualClock } from '../../../src/time/manual-clock.ts'
import type { Log } from '../../../src/telemetry/log.ts'

const never = new AbortController().signal
const log: Log = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} }

/** A watch over `tx` and `labels` on a cluster that the test changes. */
function watched(ids: () => readonly string[] = () => []) {
  const lives = new Map<string, TopicLife>([
    ['tx', { id: 'a', partitions: 4 }],
    ['labels', { id: 'l', partitions: 2 }],
  ])
  const cluster = { lives, cleanupPolicy: 'delete', requests: 0, down: false }
  const admin: TopicWatchOptions['admin'] = {
    topicLives: async () => {
      cluster.requests++
      if (cluster.down) throw new MillraceError('KAFKA_UNREACHABLE', 'down')
      return new Map(cluster.lives)
    },
    topicIds: async () => ids(),
    groupOffsets: async () => new Map(),
    logRange: async () => ({ start: 0, end: 7 }),
    logEnds: async (inputs) => new Map(inputs.map(({ topic, partition }) => [`${topic}:${partition}`, 7])),
    describeTopics: async (topics) =>
      topics.map((topic) => ({
        topic,
        partitions: 1,
        cleanupPolicy: cluster.cleanupPolicy,
        retentionMs: -1,
        retentionBytes: -1,
        maxMessageBytes: 1,
        segmentBytes: 1,
        minInSyncReplicas: 1,
      })),
  }
  const clock = manualClock()
  const partitionCounts = new Map<string, number>()
  const watch = new TopicWatch({
    admin,
    group: 'g',
    topics: ['tx', 'labels'],
    outputs: ['predictions'],
    partitionCounts,
    clock,
    log,
  })
  const stop = new AbortController()
  const state: { ended: unknown } = { ended: 'running' }
  watch.run(stop.signal).then(
    () => (state.ended = 'stopped'),
    (error: unknown) => (state.ended = error),
  )
  return { watch, cluster, clock, partitionCounts, state, stop }
}

test('looks asked for at the same time share one request that is sent after the last was answered', async () => {
  const { watch, cluster, partitionCounts } = watched()
  const [one, two] = await Promise.all([watch.look(never), watch.look(never)])
  expect(one).toBe(two)
  expect(cluster.requests).toBe(1)
  cluster.lives.set('tx', { id: 'a', partitions: 6 })
  expect((await watch.look(never)).get('tx')?.partitions).toBe(6)
  expect(partitionCounts.get('tx')).toBe(6)
})

test('an owner is told once when its topic has another id on most brokers, and another owner is not', async () => {
  const told: string[] = []
  const { watch, cluster, clock } = watched(() => ['b', 'a', 'b'])
  const taken = await watch.look(never)
  watch.watch(taken, 'tx', (error) => told.push(error.message))
  watch.watch(taken, 'labels', () => told.push('labels'))
  await clock.advance(lookIntervalMs)
  expect(told).toEqual([])
  cluster.lives.set('tx', { id: 'b', partitions: 4 })
  await clock.advance(3 * lookIntervalMs)
  expect(told).toEqual(['topic tx was deleted and created again while it was served: its id was a and is b'])
})

test.each([
  ['behind the others', ['a', 'a', 'b']],
  ['one of two', ['a', 'b']],
])('one broker that is %s makes no other topic of it', async (_, ids) => {
  const told: string[] = []
  const { watch, cluster, clock } = watched(() => ids)
  watch.watch(await watch.look(never), 'tx', (error) => told.push(error.message))
  cluster.lives.set('tx', { id: 'b', partitions: 4 })
  await clock.advance(2 * lookIntervalMs)
  expect(told).toEqual([])
})

test('brokers that do not agree are waited for', async () => {
  const { watch } = watched(() => ['a', 'b'])
  await expect(watch.agreedId('tx', never)).rejects.toMatchObject({ code: 'KAFKA_TOPIC_UNSETTLED' })
})

test('added partitions of any source are told to all owners, unless they have stopped listening', async () => {
  const told: string[] = []
  const { watch, cluster, clock } = watched()
  const taken = await watch.look(never)
  watch.watch(taken, 'tx', (error) => told.push(error.message))
  watch.watch(taken, 'tx', () => told.push('gone'))()
  cluster.lives.set('labels', { id: 'l', partitions: 3 })
  await clock.advance(lookIntervalMs)
  expect(told).toEqual(['topic labels has 3 partitions now, before 2'])
})

test('a missing topic is waited for, and ends the process only after three looks in a row', async () => {
  const { watch, cluster, clock, state } = watched()
  cluster.lives.delete('tx')
  await expect(watch.look(never)).rejects.toMatchObject({ code: 'KAFKA_TOPIC_GONE', reaction: 'retry' })
  await clock.advance(2 * lookIntervalMs)
  cluster.lives.set('tx', { id: 'b', partitions: 4 })
  await clock.advance(lookIntervalMs)
  cluster.lives.delete('tx')
  await clock.advance(2 * lookIntervalMs)
  expect(state.ended).toBe('running')
  await clock.advance(lookIntervalMs)
  expect(state.ended).toMatchObject({ code: 'KAFKA_TOPIC_MISSING' })
})

test('a source that becomes compacted ends the process; brokers that do not answer do not', async () => {
  const { cluster, clock, state } = watched()
  cluster.down = true
  await clock.advance(5 * lookIntervalMs)
  expect(state.ended).toBe('running')
  cluster.down = false
  cluster.cleanupPolicy = 'compact,delete'
  await clock.advance(lookIntervalMs)
  expect(state.ended).toMatchObject({ code: 'KAFKA_TOPIC_COMPACTED' })
})

test('stopping ends the watch without an error', async () => {
  const { clock, state, stop } = watched()
  await clock.advance(1)
  stop.abort()
  await clock.advance(lookIntervalMs)
  expect(state.ended).toBe('stopped')
})
