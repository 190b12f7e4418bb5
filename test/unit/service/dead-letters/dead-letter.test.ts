import { describe, expect, test } from 'vitest'
import type { OutputRecord } from '../../../../src/record/output.ts'
import { headersOf, headerText } from '../../../../src/record/headers.ts'
import type { Header, Headers, RawRecord } from '../../../../src/record/raw-record.ts'
import {
  DeadLetterReplay,
  reasonToLeave,
  replayedRecord,
  writeLimit,
  type ReplayStep,
} from '../../../../src/service/dead-letters/replay.ts'
import {
  everyDeadLetter,
  parseDeadLetter,
  parsePlace,
  replayTopicOf,
  selects,
  topicsSelected,
  type DeadLetter,
} from '../../../../src/service/dead-letters/dead-letter.ts'
import {
  createReplayLedger,
  ledgerRecord,
  refuseForgetful,
  refuseForgotten,
} from '../../../../src/service/dead-letters/ledger.ts'
import { partitionOfKey } from '../../../../src/sink/murmur2.ts'
import { manualClock } from '../../../../src/time/manual-clock.ts'

function rawOf(offset: number, change: Partial<RawRecord> = {}): RawRecord {
  return {
    topic: 'dlq.in',
    partition: 1,
    offset,
    timestamp: Date.UTC(2026, 0, 5),
    key: Buffer.from('c1'),
    value: Buffer.from(`value ${offset}`),
    headers: headersOf({
      traceparent: Buffer.from('00-1-2-01'),
      '__dlq.errors.topic': Buffer.from('in'),
      '__dlq.errors.partition': Buffer.from('3'),
      '__dlq.errors.offset': Buffer.from(String(100 + offset)),
      '__dlq.errors.group': Buffer.from('g'),
      '__dlq.errors.message': Buffer.from('wrong'),
      'millrace.dlq.reason': Buffer.from('SCHEMA'),
      'millrace.dlq.stage': Buffer.from('decode'),
      'millrace.dlq.failed-at': Buffer.from('2026-01-04T00:00:00.000Z'),
    }),
    ...change,
  }
}

function changed(headers: Headers, name: string, value: string): Headers {
  return [...headers.filter(([each]) => each !== name), [name, value]]
}

function letter(offset: number, change: Partial<RawRecord> = {}): DeadLetter {
  const parsed = parseDeadLetter(rawOf(offset, change))
  if (parsed === null) throw new Error('no dead letter')
  return parsed
}

describe('a dead letter', () => {
  test('says where it was and why; its id is its own place', () => {
    expect(letter(7)).toMatchObject({
      id: 'dlq.in:1@7',
      source: { topic: 'in', partition: 3, offset: 107 },
      reason: 'SCHEMA',
      failedAtMs: Date.UTC(2026, 0, 4),
      replayOf: null,
    })
  })

  test('of an unknown reason is still one; a record without a source position is none', () => {
    const { headers } = rawOf(1)
    expect(letter(1, { headers: changed(headers, 'millrace.dlq.reason', 'NEW') }).reason).toBe('UNKNOWN')
    expect(parseDeadLetter(rawOf(1, { headers: [] }))).toBeNull()
    expect(parseDeadLetter(rawOf(1, { headers: changed(headers, '__dlq.errors.offset', 'x') }))).toBeNull()
  })

  test('places are read strictly', () => {
    expect(parsePlace('a.b-c_d:0@12')).toEqual({ topic: 'a.b-c_d', partition: 0, offset: 12 })
    for (const wrong of ['a:0', 'a:0@', 'a:-1@2', 'a:0@1.5', ':0@1', 'a b:0@1', 'a:0@99999999999999999'])
      expect(parsePlace(wrong), wrong).toBeNull()
  })

  test('is selected by what it says of the record that failed, bounds half open', () => {
    const one = letter(7)
    const by = (filter: Partial<typeof everyDeadLetter>): boolean =>
      selects({ ...everyDeadLetter, ...filter }, one)
    expect(by({})).toBe(true)
    expect([by({ reasons: ['SCHEMA'] }), by({ reasons: ['DECODE'] })]).toEqual([true, false])
    expect([by({ stages: ['decode'] }), by({ stages: ['model'] })]).toEqual([true, false])
    expect([by({ topics: ['in'] }), by({ topics: ['dlq.in'] })]).toEqual([true, false])
    expect([by({ partition: 3 }), by({ partition: 1 })]).toEqual([true, false])
    expect([by({ fromOffset: 107 }), by({ fromOffset: 108 })]).toEqual([true, false])
    expect([by({ toOffset: 108 }), by({ toOffset: 107 })]).toEqual([true, false])
    expect([by({ fromMs: one.failedAtMs }), by({ fromMs: one.failedAtMs + 1 })]).toEqual([true, false])
    expect([by({ toMs: one.failedAtMs + 1 }), by({ toMs: one.failedAtMs })]).toEqual([true, false])
    expect([by({ ids: new Set([one.id]) }), by({ ids: new Set(['dlq.in:1@8']) })]).toEqual([true, false])
  })

  test('topics: only those that can hold what is selected; the ledger is named by the same pattern', () => {
    const sources = [{ topic: 'in' }, { topic: 'labels' }] as never
    const plan = { name: 'app', sources, sinks: { deadLetterTopic: 'dlq.{topic}' } } as never
    expect(topicsSelected(plan, everyDeadLetter)).toEqual(['dlq.in', 'dlq.labels'])
    expect(topicsSelected(plan, { ...everyDeadLetter, topics: ['labels'] })).toEqual(['dlq.labels'])
    expect(topicsSelected(plan, { ...everyDeadLetter, ids: new Set(['dlq.in:0@1']) })).toEqual(['dlq.in'])
    expect(replayTopicOf(plan)).toBe('dlq.app.replays')
    expect(replayTopicOf({ name: 'app', sinks: { deadLetterTopic: 'dead' } as never })).toBe(
      'dead.app.replays',
    )
  })
})

describe('a replayed record', () => {
  test('is the original: its headers without those of the dead letter, and where it comes from', () => {
    expect(replayedRecord(letter(7), 4)).toEqual({
      kind: 'dead-letter',
      topic: 'in',
      partition: 3,
      key: Buffer.from('c1'),
      value: Buffer.from('value 7'),
      headers: headersOf({
        traceparent: Buffer.from('00-1-2-01'),
        'millrace.replay.id': 'dlq.in:1@7',
        'millrace.replay.from': 'in:3@107',
      }),
    })
  })

  test('goes to the partition of its key when its own is gone', () => {
    const { partition } = replayedRecord(letter(7), 2)
    expect(partition).toBe(partitionOfKey(Buffer.from('c1'), 2))
    expect(replayedRecord(letter(7, { key: null }), 2).partition).toBe(1)
  })

  test('that fails again and is replayed again names its last dead letter only', () => {
    const second = letter(9, { headers: changed(rawOf(9).headers, 'millrace.replay.id', 'dlq.in:1@7') })
    expect(second.replayOf).toBe('dlq.in:1@7')
    expect(headerText(replayedRecord(second, 4).headers ?? [], 'millrace.replay.id')).toBe('dlq.in:1@9')
  })
})

function stored({ key, value }: OutputRecord): RawRecord {
  return { ...rawOf(0), topic: 'ledger', key, value: Buffer.from(String(value)), headers: [] }
}

describe('the ledger', () => {
  test('remembers a letter by place and content: a recreated dead-letter topic is another one', () => {
    const ledger = createReplayLedger(['dlq.in'])
    ledger.add(stored(ledgerRecord(letter(7), 'ledger', 1, 0)))
    expect([ledger.has(letter(7)), ledger.has(letter(8))]).toEqual([true, false])
    expect(ledger.has(letter(7, { value: Buffer.from('other') }))).toBe(false)
    expect(ledger.has(letter(7, { timestamp: 5 }))).toBe(false)
    expect(ledger.has(letter(7, { partition: 0 }))).toBe(false)
  })

  test('leaves out other topics and what it did not write, and is bounded', () => {
    const ledger = createReplayLedger(['dlq.in'], 2)
    ledger.add(stored(ledgerRecord(letter(1, { topic: 'dlq.other' }), 'ledger', 1, 0)))
    for (const [key, value] of [
      [null, '{}'],
      ['dlq.in:1@1', '{'],
      ['dlq.in:1@1', '{"digest":"xyz"}'],
      ['no place', '{"digest":"00000000"}'],
    ] as const)
      ledger.add({ ...rawOf(0), key: key === null ? null : Buffer.from(key), value: Buffer.from(value) })
    expect(ledger.size).toBe(0)
    ledger.add(stored(ledgerRecord(letter(1), 'ledger', 1, 0)))
    ledger.add(stored(ledgerRecord(letter(2), 'ledger', 1, 0)))
    expect(() => ledger.add(stored(ledgerRecord(letter(3), 'ledger', 1, 0)))).toThrow(/more than 2/)
  })
})

test('a ledger that may forget, by time, by size or by key, or that has forgotten, is refused', () => {
  const kept = { topic: 'ledger', cleanupPolicy: 'delete', retentionMs: -1, retentionBytes: -1 }
  expect(() => refuseForgetful(kept)).not.toThrow()
  for (const change of [{ retentionMs: 1 }, { retentionBytes: 0 }, { cleanupPolicy: 'compact,delete' }])
    expect(() => refuseForgetful({ ...kept, ...change }), JSON.stringify(change)).toThrow(/would forget/)
  expect(() => refuseForgotten({ topic: 'ledger', partition: 0 }, 0)).not.toThrow()
  expect(() => refuseForgotten({ topic: 'ledger', partition: 0 }, 7)).toThrow(/ledger:0 begins at offset 7/)
})

test('what would do harm is replayed only when its reason or its id is asked for', () => {
  const ledger = createReplayLedger(['dlq.in'])
  const left = (
    reason: string,
    filter: Partial<typeof everyDeadLetter> = {},
    group = 'g',
  ): ReplayStep | null => {
    const headers = changed(rawOf(1).headers, 'millrace.dlq.reason', reason)
    const sources = new Set(['in'])
    const filters = { ...everyDeadLetter, ...filter }
    return reasonToLeave(letter(1, { headers }), { filter: filters, group, ledger, sources })
  }
  expect(['DECODE', 'SCHEMA', 'VALIDATION', 'TIMESTAMP', 'LATE', 'OVERSIZE'].map((one) => left(one))).toEqual(
    Array.from({ length: 6 }, () => null),
  )
  const stub: Header = ['millrace.dlq.content', 'stub']
  const holdsNothing = letter(1, { headers: [...rawOf(1).headers, stub] })
  const named = { ...everyDeadLetter, ids: new Set([holdsNothing.id]) }
  const parts = { filter: named, group: 'g', ledger, sources: new Set(['in']) }
  expect(reasonToLeave(holdsNothing, parts)).toBe('left: holds no record')
  expect(left('POISON')).toBe('left: killed the process')
  expect(['MISSING', 'INFERENCE', 'OUTPUT'].map((one) => left(one))).toEqual(
    Array.from({ length: 3 }, () => 'left: is in the windows'),
  )
  expect(left('POISON', { reasons: ['POISON'] })).toBeNull()
  expect(left('INFERENCE', { ids: new Set(['dlq.in:1@1']) })).toBeNull()
  expect(left('INFERENCE', { reasons: ['POISON'] })).toBe('left: is in the windows')
  expect(left('DECODE', {}, 'other')).toBe('left: another group')
})

test('a letter whose topic no source reads any more is left, also when its id is asked for', () => {
  const parts = { group: 'g', ledger: createReplayLedger(['dlq.in']), sources: new Set(['labels']) }
  for (const ids of [null, new Set(['dlq.in:1@1'])])
    expect(reasonToLeave(letter(1), { ...parts, filter: { ...everyDeadLetter, ids } })).toBe(
      'left: no source reads its topic',
    )
})

describe('a replay', () => {
  const never = new AbortController().signal

  function replayOf(options: { rate?: number; limit?: number; fails?: () => boolean } = {}) {
    const transactions: (readonly OutputRecord[])[] = []
    const steps: [string, ReplayStep][] = []
    const clock = manualClock()
    const ledger = createReplayLedger(['dlq.in'])
    const replay = new DeadLetterReplay({
      filter: everyDeadLetter,
      group: 'g',
      ledger,
      ledgerTopic: 'ledger',
      sources: new Set(['in']),
      partitionCounts: new Map([
        ['in', 4],
        ['ledger', 1],
      ]),
      bytesMax: new Map([['in', 20_000]]),
      write: async (outputs) => {
        if (options.fails?.() === true) throw new Error('not committed')
        transactions.push(outputs)
      },
      clock,
      rate: options.rate ?? Infinity,
      limit: options.limit ?? Infinity,
      report: (one, step) => steps.push([one.id, step]),
    })
    return { replay, transactions, steps, clock, ledger }
  }

  test('writes each record with its entry of the ledger in one transaction, at most 200 in each', async () => {
    const { replay, transactions } = replayOf()
    for (let i = 0; i < 450; i++) await replay.add(letter(i), never)
    await replay.flush(never)
    expect(transactions.map(({ length }) => length)).toEqual([400, 400, 100])
    for (const outputs of transactions) {
      const ids = (topic: string) =>
        outputs
          .filter((output) => output.topic === topic)
          .map(({ key, headers }) =>
            topic === 'ledger' ? String(key) : headerText(headers ?? [], 'millrace.replay.id'),
          )
      expect(ids('in')).toEqual(ids('ledger'))
    }
  })

  test('leaves out stubs, and what its topic would refuse for its size', async () => {
    const { replay, transactions, steps } = replayOf()
    const headers: Headers = [...letter(0).raw.headers, ['millrace.dlq.content', 'stub']]
    await replay.add(letter(0, { headers }), never)
    await replay.add(letter(1, { value: Buffer.alloc(20_000) }), never)
    await replay.add(letter(2, { value: Buffer.alloc(19_000) }), never)
    await replay.flush(never)
    expect(transactions.length).toBe(1)
    expect(steps.map(([, step]) => step)).toEqual([
      'left: holds no record',
      'left: larger than its topic takes',
      'replayed',
    ])
  })

  test('leaves out what the ledger has', async () => {
    const { replay, transactions, steps, ledger } = replayOf()
    ledger.add(stored(ledgerRecord(letter(1), 'ledger', 1, 0)))
    for (const i of [0, 1, 2]) await replay.add(letter(i), never)
    await replay.flush(never)
    expect(transactions.flat().filter(({ topic }) => topic === 'in').length).toBe(2)
    expect(steps).toContainEqual(['dlq.in:1@1', 'replayed before'])
  })

  test('reports nothing as replayed that was not acknowledged', async () => {
    const { replay, steps } = replayOf({ fails: () => true })
    await replay.add(letter(0), never)
    await expect(replay.flush(never)).rejects.toThrow('not committed')
    expect([steps, replay.written]).toEqual([[], 0])
  })

  test('keeps to its rate, in small transactions when it is low', async () => {
    const { replay, transactions, clock } = replayOf({ rate: 8 })
    const adding = (async () => {
      for (let i = 0; i < 16; i++) await replay.add(letter(i), never)
    })()
    const written = (): number => transactions.flat().length / 2
    await clock.advance(0)
    expect(written()).toBe(2)
    await clock.advance(1000)
    expect(written()).toBe(10)
    await clock.advance(1000)
    await adding
    expect(written()).toBe(16)
  })

  test('and its dry run count the same letters to the limit: those that are written', async () => {
    const { replay, ledger } = replayOf({ limit: 2 })
    const mayTakeMore = writeLimit(2)
    const before = [0, 1, 3]
    for (const i of before) ledger.add(stored(ledgerRecord(letter(i), 'ledger', 1, 0)))
    const [more, dry]: boolean[][] = [[], []]
    for (let i = 0; i < 5; i++) {
      more!.push(await replay.add(letter(i), never))
      dry!.push(mayTakeMore(before.includes(i) ? 'replayed before' : null))
    }
    expect(more).toEqual([true, true, true, true, false])
    expect(dry).toEqual(more)
  })

  test('stops at its limit', async () => {
    const { replay } = replayOf({ limit: 3 })
    const more: boolean[] = []
    for (let i = 0; i < 3; i++) more.push(await replay.add(letter(i), never))
    expect(more).toEqual([true, true, false])
  })
})
