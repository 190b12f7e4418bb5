import { expect, test } from 'vitest'
import { MillraceError } from '../../../../src/errors.ts'
import { createDecoder } from '../../../../src/decode/decoder.ts'
import type { SampledRun } from '../../../../src/kafka/log-sample.ts'
import { sourceOf } from '../../../../src/pipeline/partition-context.ts'
import type { RawRecord } from '../../../../src/record/raw-record.ts'
import { roundedUp } from '../../../../src/service/doctor/records.ts'
import { likelyUnit, readSample, type SourceSample } from '../../../../src/service/doctor/sample.ts'
import { manualClock } from '../../../../src/time/manual-clock.ts'
import { find, plan } from './world.ts'

const nowMs = Date.UTC(2026, 0, 31, 12)
const [minuteMs, hourMs, dayMs] = [60_000, 3_600_000, 86_400_000]

interface Written {
  readonly ts: number
  /** When it was written; as the event time if not told. */
  readonly at?: number
  readonly key?: string
  readonly more?: object
}

function record(topic: string, offset: number, { ts, at = ts, key, more = {} }: Written): RawRecord {
  const own =
    topic === 'in' ? { customer: 'c', terminal: 't', amountCents: 5 } : { terminal: 't', fraud: true }
  const value = Buffer.from(JSON.stringify({ id: `e${offset}`, ...own, ts, ...more }))
  const keyBytes = Buffer.from(key ?? (topic === 'in' ? 'c' : 't'))
  return { topic, partition: 0, offset, timestamp: at, key: keyBytes, value, headers: [] }
}

function sampled(name: string, written: readonly Written[]): SourceSample {
  const source = sourceOf(plan, name)
  const run: SampledRun = {
    partition: 0,
    part: 'newest',
    records: written.map((one, index) => record(source.topic, index, one)),
  }
  return readSample(source, createDecoder(source, null, manualClock()), [run])
}

const many = <T>(count: number, one: (index: number) => T): T[] =>
  Array.from({ length: count }, (_, i) => one(i))

function finding(id: Parameters<typeof find>[0], ...samples: readonly SourceSample[]) {
  const value = samples.map((sample) => ({ source: sample.source, sample: { value: sample } }))
  return find(id, { samples: { value } })
}

test.each([
  [1_769_860_800, 's'],
  [1_769_860_800_000, 'ms'],
  [1_769_860_800_000_000, 'us'],
  [1_769_860_800_000_000_000, 'ns'],
  [Date.UTC(1980, 0, 1), 'ms'],
  [Date.UTC(1980, 0, 1) / 1000, 's'],
  [743, null],
  [0, null],
  [-5, null],
  [1e30, null],
])('the unit of %d is %s, by its size', (value, unit) => {
  expect(likelyUnit(value)).toBe(unit)
})

test.each([
  ['s', 1_000, /epoch seconds/],
  ['us', 1e-3, /epoch microseconds/],
] as const)('times in %s are named, with the line that mends them', (unit, divisor, found) => {
  const sample = sampled(
    'transactions',
    many(20, (i) => ({ ts: Math.floor((nowMs + i) / divisor), at: nowMs + i })),
  )
  const report = finding('records.time', sample)
  expect(report).toMatchObject({
    status: 'fail',
    fix: `In the topology, for source transactions: time: {field: "ts", unit: ${unit}}`,
  })
  expect(report.found).toMatch(found)
  expect(report.found).toMatch(/100 %/)
})

test('a few times in another unit are a warning; hours since a start are no epoch time in any unit', () => {
  const mixed = many(100, (i) => ({ ts: i < 3 ? Math.floor(nowMs / 1000) : nowMs, at: nowMs }))
  expect(finding('records.time', sampled('transactions', mixed))).toMatchObject({ status: 'warn' })
  const steps = sampled(
    'transactions',
    many(744, (i) => ({ ts: i, at: nowMs })),
  )
  expect(finding('records.time', steps)).toMatchObject({
    status: 'fail',
    found: expect.stringContaining('no epoch time in any unit'),
  })
})

test('times as they should be, old ones too, and one that is merely too early for its record, are not odd', () => {
  const history = many(50, (i) => ({ ts: Date.UTC(1999, 0, 1) + i, at: nowMs }))
  const future = [{ ts: nowMs + dayMs, at: nowMs }]
  expect(finding('records.time', sampled('transactions', [...history, ...future])).status).toBe('ok')
})

test('records that would be dead letters: how many, why, and where the first one is', () => {
  const sample = sampled('transactions', [
    ...many(97, () => ({ ts: nowMs })),
    { ts: nowMs, more: { amountCents: 'much' } },
    { ts: nowMs, more: { amountCents: 'more' } },
    { ts: nowMs, more: { id: '' } },
  ])
  const report = finding('records.decode', sample)
  expect(report.status).toBe('warn')
  expect(report.found).toMatch(/^transactions: 3 of 100 sampled records \(3\.0 %\) would be dead letters/)
  expect(report.found).toMatch(/2 × SCHEMA, as in in:0@97: .*\/amountCents/)
  expect(report.found).toMatch(/1 × \w+, as in in:0@99/)
  expect(report.fix).toContain('schema of transactions')
})

test('more than the share at which the service stops is a failure', () => {
  const sample = sampled(
    'transactions',
    many(10, () => ({ ts: nowMs, more: { amountCents: -1 } })),
  )
  expect(finding('records.decode', sample)).toMatchObject({
    status: 'fail',
    found: expect.stringContaining('at more than 20 % of in the service stops'),
  })
})

test('a key that is another field of the record is told by its name', () => {
  const mismatched = many(5, (i) => ({ ts: nowMs, key: `t${i}`, more: { terminal: `t${i}` } }))
  const report = finding('records.decode', sampled('transactions', mismatched))
  expect(report.fix).toContain('write `key: terminal` for source transactions')
  const strange = sampled('transactions', [...mismatched, { ts: nowMs, key: 'x' }])
  expect(finding('records.decode', strange).fix).not.toContain('key: terminal')
})

test('disorder is told; events that it makes late are a warning with the outOfOrder that keeps them', () => {
  const jumpy = (behindMs: number) =>
    sampled(
      'transactions',
      many(100, (i) => ({ ts: nowMs + i * 1000 - (i % 10 === 9 ? behindMs : 0), at: nowMs + hourMs })),
    )
  expect(finding('records.order', jumpy(30 * minuteMs))).toMatchObject({
    status: 'ok',
    found: expect.stringContaining('all at most 30m behind'),
  })
  const late = finding('records.order', jumpy(3 * hourMs))
  expect(late).toMatchObject({
    status: 'warn',
    fix: expect.stringContaining('outOfOrder: 2h for source transactions'),
  })
  expect(late.found).toContain('10 % of the sample is late')
})

test('labels that come later than the delay of what reads them: how much, and which delay would do', () => {
  const aged = (ageMs: (i: number) => number) =>
    sampled(
      'labels',
      many(200, (i) => ({ ts: nowMs + i * hourMs - ageMs(i), at: nowMs + i * hourMs })),
    )
  expect(
    finding(
      'records.label-age',
      aged(() => 6 * dayMs),
    ),
  ).toMatchObject({ status: 'ok' })
  const report = finding(
    'records.label-age',
    aged((i) => (i % 4 === 0 ? 9 * dayMs : hourMs)),
  )
  expect(report).toMatchObject({
    status: 'warn',
    fix: expect.stringContaining('delay: 9d or more for fraud_7d'),
  })
  expect(report.found).toContain('fraud_7d has delay 7d: 25 % come later')
})

test('a fresh log of live labels, of many ages in any order, is measured', () => {
  const written = many(200, (i) => ({ ts: nowMs - ((i * 7919) % 200) * dayMs, at: nowMs + i }))
  expect(finding('records.label-age', sampled('labels', written)).status).toBe('warn')
})

test.each([
  ['an upload of a year within seconds', (i: number) => ({ ts: nowMs - dayMs * (365 - i), at: nowMs + i })],
  ['record timestamps that are the event times', (i: number) => ({ ts: nowMs + i * hourMs })],
])('%s does not tell how old labels are, and nothing is said of delays', (_, one) => {
  expect(finding('records.label-age', sampled('labels', many(300, one)))).toMatchObject({
    status: 'unknown',
    fix: null,
  })
})

test('a source that could not be sampled says why, and the others are judged', () => {
  const error = (code: 'SCHEMA_UNKNOWN' | 'KAFKA_UNAUTHORISED') => ({
    error: new MillraceError(code, 'no id 7'),
  })
  const odd = sampled(
    'transactions',
    many(9, () => ({ ts: 5, at: nowMs })),
  )
  const found = (code: 'SCHEMA_UNKNOWN' | 'KAFKA_UNAUTHORISED', id: 'records.decode' | 'records.time') =>
    find(id, {
      samples: {
        value: [
          { source: 'transactions', sample: { value: odd } },
          { source: 'labels', sample: error(code) },
        ],
      },
    })
  expect(found('SCHEMA_UNKNOWN', 'records.decode')).toMatchObject({
    status: 'warn',
    found: expect.stringContaining('labels: SCHEMA_UNKNOWN: no id 7'),
  })
  expect(found('KAFKA_UNAUTHORISED', 'records.decode')).toMatchObject({
    status: 'unknown',
    fix: 'Grant Read on the topic of labels to have this checked.',
  })
  expect(found('KAFKA_UNAUTHORISED', 'records.time').status).toBe('fail')
})

test('without records there is nothing to complain about', () => {
  for (const id of ['records.decode', 'records.time', 'records.order', 'records.label-age'] as const) {
    expect(finding(id, sampled('transactions', []), sampled('labels', [])).status).toBe('ok')
  }
})

test('durations as one would write them', () => {
  expect([0, 1, 90_000, 3 * minuteMs + 1, 5 * hourMs - 1, 50 * hourMs].map(roundedUp)).toEqual([
    '0ms',
    '1s',
    '90s',
    '4m',
    '5h',
    '3d',
  ])
})
