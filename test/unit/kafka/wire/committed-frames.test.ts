import fc from 'fast-check'
import { expect, test } from 'vitest'
import { readFetched } from '../../../../src/kafka/fetched.ts'
import type { AbortedTransaction } from '../../../../src/kafka/wire/committed-frames.ts'
import { marker, plainBatch } from '../../../support/record-batches.ts'
import { kafkajsReads } from './kafkajs-reads.ts'

const markerKey = Buffer.from([0, 0, 0, 0])

interface Record {
  readonly producer: string
  readonly kind: 'data' | 'abort' | 'commit' | 'plain'
  readonly key?: Buffer
}

/** A batch of its own for every record. */
function batch({ producer, kind, key }: Record, offset: number): Buffer {
  if (kind === 'abort' || kind === 'commit') return marker(offset, Number(producer), kind)
  const record = { offset, timestamp: 0, key: key ?? null, value: Buffer.from(`${producer}@${offset}`) }
  return plainBatch([record], kind === 'plain' ? {} : { producerId: Number(producer) })
}

/** Aborted transactions that reach into [from, end of log), in the order of their markers: as the broker lists them. */
function abortedFrom(log: readonly Record[], from: number): AbortedTransaction[] {
  const firstOffset = new Map<string, number>()
  const aborted: AbortedTransaction[] = []
  log.forEach(({ producer, kind }, offset) => {
    if (kind === 'data' && !firstOffset.has(producer)) firstOffset.set(producer, offset)
    const first = firstOffset.get(producer)
    if (kind === 'abort' && first !== undefined && offset >= from) {
      aborted.push({ producerId: Number(producer), firstOffset: first })
    }
    if (kind === 'abort' || kind === 'commit') firstOffset.delete(producer)
  })
  return aborted
}

/** Offsets of data records that are committed or were written without a transaction. */
function visibleFrom(log: readonly Record[], from: number): number[] {
  return log.flatMap(({ producer, kind }, offset) => {
    if (offset < from) return []
    if (kind === 'plain') return [offset]
    if (kind !== 'data') return []
    const end = log
      .slice(offset)
      .find((one) => one.producer === producer && (one.kind === 'abort' || one.kind === 'commit'))
    return end?.kind === 'abort' ? [] : [offset]
  })
}

async function offsetsSeen(log: readonly Record[], from = 0): Promise<number[]> {
  const bytes = Buffer.concat(log.map(batch).slice(from))
  const fetched = { bytes, aborted: abortedFrom(log, from) }
  return (await readFetched({ topic: 't', partition: 0 }, fetched, from)).records.map(({ offset }) => offset)
}

const data = (producer: string, key?: Buffer): Record => ({ producer, kind: 'data', ...(key ? { key } : {}) })
const abort = (producer: string): Record => ({ producer, kind: 'abort' })
const commit = (producer: string): Record => ({ producer, kind: 'commit' })

const leaks: readonly [name: string, log: readonly Record[], from: number][] = [
  [
    'two overlapping aborted transactions, the later one aborted first',
    [data('1'), data('2'), data('1'), abort('2'), data('1'), abort('1')],
    0,
  ],
  [
    'a fetch that starts inside two aborted transactions',
    [data('1'), data('2'), data('2'), abort('1'), abort('2')],
    2,
  ],
  ['a record whose key is an int32 zero', [data('1'), data('1', markerKey), data('1'), abort('1')], 0],
]

test.each(leaks)('no aborted record is seen: %s', async (_name, log, from) => {
  const published = await kafkajsReads(
    Buffer.concat(log.map(batch).slice(from)),
    abortedFrom(log, from),
    from,
  )
  expect(published.length, 'as published it leaks').toBeGreaterThan(0)
  expect(await offsetsSeen(log, from)).toEqual([])
})

test('abort, commit, abort of one producer keeps the committed record', async () => {
  const log = [data('1'), abort('1'), data('1'), commit('1'), data('1'), abort('1')]
  expect(await offsetsSeen(log)).toEqual([2])
})

test('a record outside of transactions is seen whoever wrote it', async () => {
  const log: Record[] = [data('1'), { producer: '-1', kind: 'plain' }, abort('1')]
  expect(await offsetsSeen(log)).toEqual([1])
})

/** A log as producers write it: every transaction is ended, and only by its own producer. */
const logs = fc
  .array(
    fc.record({
      producer: fc.constantFrom('1', '2', '3'),
      kind: fc.constantFrom('data', 'data', 'data', 'abort', 'commit', 'plain'),
    }),
    { maxLength: 40 },
  )
  .map((steps) => {
    const open = new Set<string>()
    const log: Record[] = []
    for (const step of steps) {
      const ends = step.kind === 'abort' || step.kind === 'commit'
      if (ends && !open.has(step.producer)) continue
      // A producer writes either inside transactions or outside of them.
      if (step.kind === 'plain') log.push({ producer: '-1', kind: 'plain' })
      else log.push(step)
      if (step.kind === 'data') open.add(step.producer)
      if (ends) open.delete(step.producer)
    }
    return [...log, ...[...open].map((producer) => abort(producer))]
  })

test('whatever the interleaving and wherever the fetch starts, exactly the committed records are seen', async () => {
  await fc.assert(
    fc.asyncProperty(logs, fc.nat({ max: 40 }), async (log, start) => {
      const from = Math.min(start, log.length)
      expect(await offsetsSeen(log, from)).toEqual(visibleFrom(log, from))
    }),
    { numRuns: 300 },
  )
})
