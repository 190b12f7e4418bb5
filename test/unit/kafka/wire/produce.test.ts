import { createRequire } from 'node:module'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { compressionIds, compressions } from '../../../../src/kafka/codecs.ts'
import '../../../../src/kafka/kafkajs.ts'
import { HeaderBytes } from '../../../../src/kafka/wire/encode-record-batch.ts'
import { GrowingBuffer } from '../../../../src/kafka/wire/growing-buffer.ts'
import { outputBatches } from '../../../../src/kafka/wire/output-batches.ts'
import { decodeProduce, encodeProduce, produceVersion } from '../../../../src/kafka/wire/produce.ts'
import type { OutputRecord } from '../../../../src/record/output.ts'
import type { Headers } from '../../../../src/record/raw-record.ts'

const require = createRequire(import.meta.url)
const protocol = 'kafkajs/src/protocol'

const Encoder = require(`${protocol}/encoder`) as new () => Record<string, (value: unknown) => unknown> & {
  readonly buffer: Buffer
}
const Decoder = require(`${protocol}/decoder`) as new (bytes: Buffer) => {
  readString(): string
  readInt16(): number
  readInt32(): number
  readArray<T>(one: (decoder: unknown) => T): T[]
  readBytes(count: number): Buffer
  slice(count: number): object
  forward(count: number): void
}
const kafkajsRequest = require(`${protocol}/requests/produce/v7/request`) as (request: object) => {
  encode(): Promise<{ readonly buffer: Buffer }>
}
const decodeBatch = require(`${protocol}/recordBatch/v0/decoder`) as (decoder: object) => Promise<{
  readonly producerId: string
  readonly producerEpoch: number
  readonly firstSequence: number
  readonly inTransaction: boolean
  readonly lastOffsetDelta: number
  readonly records: readonly {
    readonly key: Buffer | null
    readonly value: Buffer | null
    readonly headers: Record<string, Buffer | Buffer[]>
    readonly timestamp: string
    readonly offset: string
  }[]
}>

const bytes = fc.uint8Array({ maxLength: 40 }).map((array) => Buffer.from(array))
const text = fc
  .oneof(fc.string({ unit: 'binary', maxLength: 40 }), fc.string({ maxLength: 300 }))
  .map((written) => written.toWellFormed())
const headerValue = fc.oneof(bytes, text)
const headers: fc.Arbitrary<Headers | undefined> = fc.option(
  fc
    .dictionary(
      text.filter((name) => name !== '__proto__'),
      fc.oneof(headerValue, fc.array(headerValue, { maxLength: 3 })),
      { maxKeys: 4 },
    )
    .map((found) =>
      Object.entries(found).flatMap(([name, values]) =>
        [values].flat().map((value) => [name, value] as const),
      ),
    )
    .chain((found) => fc.constantFrom(found, Object.freeze([...found]))),
  { nil: undefined },
)
const output: fc.Arbitrary<OutputRecord> = fc.record({
  kind: fc.constant('prediction'),
  topic: fc.constantFrom('a', 'topic-é'),
  partition: fc.nat(2),
  key: fc.option(bytes),
  value: fc.option(fc.oneof(bytes, text)),
  headers,
})
/** As kafkajs takes them; it knows no headers without a value. */
function byName(list: Headers): Record<string, (Buffer | string)[]> {
  const pairs = list.map(([name, value]) => [String(name), value ?? ''] as const)
  const groups = Map.groupBy(pairs, ([name]) => name)
  return Object.fromEntries([...groups].map(([name, group]) => [name, group.map(([, value]) => value)]))
}

/** Some share their headers, as predictions do. */
const outputs = fc
  .tuple(fc.array(output, { minLength: 1, maxLength: 200 }), headers)
  .map(([records, shared]) => records.map((one, index) => (index % 2 ? { ...one, headers: shared } : one)))
const heads = fc.record({
  producerId: fc.bigInt({ min: 0n, max: 2n ** 63n - 1n }),
  producerEpoch: fc.nat(32_767),
  timestampMs: fc.nat(2 ** 43),
  timeoutMs: fc.nat(100_000),
  transactionalId: fc.constantFrom('app|group|topic|3', 'é'),
  sequence: fc.nat(2 ** 31 - 1),
})

async function encode(
  records: readonly OutputRecord[],
  {
    sequence,
    ...head
  }: { readonly sequence: number } & Omit<Parameters<typeof encodeProduce>[2], 'compression'>,
  compression: (typeof compressions)[number],
): Promise<Buffer> {
  const headerBytes = new HeaderBytes()
  const [batches = []] = outputBatches(records, 1_000_000, headerBytes)
  const buffer = new GrowingBuffer(Buffer.allocUnsafeSlow(16))
  const sequenced = batches.map((batch, index) => ({ ...batch, sequence: Math.max(0, sequence - index) }))
  await encodeProduce(buffer, sequenced, { ...head, compression }, headerBytes)
  return buffer.bytes.subarray(0, buffer.at)
}

describe('a Produce request', () => {
  test('is byte for byte what kafkajs writes, uncompressed', async () => {
    await fc.assert(
      fc.asyncProperty(outputs, heads, async (records, head) => {
        const [batches = []] = outputBatches(records, 1_000_000, new HeaderBytes())
        const { sequence, timestampMs, timeoutMs, ...identity } = head
        const topicData = [...Map.groupBy(batches.entries(), ([, { topic }]) => topic)].map(
          ([topic, ofTopic]) => ({
            topic,
            partitions: ofTopic.map(([index, { partition, records: ofBatch }]) => ({
              partition,
              firstSequence: Math.max(0, sequence - index),
              messages: ofBatch.map(({ key, value, headers: written }): object => ({
                key,
                value,
                timestamp: String(timestampMs),
                ...(written ? { headers: byName(written) } : {}),
              })),
            })),
          }),
        )
        const theirs = await kafkajsRequest({
          acks: -1,
          timeout: timeoutMs,
          ...identity,
          compression: 0,
          topicData,
        }).encode()
        expect((await encode(records, head, 'none')).equals(theirs.buffer)).toBe(true)
      }),
      { numRuns: 300 },
    )
  })

  test.each(compressions)('is read back by kafkajs, checksum and all: %s', async (compression) => {
    const attributesAt = 21
    await fc.assert(
      fc.asyncProperty(outputs, heads, async (records, head) => {
        const decoder = new Decoder(await encode(records, head, compression))
        expect(decoder.readString()).toBe(head.transactionalId)
        expect(decoder.readInt16()).toBe(-1)
        expect(decoder.readInt32()).toBe(head.timeoutMs)
        const sets: { topic: string; partition: number; bytes: Buffer }[] = []
        decoder.readArray(() => {
          const topic = decoder.readString()
          decoder.readArray(() => {
            const partition = decoder.readInt32()
            sets.push({ topic, partition, bytes: decoder.readBytes(decoder.readInt32()) })
          })
        })
        for (const set of sets) {
          const checksum = require(`${protocol}/recordBatch/crc32C`) as (part: Buffer) => number
          expect(set.bytes.readUInt32BE(17)).toBe(checksum(set.bytes.subarray(attributesAt)) >>> 0)
          expect(set.bytes.readInt16BE(attributesAt)).toBe(compressionIds[compression] | 16)
          const batch = await decodeBatch(new Decoder(set.bytes))
          const intended = records.filter(
            ({ topic, partition }) => topic === set.topic && partition === set.partition,
          )
          expect(batch).toMatchObject({
            producerId: String(head.producerId),
            producerEpoch: head.producerEpoch,
            inTransaction: true,
            lastOffsetDelta: intended.length - 1,
          })
          expect(batch.records.map(({ offset }) => Number(offset))).toEqual(intended.map((_, at) => at))
          for (const [at, record] of batch.records.entries()) {
            const { key, value } = intended[at]!
            expect(record.timestamp).toBe(String(head.timestampMs))
            expect(record.key).toEqual(key)
            expect(record.value).toEqual(typeof value === 'string' ? Buffer.from(value) : value)
          }
        }
      }),
      { numRuns: 40 },
    )
  })

  test('headers that are not frozen are read anew for each record', async () => {
    const changing: [string, string][] = [['h', 'a']]
    const headerBytes = new HeaderBytes()
    const first = headerBytes.of(changing)
    changing[0] = ['h', 'bb']
    expect(headerBytes.of(changing)).not.toEqual(first)
  })

  test('is of the newest version both sides speak', () => {
    expect([2, 3, 5, 7, 8, 12].map(produceVersion)).toEqual([null, 3, 5, 7, 7, 7])
  })
})

const answers = fc.array(
  fc.record({
    topicName: fc.constantFrom('a', 'b', 'é'),
    partitions: fc.array(fc.record({ partition: fc.nat(9), errorCode: fc.integer({ min: -1, max: 90 }) }), {
      maxLength: 4,
    }),
  }),
  { maxLength: 4 },
)

test.each([3, 5, 7])('an answer is read as kafkajs reads it: version %i', async (version) => {
  const { decode } = require(`${protocol}/requests/produce/v${version}/response`) as {
    decode(payload: Buffer): Promise<{
      readonly topics: readonly {
        topicName: string
        partitions: readonly { partition: number; errorCode: number }[]
      }[]
      readonly clientSideThrottleTime?: number
    }>
  }
  await fc.assert(
    fc.asyncProperty(answers, fc.nat(5_000), async (topics, throttleMs) => {
      const payload = new Encoder()
      payload['writeInt32']!(topics.length)
      for (const { topicName, partitions } of topics) {
        payload['writeString']!(topicName)
        payload['writeInt32']!(partitions.length)
        for (const { partition, errorCode } of partitions) {
          payload['writeInt32']!(partition)
          payload['writeInt16']!(errorCode)
          for (let numbers = version >= 5 ? 3 : 2; numbers > 0; numbers--) payload['writeInt64']!(77)
        }
      }
      payload['writeInt32']!(throttleMs)
      const theirs = await decode(payload.buffer)
      expect(decodeProduce(payload.buffer, version)).toEqual({
        partitions: theirs.topics.flatMap(({ topicName: topic, partitions }) =>
          partitions.map(({ partition, errorCode }) => ({ topic, partition, errorCode })),
        ),
        throttleMs: theirs.clientSideThrottleTime ?? 0,
      })
    }),
  )
})
