/** Rows of a replay as CSV or Parquet: the same columns in the same order. */
import { extname } from 'node:path'
import { ByteWriter, ParquetWriter, schemaFromColumnData, type BasicType } from 'hyparquet-writer'
import { MillraceError } from '../errors.ts'
import type { ReplayedRow } from '../service/replay.ts'
import { standardOutput } from './output-file.ts'

export type TableFormat = 'csv' | 'parquet'

/** By the ending of the file; without one, and on standard output, CSV. */
export function tableFormatOf(out: string): TableFormat {
  const ending = out === standardOutput ? '' : extname(out).toLowerCase()
  if (ending === '' || ending === '.csv') return 'csv'
  if (ending === '.parquet') return 'parquet'
  throw new MillraceError(
    'USAGE',
    `--out ${out}: files that end in ${ending} are not written. Name a .csv or .parquet file, or - for CSV on standard output.`,
  )
}

/** Null: missing. */
type Cell = string | number | null

interface Column {
  readonly name: string
  readonly type: BasicType
  readonly of: (row: ReplayedRow) => Cell
}

export interface TableColumns {
  /** Values and features, in the order of a row's numbers. */
  readonly names: readonly string[]
  /** Null: no labels. */
  readonly label: 'number' | 'text' | null
}

/** What stands beside values and features. */
const ownColumns: readonly Column[] = [
  { name: 'id', type: 'STRING', of: ({ id }) => id },
  { name: 'key', type: 'STRING', of: ({ key }) => key },
  { name: 'ts', type: 'INT64', of: ({ time }) => time },
  { name: 'partition', type: 'INT32', of: ({ partition }) => partition },
  { name: 'offset', type: 'INT64', of: ({ offset }) => offset },
  { name: 'flags', type: 'STRING', of: ({ flags }) => (flags.length === 0 ? null : flags.join('|')) },
]

// Not labelled yet: empty, so that nobody trains on "not fraud" where nobody knows.
const labelColumn = (type: BasicType): Column => ({
  name: 'label',
  type,
  of: ({ label }) => (typeof label === 'boolean' ? Number(label) : label),
})

/** Throws USAGE when a value or feature has the name of another column. */
export function tableColumns({ names, label }: TableColumns): readonly Column[] {
  const own = [
    ...ownColumns,
    ...(label === null ? [] : [labelColumn(label === 'text' ? 'STRING' : 'DOUBLE')]),
  ]
  const taken = names.find((name) => own.some((column) => column.name === name))
  if (taken !== undefined) {
    throw new MillraceError(
      'USAGE',
      `${taken} is the name of a value or feature and of a column that replay writes itself; rename it in the topology`,
    )
  }
  const numbers = names.map((name, i): Column => ({
    name,
    type: 'DOUBLE',
    of: ({ numbers: all }) => (Number.isFinite(all[i]) ? all[i]! : null),
  }))
  return [...own.slice(0, ownColumns.length), ...numbers, ...own.slice(ownColumns.length)]
}

export interface TableWriter {
  add(row: ReplayedRow): Promise<void>
  end(): Promise<void>
}

type Write = (bytes: string | Uint8Array) => Promise<void>

export function openTable(format: TableFormat, columns: readonly Column[], write: Write): TableWriter {
  return format === 'csv' ? csvTable(columns, write) : parquetTable(columns, write)
}

const chunkChars = 64 * 1024

function csvTable(columns: readonly Column[], write: Write): TableWriter {
  let text = `${columns.map(({ name }) => csvCell(name)).join(',')}\n`
  const flush = async (): Promise<void> => {
    const full = text
    text = ''
    await write(full)
  }
  return {
    async add(row) {
      text += `${columns.map((column) => csvCell(column.of(row))).join(',')}\n`
      if (text.length >= chunkChars) await flush()
    },
    end: flush,
  }
}

/** RFC 4180. An empty cell is missing; a text without letters is quoted. */
function csvCell(cell: Cell): string {
  if (cell === null) return ''
  if (typeof cell === 'number') return String(cell)
  return cell === '' || /[",\n\r]|^\s|\s$/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell
}

const groupCellsMax = 1_000_000

function parquetTable(columns: readonly Column[], write: Write): TableWriter {
  const groupRowsMax = Math.max(1, Math.floor(groupCellsMax / columns.length))
  const bytes = new ByteWriter()
  const schema = schemaFromColumnData({
    columnData: columns.map(({ name, type }) => ({ name, type, data: [], nullable: true })),
  })
  const parquet = new ParquetWriter({ writer: bytes, schema, createdBy: 'millrace replay' })
  let cells: unknown[][] = columns.map(() => [])
  const takeBytes = async (): Promise<void> => {
    const full = bytes.getBytes().slice()
    bytes.index = 0
    await write(full)
  }
  const endGroup = async (): Promise<void> => {
    const data = cells
    cells = columns.map(() => [])
    await parquet.write({
      columnData: columns.map(({ name, type }, i) => ({ name, type, data: data[i]! })),
      rowGroupSize: groupRowsMax,
    })
    await takeBytes()
  }
  return {
    async add(row) {
      for (const [i, { type, of }] of columns.entries()) {
        const cell = of(row)
        cells[i]!.push(parquetCell(type, cell))
      }
      if (cells[0]!.length >= groupRowsMax) await endGroup()
    },
    async end() {
      if (cells[0]!.length > 0) await endGroup()
      await parquet.finish()
      await takeBytes()
    },
  }
}

function parquetCell(type: BasicType, cell: Cell): string | number | bigint | null {
  if (cell === null) return null
  if (type === 'STRING') return String(cell)
  // A label beyond 2^53 comes as its digits.
  return type === 'INT64' ? BigInt(cell) : Number(cell)
}
