import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { compressionIds, compressions } from '../../../../src/kafka/codecs.ts'
import { readFetched } from '../../../../src/kafka/fetched.ts'
import type { AbortedTransaction } from '../../../../src/kafka/wire/committed-frames.ts'
import type { RawRecord } from '../../../../src/record/raw-record.ts'
import {
  marker,
  plainBatch,
  recordBatch,
  sealed,
  varint,
  type WireRecord,
} from '../../../support/record-batches.ts'
import { unpatched, unpatchedTogether } from '../../../support/unpatched-kafkajs.ts'
import { kafkajsReads, type KafkajsMessage } from './kafkajs-reads.ts'

const place = { topic: 't', partition: 0 }

async function read(
  bytes: Buffer,
  from = 0,
  aborted: readonly AbortedTransaction[] = [],
): Promise<RawRecord[]> {
  return [...(await readFetched(place, { bytes, aborted }, from)).records]
}

const bytes = fc.uint8Array({ maxLength: 20 }).map((array) => Buffer.from(array))
const nullable = fc.option(bytes, { nil: null })
/** Names that kafkajs's object can hold: elsewhere they are tried with more than it can. */
const header = fc.tuple(fc.constantFrom('a', 'b', 'traceparent', 'é'), nullable)
const content = fc.record({
  gap: fc.constantFrom(1, 1, 1, 2, 300),
  timestamp: fc.integer({ min: -5, max: 2 ** 41 }),
  key: nullable,
  value: nullable,
  headers: fc.array(header, { maxLength: 4 }),
})
const batches = fc.array(
  fc.record({
    records: fc.array(content, { minLength: 1, maxLength: 12 }),
    compression: fc.constantFrom(...compressions),
    isLogAppendTime: fc.boolean(),
    /** Of the offsets behind its last record, as compaction leaves them. */
    behind: fc.constantFrom(0, 0, 3),
    producerId: fc.constantFrom(undefined, 1, 2),
    ends: fc.constantFrom('abort' as const, 'commit' as const, null),
  }),
  { maxLength: 5 },
)

interface Log {
  readonly bytes: Buffer
  readonly aborted: readonly (AbortedTransaction & { readonly marker: number })[]
}

async function logOf(specs: typeof batches extends fc.Arbitrary<infer T> ? T : never): Promise<Log> {
  const parts: Buffer[] = []
  const aborted: Log['aborted'][number][] = []
  let next = 0
  for (const { records, ends, producerId, behind, ...settings } of specs) {
    const first = next
    const wire = records.map(({ gap, ...record }): WireRecord => ({ ...record, offset: (next += gap) }))
    const lastOffset = next + behind
    const firstOffset = first
    const producer = producerId === undefined ? {} : { producerId }
    parts.push(await recordBatch(wire, { ...settings, ...producer, firstOffset, lastOffset }))
    next = lastOffset + 1
    if (producerId === undefined) continue
    // One transaction at a time, whose marker follows: kafkajs filters the others wrongly.
    parts.push(marker(next++, producerId, ends ?? 'commit'))
    if (ends === 'abort') aborted.push({ producerId, firstOffset: first, marker: next - 1 })
  }
  return { bytes: Buffer.concat(parts), aborted }
}

function asKafkajs({ offset, timestamp, key, value, headers }: RawRecord): KafkajsMessage {
  const named: Record<string, Buffer | null | (Buffer | null)[]> = {}
  for (const [name, value] of headers as readonly [string, Buffer | null][]) {
    const before = named[name]
    named[name] = before === undefined ? value : Array.isArray(before) ? [...before, value] : [before, value]
  }
  return { offset: String(offset), timestamp: String(timestamp), key, value, headers: named }
}

describe('the reader of record batches', () => {
  test('reads what kafkajs reads, whatever the codec, the headers, the markers and where the fetch begins and ends', async () => {
    await fc.assert(
      fc.asyncProperty(batches, fc.nat(20), fc.nat(60), async (specs, from, cut) => {
        const log = await logOf(specs)
        const end = specs.length > 0 ? log.bytes.length - cut : 0 // a fetch cuts its last batch off
        const fetched = log.bytes.subarray(0, Math.max(0, end))
        // The broker lists those that reach into the fetch.
        const aborted = log.aborted.filter((each) => each.marker >= from)
        const published = await kafkajsReads(fetched, aborted, from)
        const own = await read(fetched, from, aborted)
        expect(own.map(asKafkajs)).toEqual(
          published.map(({ offset, timestamp, key, value, headers }) => ({
            offset,
            timestamp,
            key,
            value,
            headers,
          })),
        )
      }),
      { numRuns: 300 },
    )
  })

  test('reads what kafkajs writes', async () => {
    const [{ RecordBatch: encode }, Record] = unpatchedTogether([
      'protocol/recordBatch/v0',
      'protocol/recordBatch/record/v0',
    ]) as [
      { RecordBatch: (batch: object) => Promise<{ readonly buffer: Buffer }> },
      (record: object) => object,
    ]
    const records = [0, 1, 2].map((offsetDelta) =>
      Record({
        offsetDelta,
        timestampDelta: offsetDelta * 5,
        key: Buffer.from('k'),
        value: Buffer.from(`v${offsetDelta}`),
        headers: { h: ['1', '2'] },
      }),
    )
    const { buffer } = await encode({
      firstTimestamp: 1_000,
      maxTimestamp: 1_010,
      lastOffsetDelta: 2,
      records,
    })
    const own = await read(buffer)
    expect(own.map(({ offset, timestamp, value }) => [offset, timestamp, String(value)])).toEqual([
      [0, 1_000, 'v0'],
      [1, 1_005, 'v1'],
      [2, 1_010, 'v2'],
    ])
    expect(own[2]?.headers).toEqual([
      ['h', Buffer.from('1')],
      ['h', Buffer.from('2')],
    ])
  })

  test('hands out views of the fetched bytes', async () => {
    const batch = plainBatch([{ offset: 0, timestamp: 0, key: Buffer.from('k'), value: Buffer.from('v') }])
    const [record] = await read(batch)
    expect(record?.value?.buffer).toBe(batch.buffer)
  })

  test('tells timestamps of int64, and numbers of two to ten bytes', async () => {
    const timestamps = [0, -1, 63, 64, -65, 2 ** 31, -(2 ** 40), Number.MAX_SAFE_INTEGER]
    const records = timestamps.map((timestamp, offset) => ({ offset, timestamp, key: null, value: null }))
    expect((await read(plainBatch(records))).map(({ timestamp }) => timestamp)).toEqual(timestamps)
  })
})

describe('a batch of 130 000 empty records', () => {
  const records = 130_000
  const body = Buffer.concat(
    Array.from({ length: records }, (_, i) => {
      const delta = varint(BigInt(i))
      return Buffer.from([2 * (5 + delta.length), 0, 0, ...delta, 1, 1, 0])
    }),
  )
  test.each(compressions)('is read to its end (%s)', async (compression) => {
    const batch = await recordBatch([], { compression, body, count: records, lastOffset: records - 1 })
    const own = await read(batch)
    expect([own.length, own.at(-1)?.offset]).toEqual([records, records - 1])
  })
})

describe('headers', () => {
  test('20 000 of them are walked past without being decoded, and decoded in order when they are asked for', async () => {
    const headers = Array.from({ length: 20_000 }, (_, i) => [`h${i % 7}`, Buffer.from(String(i))] as const)
    const [record] = await read(plainBatch([{ offset: 0, timestamp: 0, key: null, value: null, headers }]))
    expect(record?.headerSize?.count).toBe(20_000)
    expect(record?.headers.at(-1)).toEqual(['h0', Buffer.from('19999')])
    expect(record?.headers).toBe(record?.headers)
  })

  test('keep names that are no text, nulls, duplicates and names that every object has', async () => {
    const headers = [
      ['__proto__', Buffer.from('1')],
      [Buffer.of(0xc3, 0x28), null],
      ['toString', null],
      ['__proto__', Buffer.alloc(0)],
    ] as const
    const [record] = await read(plainBatch([{ offset: 0, timestamp: 0, key: null, value: null, headers }]))
    expect(record?.headers).toEqual(headers)
  })
})

describe('what cannot be read', () => {
  const good = (offset: number) => plainBatch([{ offset, timestamp: 7, key: null, value: Buffer.from('v') }])
  const threeAt = (offset: number, settings = {}) =>
    plainBatch(
      [0, 1, 2].map((i) => ({ offset: offset + i, timestamp: 7, key: null, value: Buffer.alloc(30) })),
      settings,
    )
  const shape = (records: readonly RawRecord[]) =>
    records.map(({ offset, unreadable }) => [offset, unreadable?.lastOffset ?? 'read'])

  test('stands in its place with its range, size, digest and reason, and what follows is read', async () => {
    const damaged = threeAt(1)
    damaged[100]! ^= 1
    const records = await read(Buffer.concat([good(0), damaged, good(4)]))
    expect(shape(records)).toEqual([
      [0, 'read'],
      [1, 3],
      [4, 'read'],
    ])
    expect(records[1]).toMatchObject({ key: null, value: null, headers: [], timestamp: 7 })
    expect(records[1]?.unreadable).toEqual({
      lastOffset: 3,
      bytes: damaged.length,
      digest: expect.stringMatching(/^sha256:[0-9a-f]{64}$/),
      message: expect.stringMatching(/^the checksum of the batch is [0-9a-f]{8}, of its bytes [0-9a-f]{8}$/),
      isDoubtful: true,
    })
  })

  test.each([
    ['an unknown codec', (batch: Buffer) => void (batch[22]! |= 7), /codec 7/],
    ['a compressed body that is none', (batch: Buffer) => void (batch[22]! |= 1), /gzip data is damaged/],
    [
      'more records than there is room for',
      (batch: Buffer) => void batch.writeInt32BE(2 ** 30, 57),
      /1073741824 records/,
    ],
    [
      'an offset beyond its last',
      (batch: Buffer) => void batch.writeInt32BE(-1, 23),
      /offset 2 behind offset 1/,
    ],
  ])('%s', async (_name, damage, message) => {
    const batch = threeAt(1)
    damage(batch)
    const records = await read(Buffer.concat([sealed(batch), good(9)]))
    const first = records.find(({ unreadable }) => unreadable)
    expect(first?.unreadable).toMatchObject({ message: expect.stringMatching(message), isDoubtful: false })
    expect(records.at(-1)).toMatchObject({ offset: 9 })
    expect(records.at(-1)?.unreadable).toBeUndefined()
  })

  test('a damaged record in the middle costs only those from it on', async () => {
    const batch = threeAt(1)
    const second = 61 + (batch.length - 61) / 3
    batch[second]! += 2 // it says that it is one byte longer
    const records = await read(Buffer.concat([sealed(batch), good(4)]))
    expect(shape(records)).toEqual([
      [1, 'read'],
      [2, 3],
      [4, 'read'],
    ])
  })

  test('begins at the offset asked for when the batch began before', async () => {
    const damaged = threeAt(1)
    damaged[100]! ^= 1
    expect(shape(await read(damaged, 2))).toEqual([[2, 3]])
  })

  test('whatever bytes come, nothing is thrown but "no batch begins here", and offsets only grow', async () => {
    await fc.assert(
      fc.asyncProperty(
        batches,
        fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 6 }),
        fc.boolean(),
        async (specs, flips, isSealed) => {
          const log = await logOf(specs)
          if (log.bytes.length === 0) return
          for (const [at, to] of flips) log.bytes[at % log.bytes.length] = to
          if (isSealed && log.bytes.readInt32BE(8) > 49 && log.bytes.readInt32BE(8) + 12 <= log.bytes.length)
            sealed(log.bytes.subarray(0, log.bytes.readInt32BE(8) + 12))
          const own = await read(log.bytes, 0, log.aborted).catch((error: unknown) => error)
          if (!Array.isArray(own)) {
            expect(own).toMatchObject({ name: 'Unreadable', message: /no record batch begins here/ })
            return
          }
          for (const record of own as RawRecord[]) void record.headers
        },
      ),
      { numRuns: 400 },
    )
  })
})

describe('message sets of old brokers', () => {
  const entry = unpatched<(of: object) => (entry: object) => { readonly buffer: Buffer }>('protocol/message')
  const setOf = unpatched<(set: object) => { readonly buffer: Buffer }>('protocol/messageSet')
  const entries = fc.array(
    fc.record({ key: nullable, value: nullable, timestamp: fc.integer({ min: 0, max: 2 ** 41 }) }),
    { minLength: 1, maxLength: 6 },
  )

  test.each([0, 1])('of magic %i are read as kafkajs reads them', async (magic) => {
    await fc.assert(
      fc.asyncProperty(entries, fc.constantFrom(...compressions), async (messages, compression) => {
        const withVersion = messages.map((message) => ({ magicByte: magic, ...message }))
        const plain = setOf({ messageVersion: magic, compression: 0, entries: withVersion }).buffer
        for (let at = 0, offset = 40; at < plain.length; at += 12 + plain.readInt32BE(at + 8))
          plain.writeBigInt64BE(BigInt(offset++), at)
        const log =
          compression === 'none' ? plain : await wrapped(plain, magic, compression, 40 + messages.length - 1)
        const published = await kafkajsReads(log, [], 0)
        const own = await read(log, 0)
        expect(own.map(({ offset, key, value }) => [String(offset), key, value])).toEqual(
          published.map(({ offset, key, value }) => [offset, key, value]),
        )
        expect(published).toHaveLength(messages.length)
      }),
      { numRuns: 60 },
    )
  })

  async function wrapped(
    plain: Buffer,
    magic: number,
    compression: 'gzip' | 'snappy' | 'lz4' | 'zstd',
    last: number,
  ) {
    const { codecs } = await import('../../../../src/kafka/codecs.ts')
    const value = await codecs[compression].compress({ buffer: plain })
    const compressed = { compression: compressionIds[compression], timestamp: 5, key: null, value }
    const { buffer } = entry({ version: magic })(compressed)
    const head = Buffer.alloc(12)
    head.writeBigInt64BE(BigInt(last), 0)
    head.writeInt32BE(buffer.length, 8)
    return Buffer.concat([head, buffer])
  }
})
