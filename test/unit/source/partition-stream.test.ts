import { beforeEach, expect, test } from 'vitest'
import type { Fetched } from '../../../src/kafka/fetched.ts'
import type { GroupControl } from '../../../src/kafka/internals.ts'
import { HeartbeatWaits } from '../../../src/source/heartbeat-waits.ts'
import { manualClock } from '../../../src/time/manual-clock.ts'
import { PartitionStream } from '../../../src/source/partition-stream.ts'
import { plainBatch, type WireRecord } from '../../support/record-batches.ts'

const never = new AbortController().signal

/** One partition of a consumer group as kafkajs keeps it: a fetch position and a pause flag. */
class FakeGroup implements GroupControl {
  position: number | null = null
  paused = true
  calls: string[] = []
  seek({ offset }: { offset: string }): void {
    this.position = Number(offset)
    this.calls.push(`seek ${offset}`)
  }
  pause(): void {
    this.paused = true
    this.calls.push('pause')
  }
  resume(): void {
    this.paused = false
    this.calls.push('resume')
  }
  async heartbeat(): Promise<void> {}
}

/** Data offsets of [from, to); all others of that range are gone, as by compaction. */
function batch(from: number, to: number, offsets?: readonly number[], valueBytes = 1): Fetched {
  const all = Array.from({ length: to - from }, (_, index) => record(from + index, valueBytes))
  const records = offsets ? all.filter(({ offset }) => offsets.includes(offset)) : all
  const bytes = plainBatch(records, { firstOffset: from, lastOffset: to - 1 })
  return fetch(from, to === from ? Buffer.alloc(0) : bytes)
}

function fetch(fetchedOffset: number, bytes: Buffer): Fetched {
  return {
    topic: 't',
    partition: 1,
    fetchedOffset,
    highWatermark: 100,
    stableOffset: -1,
    bytes,
    aborted: null,
  }
}

function record(offset: number, valueBytes: number): WireRecord {
  const headers = [['h', Buffer.from('v')] as const]
  return {
    offset,
    timestamp: 1_000 + offset,
    key: Buffer.from('k'),
    value: Buffer.alloc(valueBytes),
    headers,
  }
}

let group: FakeGroup
let generation: AbortController
let range: { start: number; end: number } | Error
let stream: PartitionStream
let clock: ReturnType<typeof manualClock>

beforeEach(() => {
  group = new FakeGroup()
  clock = manualClock()
  generation = new AbortController()
  range = { start: 0, end: 100 }
  stream = new PartitionStream({
    input: { source: 's', topic: 't', partition: 1 },
    group,
    limits: { queuedRowsMax: 10, queuedBytesMax: 100_000 },
    ended: generation.signal,
    heartbeats: new HeartbeatWaits(),
    clock,
    log: {
      logRange: async () => {
        if (range instanceof Error) throw range
        return range
      },
      offsetAt: async (_topic, _partition, timestampMs) => timestampMs - 1_000,
    },
  })
})

const offsets = (records: readonly { offset: number }[]): number[] => records.map(({ offset }) => offset)

test('a seek sets the fetch position and wakes the paused partition', () => {
  stream.seek(5)
  expect(group.calls).toEqual(['seek 5', 'resume'])
  expect(stream.position).toBe(5)
})

test('records come as they were fetched, with numbers for offset and timestamp', async () => {
  stream.seek(5)
  expect(stream.accept(batch(5, 7))).toBe(7)
  expect(stream.nextTimestamp).toBe(1_005)
  const { records, next } = await stream.take(10, never)
  expect(records[0]).toMatchObject({
    topic: 't',
    partition: 1,
    offset: 5,
    timestamp: 1_005,
    key: Buffer.from('k'),
    value: Buffer.alloc(1),
    headers: [['h', Buffer.from('v')]],
  })
  expect([offsets(records), next, stream.position, stream.highWatermark]).toEqual([[5, 6], 7, 7, 100])
  expect(stream.nextTimestamp).toBeNull()
})

test('a take is cut at its maximum, and the position with it', async () => {
  stream.seek(0)
  stream.accept(batch(0, 5))
  expect(await stream.take(3, never)).toMatchObject({ next: 3 })
  expect(await stream.take(3, never)).toMatchObject({ next: 5 })
})

test('skipped records behind the last one are passed with it; in front of a cut they are not', async () => {
  stream.seek(0)
  stream.accept(batch(0, 6, [0, 3]))
  expect(await stream.take(1, never)).toMatchObject({ next: 1 })
  expect(await stream.take(1, never)).toMatchObject({ next: 6 })
})

test('a fetch of nothing but control and aborted records moves the position', async () => {
  stream.seek(0)
  const taken = stream.take(10, never)
  expect(stream.accept(batch(0, 4, []))).toBe(4)
  expect(await taken).toEqual({ records: [], next: 4 })
  expect(stream.accept(batch(4, 5))).toBe(5)
})

test('an empty answer moves nothing, and tells the end of the log', () => {
  stream.seek(100)
  expect(stream.accept(batch(100, 100))).toBeNull()
  expect([stream.position, stream.highWatermark]).toEqual([100, 100])
})

test('what an open transaction holds back is known, and since when; the next stable offset begins anew', async () => {
  stream.seek(0)
  expect(stream.stableEnd).toBeNull()
  const fetched = (stableOffset: number): Fetched => ({ ...batch(0, 0), stableOffset })
  stream.accept(fetched(100))
  expect(stream.stableEnd).toEqual({ offset: 100, heldSinceMs: null })
  await clock.advance(1_000)
  stream.accept(fetched(60))
  await clock.advance(5_000)
  stream.accept(fetched(60))
  expect(stream.stableEnd).toEqual({ offset: 60, heldSinceMs: 1_000 })
  stream.accept(fetched(80))
  expect(stream.stableEnd).toEqual({ offset: 80, heldSinceMs: 6_000 })
  stream.accept(batch(0, 0)) // a broker that does not say changes nothing
  expect(stream.stableEnd).toEqual({ offset: 80, heldSinceMs: 6_000 })
})

test('the end of the log is as old as what told it: a fetch when it came, a question when it was asked', async () => {
  stream.seek(0)
  await clock.advance(1_000)
  stream.accept(batch(0, 3))
  await clock.advance(500)
  expect([stream.highWatermark, stream.highWatermarkAt]).toEqual([100, 1_000])
  range = { start: 0, end: 120 }
  const asked = stream.logRange()
  await clock.advance(200)
  await asked
  expect([stream.highWatermark, stream.highWatermarkAt]).toEqual([120, 1_500])
})

test('what was fetched before a seek is refused, and the seek repeated', async () => {
  stream.seek(0)
  stream.accept(batch(0, 3))
  stream.seek(50)
  expect(stream.accept(batch(3, 6))).toBeNull()
  expect(stream.accept(batch(0, 4, []))).toBeNull()
  expect(group.calls.slice(-2)).toEqual(['seek 50', 'seek 50'])
  expect(stream.accept(batch(50, 52))).toBe(52)
  expect(offsets((await stream.take(10, never)).records)).toEqual([50, 51])
})

test('a fetch that skips or repeats records is refused', () => {
  stream.seek(0)
  stream.accept(batch(0, 3))
  expect(stream.accept(batch(4, 6))).toBeNull()
  expect(stream.accept(batch(2, 6))).toBeNull()
  expect(stream.accept(batch(3, 6))).toBe(6)
})

test('before the first seek nothing is accepted', () => {
  expect(stream.accept(batch(0, 3))).toBeNull()
  expect(group.calls).toEqual([])
})

test('a full queue pauses the partition; taking half of it resumes it', async () => {
  stream.seek(0)
  stream.accept(batch(0, 9))
  expect(group.paused).toBe(false)
  stream.accept(batch(9, 12))
  expect(group.paused).toBe(true)
  await stream.take(6, never)
  expect(group.paused).toBe(true)
  await stream.take(1, never)
  expect(group.paused).toBe(false)
})

test('a queue is also full by its bytes', async () => {
  stream.seek(0)
  stream.accept(batch(0, 2, undefined, 60_000))
  expect(group.paused).toBe(true)
  await stream.take(2, never)
  expect(group.paused).toBe(false)
})

test('a take waits for the next fetch without asking again', async () => {
  stream.seek(0)
  const taken = stream.take(10, never)
  stream.accept(batch(0, 1))
  expect(offsets((await taken).records)).toEqual([0])
})

test('a take ends with its signal, and the next one works', async () => {
  stream.seek(0)
  const stop = new AbortController()
  const taken = stream.take(10, stop.signal)
  stop.abort(new Error('stopped'))
  await expect(taken).rejects.toThrow('stopped')
  stream.accept(batch(0, 1))
  expect((await stream.take(10, never)).next).toBe(1)
})

test('when the generation ends, a waiting take ends, queued records are gone, and nothing more is accepted', async () => {
  stream.seek(0)
  const taken = stream.take(10, never)
  generation.abort(new Error('over'))
  await expect(taken).rejects.toThrow('over')
  expect(stream.accept(batch(0, 1))).toBeNull()
  await expect(stream.take(10, never)).rejects.toThrow('over')
  group.calls = []
  stream.seek(3)
  expect(group.calls).toEqual([])
})

test('two takes at once are a mistake of the caller', async () => {
  stream.seek(0)
  const first = stream.take(10, never)
  await expect(stream.take(10, never)).rejects.toMatchObject({ code: 'INTERNAL' })
  stream.accept(batch(0, 1))
  expect((await first).next).toBe(1)
})

test.each([
  ['below the log', { start: 8, end: 20 }, 'OFFSET_BELOW_LOG', /offset 5 of t:1 .*\[8, 20\)/],
  ['beyond the log', { start: 0, end: 4 }, 'OFFSET_FOREIGN', /offset 5 of t:1 .*end of the log, 4/],
  ['in a log that cannot be asked', new Error('gone'), 'OFFSET_BELOW_LOG', /offset 5 of t:1 .*unknown/],
])('an offset %s ends the take with where it is and what there is', async (_name, there, code, message) => {
  range = there
  stream.seek(5)
  const taken = stream.take(10, never)
  const failed = expect(taken).rejects.toMatchObject({ code, message: expect.stringMatching(message) })
  await stream.outOfRange()
  await failed
  await expect(stream.take(10, never)).rejects.toMatchObject({ code })
  expect(stream.accept(batch(5, 6))).toBeNull()
})

test('a seek after an offset out of range starts afresh, also when the answer comes late', async () => {
  stream.seek(5)
  await stream.outOfRange()
  stream.seek(8)
  expect(group.paused).toBe(false)
  stream.accept(batch(8, 9))
  expect((await stream.take(10, never)).next).toBe(9)

  const late = stream.outOfRange()
  stream.seek(20)
  await late
  stream.accept(batch(20, 21))
  expect((await stream.take(10, never)).next).toBe(21)
})

test('an offset by time is asked of the log', async () => {
  expect(await stream.offsetAt(1_042)).toBe(42)
})

test('a batch that does not fit its checksum is fetched once more; what comes right then is what counts', async () => {
  const good = batch(0, 3)
  const bad = fetch(0, Buffer.from(good.bytes))
  bad.bytes[70]! ^= 1
  stream.seek(0)
  stream.accept(bad)
  const taken = stream.take(10, never)
  await expect.poll(() => group.calls.filter((call) => call === 'seek 0')).toHaveLength(2)
  expect(stream.accept(good)).toBe(3)
  expect(offsets((await taken).records)).toEqual([0, 1, 2])
})

test('a batch that comes damaged twice is passed: one record stands for it, and what follows is read', async () => {
  const bad = fetch(0, Buffer.concat([batch(0, 3).bytes, batch(3, 5).bytes]))
  bad.bytes[70]! ^= 1
  stream.seek(0)
  stream.accept(bad)
  const taken = stream.take(10, never)
  await expect.poll(() => group.calls.filter((call) => call === 'seek 0')).toHaveLength(2)
  expect(stream.accept(bad)).toBe(5)
  const { records, next } = await taken
  expect(records.map(({ offset, unreadable }) => [offset, unreadable?.lastOffset ?? 'read'])).toEqual([
    [0, 2],
    [3, 'read'],
    [4, 'read'],
  ])
  expect(next).toBe(5)
})

test('an answer in which no batch begins is asked for again, and the second time it is an error that names the place', async () => {
  stream.seek(7)
  const nonsense = fetch(7, Buffer.alloc(100))
  expect(stream.accept(nonsense)).toBeNull()
  expect(group.calls.filter((call) => call === 'seek 7')).toHaveLength(2)
  const taken = expect(stream.take(10, never)).rejects.toMatchObject({
    code: 'KAFKA_LOG_DAMAGED',
    message: expect.stringMatching(/^t:1 from offset 7: no record batch begins here/),
  })
  expect(stream.accept(nonsense)).toBeNull()
  await taken
})

test('of a batch of 130 000 records only what is taken is made, and the partition is paused until the rest is', async () => {
  const records = Array.from({ length: 130_000 }, (_, offset) => ({
    offset,
    timestamp: 1,
    key: null,
    value: null,
  }))
  stream.seek(0)
  stream.accept(fetch(0, plainBatch(records)))
  expect(group.paused).toBe(true)
  let taken = 0
  while (taken < 130_000) {
    const { records: some, next } = await stream.take(1_000, never)
    expect([some[0]?.offset, some.length, next]).toEqual([taken, 1_000, taken + 1_000])
    taken += some.length
  }
  expect(group.paused).toBe(false)
})
