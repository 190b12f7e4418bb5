import { describe, expect, test } from 'vitest'
import { filterOf } from '../../../src/cli/dlq-filter.ts'
import { countsText, createLetterFormat, letterDetails } from '../../../src/cli/dlq-format.ts'
import { headersOf } from '../../../src/record/headers.ts'
import { parseDeadLetter, type DeadLetter } from '../../../src/service/dead-letters/dead-letter.ts'

const sources = [{ name: 'transactions', topic: 'in' }] as never
const plan = { sources, sinks: { deadLetterTopic: 'dlq.{topic}' } } as never

function letter(change: { message?: string; value?: Buffer | null } = {}): DeadLetter {
  return parseDeadLetter({
    topic: 'dlq.in',
    partition: 0,
    offset: 12,
    timestamp: 0,
    key: null,
    value: change.value ?? null,
    headers: headersOf({
      '__dlq.errors.topic': 'in',
      '__dlq.errors.partition': '3',
      '__dlq.errors.offset': '7',
      '__dlq.errors.message': change.message ?? 'wrong',
      'millrace.dlq.reason': 'DECODE',
      'millrace.dlq.stage': 'decode',
      'millrace.dlq.failed-at': '2026-01-04T00:00:00.000Z',
    }),
  })!
}

describe('filters of millrace dlq', () => {
  test('are taken as written: names, numbers as offsets, ISO texts as times', () => {
    expect(
      filterOf({ reason: ['decode'], source: ['transactions'], from: '12', to: '2026-01-04T00:00Z' }, plan),
    ).toMatchObject({
      reasons: ['DECODE'],
      topics: ['in'],
      fromOffset: 12,
      fromMs: null,
      toMs: Date.UTC(2026, 0, 4),
      toOffset: null,
      ids: null,
    })
  })

  test('that cannot match anything are refused', () => {
    const refused = (options: Parameters<typeof filterOf>[0], text: RegExp): void =>
      expect(() => filterOf(options, plan)).toThrow(text)
    refused({ reason: ['DECOD'] }, /did you mean DECODE/i)
    refused({ stage: ['models'] }, /model/)
    refused({ source: ['labels'] }, /transactions, in/)
    refused({ from: 'yesterday' }, /ISO time/)
    refused({ id: ['dlq.in'] }, /TOPIC:PARTITION@OFFSET/)
    refused(
      { id: ['dlq.in:0@1', 'in:0@1'] },
      /in is no dead-letter topic of these sources, which have dlq\.in/,
    )
  })
})

describe('lines of millrace dlq', () => {
  test('a table row has one line, cut, without control characters', () => {
    const { letter: row } = createLetterFormat('table', plan, 'message')
    const text = row(letter({ message: `bell \u0007 ${'x'.repeat(300)}` }))
    expect(text).toContain('bell ? xxx')
    expect(text.split('\n').length).toBe(2)
    expect(text.length).toBeLessThan(220)
  })

  test('JSON has one value a line and no table head', () => {
    const { head, letter: row } = createLetterFormat('json', plan, 'message')
    expect(head).toBe('')
    expect(JSON.parse(row(letter()))).toMatchObject({
      id: 'dlq.in:0@12',
      source: { offset: 7 },
      failedAt: '2026-01-04T00:00:00.000Z',
    })
  })

  test('counts are sorted, with a total', () => {
    const counts = new Map([
      ['LATE', 2],
      ['DECODE', 5],
    ])
    expect(countsText(counts, 'reason', 'table')).toBe(
      'DECODE              5\nLATE                2\ntotal               7\n',
    )
    expect(JSON.parse(countsText(counts, 'reason', 'json'))).toEqual({
      total: 7,
      reason: { DECODE: 5, LATE: 2 },
    })
  })

  test('bytes that are no text are shown in hex, text as text', () => {
    const verdict = { outcome: 'scored', flags: ['late'], message: 'late' } as const
    const details = (value: Buffer | null): string => letterDetails(letter({ value }), verdict, 'table')
    expect(details(Buffer.from([0, 0, 0, 1, 255, 65]))).toContain('000000  00 00 00 01 ff 41')
    expect(details(Buffer.from('grün'))).toContain('5 bytes, text\n  grün')
    expect(details(null)).toContain('value   none (null)')
    expect(details(null)).toContain('now     would be scored (flags: late): late')
  })
})
