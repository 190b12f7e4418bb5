import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { FetchedMessage } from '../../../src/kafka/internals.ts'
import { filterAbortedMessages } from '../../../src/kafka/patches/aborted-messages.ts'
import type { AbortedFilterInput, AbortedTransaction } from '../../../src/kafka/patches/aborted-messages.ts'
import { unpatched } from '../../support/unpatched-kafkajs.ts'

type Filter = (input: AbortedFilterInput) => readonly FetchedMessage[]
const original = unpatched<Filter>('consumer/filterAbortedMessages')

const abortMarkerKey = Buffer.from([0, 0, 0, 0])
const commitMarkerKey = Buffer.from([0, 0, 0, 1])

interface Record {
  readonly producer: string
  readonly kind: 'data' | 'abort' | 'commit' | 'plain'
  readonly key?: Buffer
}

function message({ producer, kind, key }: Record, offset: number): FetchedMessage {
  const isControlRecord = kind === 'abort' || kind === 'commit'
  const marker = kind === 'abort' ? abortMarkerKey : commitMarkerKey
  return {
    offset: String(offset),
    timestamp: '0',
    key: isControlRecord ? marker : (key ?? null),
    value: Buffer.from(`${producer}@${offset}`),
    isControlRecord,
    batchContext: { producerId: producer, inTransaction: kind !== 'plain' },
  }
}

/** Aborted transactions that reach into [from, end of log), in the order of their markers: as the broker lists them. */
function abortedFrom(log: readonly Record[], from: number): AbortedTransaction[] {
  const firstOffset = new Map<string, number>()
  const aborted: AbortedTransaction[] = []
  log.forEach(({ producer, kind }, offset) => {
    if (kind === 'data' && !firstOffset.has(producer)) firstOffset.set(producer, offset)
    const first = firstOffset.get(producer)
    if (kind === 'abort' && first !== undefined && offset >= from) {
      aborted.push({ producerId: producer, firstOffset: String(first) })
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

function offsetsSeen(filter: Filter, log: readonly Record[], from = 0): number[] {
  const messages = log.map(message).slice(from)
  return filter({ messages, abortedTransactions: abortedFrom(log, from) })
    .filter(({ isControlRecord }) => !isControlRecord)
    .map(({ offset }) => Number(offset))
}

const data = (producer: string, key?: Buffer): Record => ({ producer, kind: 'data', ...(key ? { key } : {}) })
const abort = (producer: string): Record => ({ producer, kind: 'abort' })
const commit = (producer: string): Record => ({ producer, kind: 'commit' })

const leaks: readonly [name: string, log: readonly Record[], from: number][] = [
  [
    'two overlapping aborted transactions, the later one aborted first',
    [data('a'), data('b'), data('a'), abort('b'), data('a'), abort('a')],
    0,
  ],
  [
    'a fetch that starts inside two aborted transactions',
    [data('a'), data('b'), data('b'), abort('a'), abort('b')],
    2,
  ],
  ['a record whose key is an int32 zero', [data('a'), data('a', abortMarkerKey), data('a'), abort('a')], 0],
]

test.each(leaks)('no aborted record is seen: %s', (_name, log, from) => {
  expect(offsetsSeen(original, log, from), 'as published it leaks').not.toEqual([])
  expect(offsetsSeen(filterAbortedMessages, log, from)).toEqual([])
})

test('abort, commit, abort of one producer keeps the committed record', () => {
  const log = [data('a'), abort('a'), data('a'), commit('a'), data('a'), abort('a')]
  expect(offsetsSeen(filterAbortedMessages, log)).toEqual([2])
})

test('a record outside of transactions is seen whoever wrote it', () => {
  const log: Record[] = [data('a'), { producer: 'a', kind: 'plain' }, abort('a')]
  expect(offsetsSeen(filterAbortedMessages, log)).toEqual([1])
})

test('without aborted transactions the messages come back as they are', () => {
  const messages = [message(data('a'), 0)]
  expect(filterAbortedMessages({ messages, abortedTransactions: [] })).toBe(messages)
  expect(filterAbortedMessages({ messages, abortedTransactions: null })).toBe(messages)
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

test('whatever the interleaving and wherever the fetch starts, exactly the committed records are seen', () => {
  fc.assert(
    fc.property(logs, fc.nat({ max: 40 }), (log, start) => {
      const from = Math.min(start, log.length)
      expect(offsetsSeen(filterAbortedMessages, log, from)).toEqual(visibleFrom(log, from))
    }),
    { numRuns: 300 },
  )
})
