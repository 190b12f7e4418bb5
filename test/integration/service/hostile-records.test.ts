import { expect, test } from 'vitest'
import { tailTopics } from '../../../src/kafka/tail-consumer.ts'
import { headerText } from '../../../src/record/headers.ts'
import type { RawRecord } from '../../../src/record/raw-record.ts'
import { quietLog } from '../../../src/telemetry/log.ts'
import { produceRaw } from '../../support/raw-produce.ts'
import { recordBatch, varint, type BatchSettings, type WireRecord } from '../../support/record-batches.ts'
import { CardTraffic } from '../../support/service-records.ts'
import { openWorld, type ServiceWorld } from '../../support/service-world.ts'

/** All dead letters of the world's source, in the order they were written. */
async function letters(world: ServiceWorld, count: number): Promise<RawRecord[]> {
  const records: RawRecord[] = []
  await tailTopics(
    {
      plan: world.plan.kafka,
      topics: [world.topics.deadLetters],
      fromBeginning: true,
      log: quietLog,
      onRecord: (record) => records.push(record) < count,
    },
    AbortSignal.timeout(120_000),
  )
  return records
}

const reasonOf = ({ headers }: RawRecord): string | null => headerText(headers, 'millrace.dlq.reason')

interface Hostile {
  readonly records: readonly WireRecord[]
  readonly settings?: BatchSettings
  /** What its first dead letter says. */
  readonly says: Readonly<Record<string, unknown>>
}

const one = (change: Partial<WireRecord>): WireRecord[] => [
  { offset: 0, timestamp: Date.now(), key: Buffer.from('k'), value: Buffer.from('{'), ...change },
]
const many = (count: number, name: (i: number) => string) =>
  Array.from({ length: count }, (_, i) => [name(i), Buffer.from('v')] as const)

const hostile: readonly (readonly [name: string, Hostile])[] = [
  [
    'one record with 10 000 headers',
    {
      records: one({ headers: many(10_000, (i) => `h${i}`) }),
      says: { 'millrace.dlq.reason': 'OVERSIZE', 'millrace.dlq.content': 'stub' },
    },
  ],
  [
    'headers called as what every object has',
    {
      records: one({ headers: many(6, (i) => ['__proto__', 'constructor', 'toString'][i % 3]!) }),
      says: { 'millrace.dlq.reason': 'DECODE', 'millrace.dlq.content': null, ['__proto__']: 'v, v' },
    },
  ],
  [
    '3 MB of zeros in one gzip record',
    {
      records: one({ value: Buffer.alloc(3_000_000) }),
      settings: { compression: 'gzip' },
      says: {
        'millrace.dlq.reason': 'OVERSIZE',
        'millrace.dlq.content': 'stub',
        'millrace.dlq.size': '3000001',
      },
    },
  ],
  [
    'an LZ4 batch that grows beyond the bound',
    {
      records: one({ value: Buffer.alloc(140_000_000) }),
      settings: { compression: 'lz4' },
      says: { 'millrace.dlq.reason': 'UNREADABLE', 'millrace.dlq.content': 'pointer' },
    },
  ],
]

test.each(hostile)(
  '%s: the service goes on, and the dead letter says what it was and where',
  { timeout: 240_000 },
  async (_name, { records, settings, says }) => {
    const world = await openWorld({ partitions: 1 })
    const traffic = new CardTraffic({ seed: 31, partitions: 1, badShare: 0 })
    const place = { topic: world.topics.transactions, partition: 0 }
    await world.write(traffic.next(100))
    const offset = await produceRaw(world.kafka, place, await recordBatch(records, settings))
    await world.write(traffic.next(100))
    const service = world.start()
    await world.caughtUp()
    expect(service.exit).toBeNull()
    const [letter] = await letters(world, 1)
    const text = (name: string): string | null => headerText(letter?.headers ?? [], name)
    expect(text('__dlq.errors.offset')).toBe(String(offset))
    for (const [name, value] of Object.entries(says)) expect(text(name), name).toBe(value)
    expect(await service.stop()).toEqual({ code: 0, signal: null })
  },
)

test(
  '130 000 empty records in one batch: the service goes on, and each has its dead letter',
  { timeout: 420_000 },
  async () => {
    const count = 130_000
    const limits = { deadLetterShareMax: { share: 1, of: 1_000 } }
    const world = await openWorld({ partitions: 1, change: { limits } })
    const traffic = new CardTraffic({ seed: 32, partitions: 1, badShare: 0 })
    const body = Buffer.concat(
      Array.from({ length: count }, (_, i) => {
        const delta = varint(BigInt(i))
        return Buffer.from([2 * (5 + delta.length), 0, 0, ...delta, 1, 1, 0])
      }),
    )
    const settings = { compression: 'gzip', body, count, lastOffset: count - 1 } as const
    const batch = await recordBatch([], settings)
    await produceRaw(world.kafka, { topic: world.topics.transactions, partition: 0 }, batch)
    await world.write(traffic.next(100))
    const service = world.start()
    // Each wait is patient for a minute, which a busy machine may need more than once.
    const caughtUp = () => world.caughtUp()
    await caughtUp().catch(caughtUp).catch(caughtUp)
    expect(service.exit).toBeNull()
    const all = await letters(world, count)
    expect(all.map((letter) => Number(headerText(letter.headers, '__dlq.errors.offset')))).toEqual(
      Array.from({ length: count }, (_, offset) => offset),
    )
    expect(new Set(all.map(reasonOf))).toEqual(new Set(['VALIDATION']))
    expect(await service.stop()).toEqual({ code: 0, signal: null })
  },
)
