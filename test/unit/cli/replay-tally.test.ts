import { expect, test } from 'vitest'
import { eventTime } from '../../../src/cli/event-time-option.ts'
import { RowTally, type RowChoice } from '../../../src/cli/replay-tally.ts'
import type { LabelCounts } from '../../../src/service/label-field.ts'
import type { ReplayedRow } from '../../../src/service/replay.ts'
import { createLog } from '../../../src/telemetry/log.ts'

const all: RowChoice = { labels: null, asOf: Infinity, from: -Infinity, to: Infinity }

function row(time: number, change: Partial<ReplayedRow> = {}): ReplayedRow {
  const place = { id: `tx-${time}`, key: 'c', partition: 0, offset: 0 }
  return { ...place, time, numbers: new Float64Array(0), flags: [], label: null, lacks: () => [], ...change }
}

function warnings(
  choice: Partial<RowChoice>,
  rows: readonly ReplayedRow[],
  labels: LabelCounts | null = null,
  rejected = 0,
): string {
  const lines: string[] = []
  const log = createLog({
    level: 'warn',
    format: 'json',
    colour: false,
    write: (line) => void lines.push(line),
  })
  const tally = new RowTally({ ...all, ...choice })
  for (const one of rows) tally.takes(one)
  tally.warn({ scored: rows.length, rejected, labels }, log)
  return lines.map((line) => (JSON.parse(line) as { msg: string }).msg).join('\n')
}

const none: LabelCounts = { records: 0, rejected: 0, later: 0, without: 0, ids: 0, sampleId: null }
const labels = { source: 'labels', field: 'fraud' }

test('rows outside [from, to) and rows with a flag that is unwanted are left out', () => {
  const tally = new RowTally({ ...all, from: 10, to: 20, without: ['late'] })
  const taken = [
    row(9),
    row(10),
    row(19),
    row(20),
    row(15, { flags: ['late'] }),
    row(15, { flags: ['capped'], label: 1 }),
  ]
  expect(taken.map((one) => tally.takes(one))).toEqual([false, true, true, false, false, true])
  expect(tally).toMatchObject({ rows: 3, labelled: 1, flagged: { late: 1, capped: 1 } })
})

test.each<[string, Partial<RowChoice>, readonly ReplayedRow[], RegExp]>([
  ['an empty topic', {}, [], /no row was written: the topics of the sources hold no records/],
  [
    'another time',
    { from: Date.UTC(2026, 0, 1) },
    [row(0), row(5)],
    /1970-01-01T00:00:00\.000Z to 1970-01-01T00:00:00\.005Z, outside --from 2026/,
  ],
  [
    'only flagged rows',
    { without: ['late', 'capped'] },
    [row(0, { flags: ['late'] })],
    /all 1 rows .*--without \(late, capped\)/,
  ],
])('no row because of %s is explained', (_, choice, rows, message) => {
  expect(warnings(choice, rows)).toMatch(message)
})

test('no row because every record was refused is explained', () => {
  expect(warnings({}, [], null, 7)).toMatch(/7 records were refused; see `millrace dlq ls`/)
})

test.each<[string, Partial<RowChoice>, Partial<LabelCounts>, RegExp]>([
  ['an empty topic', {}, {}, /0 of 1 rows have a label: the topic of labels is empty/],
  ['--as-of', { asOf: 5 }, { records: 3, later: 3 }, /all 3 records .* --as-of 1970/],
  ['no valid record', {}, { records: 3, rejected: 3 }, /none of the 3 records/],
  ['an absent field', {}, { records: 3, without: 3 }, /fraud is absent or null in all 3 events of labels/],
  [
    'other ids',
    {},
    { records: 3, ids: 3, sampleId: 'L-1' },
    /theirs are like L-1, those of the rows like tx-1/,
  ],
])('no label because of %s is explained', (_, choice, counts, message) => {
  expect(warnings({ labels, ...choice }, [row(1)], { ...none, ...counts })).toMatch(message)
})

test('nothing is said when all is well', () => {
  expect(warnings({ labels }, [row(1, { label: 1 })], { ...none, records: 1, ids: 1 })).toBe('')
})

test.each([
  ['1767225600000', 1_767_225_600_000],
  ['2026-01-31', Date.UTC(2026, 0, 31)],
  ['2026-01-31T01:00:00+01:00', Date.UTC(2026, 0, 31)],
  ['-5', -5],
])('%s is a time', (text, expected) => {
  expect(eventTime(text)).toBe(expected)
})

test.each(['yesterday', '2026-01-31T00:00:00', '2026-13-01', '99999999999999999', ''])(
  '%j is refused',
  (text) => {
    expect(() => eventTime(text)).toThrow(expect.objectContaining({ code: 'USAGE' }))
  },
)
