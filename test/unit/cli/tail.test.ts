import { describe, expect, test } from 'vitest'
import { createPrinter, topicsOf } from '../../../src/cli/tail.ts'
import { headersOf } from '../../../src/record/headers.ts'
import { formatTailed } from '../../../src/cli/tail-format.ts'
import type { RawRecord } from '../../../src/record/raw-record.ts'

const prediction = {
  id: 'l1-9',
  key: 'c01',
  occurredAt: Date.UTC(2026, 0, 31, 12),
  scoredAt: 0,
  score: 0.91234,
  decision: 'review',
  model: { name: 'm', version: '1', digest: 'd' },
  flags: ['late'],
  position: { topic: 'tx', partition: 0, offset: 1 },
}
const alert = {
  ...prediction,
  flags: [],
  alertId: 'a1',
  severity: 'high',
  rules: [
    { id: 'model-score', severity: 'high' },
    { id: 'card-testing', severity: 'medium' },
  ],
  reasons: [{ feature: 'terminal_risk_7d', value: 0.82, baseline: 0, effect: 0.5 }],
  caseKey: 'c01',
}

function record(value: unknown, headers: RawRecord['headers'] = []): RawRecord {
  return {
    topic: 'out',
    partition: 2,
    offset: 77,
    timestamp: Date.UTC(2026, 0, 31, 12, 0, 1),
    key: Buffer.from('c01'),
    value: Buffer.isBuffer(value) || value === null ? value : Buffer.from(JSON.stringify(value)),
    headers,
  }
}

describe('a tailed line', () => {
  test('of a prediction has time, score, decision, key, id, flags and place', () => {
    expect(formatTailed('predictions', record(prediction), 'line')).toBe(
      '2026-01-31T12:00:00.000Z  0.9123  review  key=c01  id=l1-9  flags=late  out:2@77',
    )
  })

  test('of an alert has severity, rules and reasons', () => {
    expect(formatTailed('alerts', record(alert), 'line')).toBe(
      '2026-01-31T12:00:00.000Z  0.9123  high  key=c01  id=l1-9  rules=model-score,card-testing  because terminal_risk_7d 0.82 (usually 0)  out:2@77',
    )
  })

  test('of a dead letter comes from its headers, never from its contents', () => {
    const headers = headersOf({
      'millrace.dlq.reason': Buffer.from('SCHEMA'),
      'millrace.dlq.stage': 'decode',
      '__dlq.errors.topic': 'tx',
      '__dlq.errors.partition': '3',
      '__dlq.errors.offset': '12',
      '__dlq.errors.message': 'amountCents is missing',
    })
    expect(formatTailed('deadletters', record({ secret: 1 }, headers), 'line')).toBe(
      '2026-01-31T12:00:01.000Z  SCHEMA  decode  from tx:3@12  amountCents is missing  out:2@77',
    )
  })

  test('cannot steer the terminal', () => {
    const line = formatTailed('predictions', record({ ...prediction, id: '\u001b[2Jx\n' }), 'line')
    expect(line).toContain('id=?[2Jx?')
  })

  test('of something else says so instead of failing', () => {
    for (const value of [
      null,
      Buffer.from([0, 0, 0, 0, 7]),
      [1],
      { score: 1 },
      { score: 1, occurredAt: 1e99 },
    ]) {
      expect(formatTailed('predictions', record(value), 'line')).toMatch(/^out:2@77 {2}\d+ bytes, not JSON/)
    }
  })
})

describe('as JSON', () => {
  test('a record has its place, headers and value', () => {
    const text = formatTailed(
      'predictions',
      record(prediction, [['traceparent', Buffer.from('00-a')]]),
      'json',
    )
    expect(JSON.parse(text)).toEqual({
      topic: 'out',
      partition: 2,
      offset: 77,
      timestamp: Date.UTC(2026, 0, 31, 12, 0, 1),
      key: 'c01',
      headers: { traceparent: '00-a' },
      value: prediction,
    })
  })

  test('bytes that are not JSON come in base64', () => {
    const bytes = Buffer.from([0, 0, 0, 0, 7, 255])
    expect(JSON.parse(formatTailed('predictions', record(bytes), 'json'))).toMatchObject({
      valueBase64: 'AAAAAAf/',
    })
    expect(JSON.parse(formatTailed('deadletters', record(null), 'json'))).toMatchObject({ value: null })
  })
})

test('topics are those of the sinks; dead letters of every source', () => {
  const plan = {
    sources: [{ topic: 'tx' }, { topic: 'lb' }],
    sinks: { predictions: { topic: 'p' }, alerts: { topic: 'a' }, deadLetterTopic: 'dlq.{topic}' },
  } as unknown as Parameters<typeof topicsOf>[1]
  expect((['predictions', 'alerts', 'deadletters'] as const).map((what) => topicsOf(what, plan))).toEqual([
    ['p'],
    ['a'],
    ['dlq.tx', 'dlq.lb'],
  ])
})

test('printing ends with the number asked for', () => {
  const lines: string[] = []
  const print = createPrinter('predictions', { number: 2, output: 'json' }, (line) => lines.push(line))
  expect([1, 2, 3].map(() => print(record(prediction)))).toEqual([true, false, false])
  expect(lines).toHaveLength(2)
})

test('a number that a double would round is shown with the digits it came with, and a header of any name', () => {
  const value = Buffer.from('{"merchant":9007199254740993,"cents":1234,"big":1e400}')
  const headers: RawRecord['headers'] = [
    ['constructor', Buffer.from('x')],
    ['none', null],
  ]
  const line = formatTailed('deadletters', record(value, headers), 'json')
  expect(line).toContain('"value":{"merchant":9007199254740993,"cents":1234,"big":1e400}')
  expect(line).toContain('"headers":{"constructor":"x","none":""}')
})
