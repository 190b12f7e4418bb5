import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parquetReadObjects, parquetSchema, parquetMetadata } from 'hyparquet'
import { expect, onTestFinished, test } from 'vitest'
import { openOutputFile } from '../../../src/cli/output-file.ts'
import { openTable, tableColumns, tableFormatOf, type TableColumns } from '../../../src/cli/replay-table.ts'
import type { ReplayedRow } from '../../../src/service/replay.ts'

function row(change: Partial<ReplayedRow> = {}): ReplayedRow {
  return {
    id: 'tx-1',
    key: 'c1',
    time: 1_767_225_600_000,
    partition: 2,
    offset: 7,
    numbers: Float64Array.of(0.1, 3),
    flags: [],
    label: null,
    lacks: () => [],
    ...change,
  }
}

async function written(
  out: string,
  rows: readonly ReplayedRow[],
  label: TableColumns['label'] = 'number',
): Promise<Buffer> {
  const dir = mkdtempSync(join(tmpdir(), 'millrace-table-'))
  onTestFinished(() => rmSync(dir, { recursive: true }))
  const path = join(dir, out)
  await using file = await openOutputFile(path)
  const columns = tableColumns({ names: ['amount', 'count'], label })
  const table = openTable(tableFormatOf(path), columns, (bytes) => file.write(bytes))
  for (const one of rows) await table.add(one)
  await table.end()
  await file.keep()
  return readFileSync(path)
}

test('a CSV row has id, key, time, place, flags, numbers and label in this order', async () => {
  const csv = await written('x.csv', [row({ flags: ['late', 'capped'], label: true })])
  expect(csv.toString().split('\n')).toEqual([
    'id,key,ts,partition,offset,flags,amount,count,label',
    'tx-1,c1,1767225600000,2,7,late|capped,0.1,3,1',
    '',
  ])
})

test.each<[string, Partial<ReplayedRow>, string]>([
  ['a missing number', { numbers: Float64Array.of(NaN, Infinity) }, 'tx-1,c1,1767225600000,2,7,,,,'],
  ['no label yet', { label: null }, 'tx-1,c1,1767225600000,2,7,,0.1,3,'],
  ['a false label', { label: false }, 'tx-1,c1,1767225600000,2,7,,0.1,3,0'],
  ['a number label', { label: -2.5 }, 'tx-1,c1,1767225600000,2,7,,0.1,3,-2.5'],
  ['a text label', { label: 'stolen, "lost"' }, 'tx-1,c1,1767225600000,2,7,,0.1,3,"stolen, ""lost"""'],
  ['an empty text label', { label: '' }, 'tx-1,c1,1767225600000,2,7,,0.1,3,""'],
  ['a comma in the id', { id: 'a,b' }, '"a,b",c1,1767225600000,2,7,,0.1,3,'],
  ['a quote in the key', { key: 'a"b' }, 'tx-1,"a""b",1767225600000,2,7,,0.1,3,'],
  ['a line break in the key', { key: 'a\nb' }, 'tx-1,"a\nb",1767225600000,2,7,,0.1,3,'],
  ['white space around the id', { id: ' a' }, '" a",c1,1767225600000,2,7,,0.1,3,'],
  [
    'no such number as minus zero',
    { numbers: Float64Array.of(-0, 1e21) },
    'tx-1,c1,1767225600000,2,7,,0,1e+21,',
  ],
])('in CSV, %s', async (_, change, line) => {
  const csv = await written('x.csv', [row(change)], 'text')
  expect(csv.toString()).toBe(`id,key,ts,partition,offset,flags,amount,count,label\n${line}\n`)
})

test('a file that ends in .parquet is Parquet, with the type of every column', async () => {
  const rows = [
    row({ label: true, flags: ['late'] }),
    row({ id: 'é"', offset: 2 ** 53 - 1, numbers: Float64Array.of(NaN, 1 / 3) }),
    row({ label: '1152921504606846976' }), // digits of a label beyond 2^53
  ]
  const { buffer, byteOffset, byteLength } = await written('X.PARQUET', rows)
  const file = buffer.slice(byteOffset, byteOffset + byteLength) as ArrayBuffer
  const own = { key: 'c1', ts: 1_767_225_600_000n, partition: 2 }
  expect(await parquetReadObjects({ file })).toEqual([
    { ...own, id: 'tx-1', offset: 7n, flags: 'late', amount: 0.1, count: 3, label: 1 },
    { ...own, id: 'é"', offset: 2n ** 53n - 1n, flags: null, amount: null, count: 1 / 3, label: null },
    { ...own, id: 'tx-1', offset: 7n, flags: null, amount: 0.1, count: 3, label: 2 ** 60 },
  ])
  const types = parquetSchema(parquetMetadata(file)).children.map(({ element: { name, type } }) => [
    name,
    type,
  ])
  expect(Object.fromEntries(types)).toEqual({
    id: 'BYTE_ARRAY',
    key: 'BYTE_ARRAY',
    ts: 'INT64',
    partition: 'INT32',
    offset: 'INT64',
    flags: 'BYTE_ARRAY',
    amount: 'DOUBLE',
    count: 'DOUBLE',
    label: 'DOUBLE',
  })
})

test('Parquet without a row still has its columns', async () => {
  const { buffer, byteOffset, byteLength } = await written('x.parquet', [], 'text')
  const file = buffer.slice(byteOffset, byteOffset + byteLength) as ArrayBuffer
  expect(await parquetReadObjects({ file })).toEqual([])
  expect(parquetMetadata(file).schema.map(({ name }) => name)).toContain('label')
})

test('more rows than a group holds come back in their order', async () => {
  const count = 250_000
  const rows = Array.from({ length: count }, (_, i) => row({ offset: i, label: i % 2 }))
  const { buffer, byteOffset, byteLength } = await written('x.parquet', rows)
  const file = buffer.slice(byteOffset, byteOffset + byteLength) as ArrayBuffer
  expect(parquetMetadata(file).row_groups.length).toBeGreaterThan(1)
  const back = await parquetReadObjects({ file, columns: ['offset', 'label'] })
  expect(back).toHaveLength(count)
  expect(back.findIndex(({ offset, label }, i) => offset !== BigInt(i) || label !== i % 2)).toBe(-1)
})

test.each(['x.xlsx', 'x.csv.gz', 'x.tsv', 'features.v1'])(
  '%s is refused, and what is written is named',
  (out) => {
    expect(() => tableFormatOf(out)).toThrow(/USAGE|\.csv or \.parquet file, or - /)
  },
)

test.each([['-'], ['x.csv'], ['X.CSV'], ['features'], ['/dev/stdout'], ['a.b/features']])(
  '%s is CSV',
  (out) => {
    expect(tableFormatOf(out)).toBe('csv')
  },
)

test('a feature with the name of a column is refused: nobody could tell them apart', () => {
  expect(() => tableColumns({ names: ['amount', 'key'], label: null })).toThrow(/key is the name of a value/)
  expect(() => tableColumns({ names: ['label'], label: 'number' })).toThrow(/label is the name/)
  expect(tableColumns({ names: ['label'], label: null }).map(({ name }) => name)).toContain('label')
})
