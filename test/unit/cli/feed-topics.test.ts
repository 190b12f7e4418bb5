import { describe, expect, test } from 'vitest'
import { feedTopics, type FeedTopics } from '../../../src/cli/feed-topics.ts'
import type { PlainRecord } from '../../../src/kafka/plain-producer.ts'
import { createFeed } from '../../../src/simulator/feed.ts'
import { createSimulation } from '../../../src/simulator/simulation.ts'
import { manualClock } from '../../../src/time/manual-clock.ts'

const startMs = Date.UTC(2026, 0, 31)

function start(change: Partial<FeedTopics> = {}) {
  const clock = manualClock(startMs)
  const stop = new AbortController()
  const sends: (readonly PlainRecord[])[] = []
  const lateness: number[] = []
  const send = (records: readonly PlainRecord[]) => {
    sends.push(records)
    for (const { timestampMs } of records)
      if (timestampMs >= startMs) lateness.push(clock.now() - timestampMs)
    return Promise.resolve()
  }
  const simulation = createSimulation({
    seed: 1,
    customers: 100,
    terminals: 20,
    preloadDays: 3,
    transactionsPerDay: 2_000,
    startMs,
    ratePerSecond: 100,
  })
  const done = feedTopics(
    {
      feed: createFeed(simulation),
      producer: { send },
      clock,
      topics: { transactions: 'tx', labels: 'lb' },
      startMs,
      liveMax: null,
      ...change,
    },
    stop.signal,
  )
  return { clock, stop, sends, lateness, done }
}

describe('feeding topics', () => {
  test('writes all history at once, in order, each record with its own timestamp', async () => {
    const { sends, done } = start({ liveMax: 0 })
    const progress = await done
    const records = sends.flat()
    expect(progress).toMatchObject({ phase: 'history' })
    expect(progress.transactions + progress.labels).toBe(records.length)
    expect(progress.transactions).toBeGreaterThan(5_500)
    expect(records.every(({ timestampMs }) => timestampMs < startMs)).toBe(true)
    expect(records.every((record, i) => i === 0 || record.timestampMs >= records[i - 1]!.timestampMs)).toBe(
      true,
    )
    expect(Math.max(...sends.map(({ length }) => length))).toBeLessThanOrEqual(4_000)
    expect(new Set(records.map(({ topic }) => topic))).toEqual(new Set(['tx', 'lb']))
  })

  test('writes a live record when its time has come, not before and not a tick later', async () => {
    const { clock, stop, lateness, done } = start()
    await clock.advance(3_000)
    stop.abort()
    await done
    expect(lateness.length).toBeGreaterThan(200)
    expect(Math.min(...lateness)).toBeGreaterThanOrEqual(0)
    expect(Math.max(...lateness)).toBeLessThanOrEqual(10)
  })

  test('ends after the number of live transactions asked for', async () => {
    const { clock, sends, done } = start({ liveMax: 57 })
    await clock.advance(3_000)
    await done
    const live = sends.flat().filter(({ topic, timestampMs }) => topic === 'tx' && timestampMs >= startMs)
    expect(live).toHaveLength(57)
  })

  test('stops at once when told, even while Kafka does not answer', async () => {
    const { stop, done } = start({ producer: { send: () => new Promise(() => undefined) } })
    stop.abort()
    await expect(done).resolves.toBeDefined()
  })

  test('a failed send ends it', async () => {
    const { done } = start({ producer: { send: () => Promise.reject(new Error('no leader')) } })
    await expect(done).rejects.toThrow('no leader')
  })
})
