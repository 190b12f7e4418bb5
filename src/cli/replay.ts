import { createWriteStream } from 'node:fs'
import { once } from 'node:events'
import { Command } from 'commander'
import { MillraceError } from '../errors.ts'
import { readReplay, type ReplayedRow } from '../service/replay.ts'
import { openLog, type Log } from '../telemetry/log.ts'
import { systemClock } from '../time/system-clock.ts'
import { loadTopology } from '../topology/load.ts'
import type { Plan } from '../topology/plan.ts'
import { listenForStop } from './stop-signal.ts'

interface ReplayOptions {
  readonly topology: string
  readonly out: string
  readonly from?: number
  readonly to?: number
  readonly labels?: string
  readonly asOf?: number
}

export function replayCommand(): Command {
  return new Command('replay')
    .description(
      'Features of every scored event, recomputed from the log by the code that serves; no model, no Redis.',
    )
    .requiredOption('--topology <file>', 'topology file (YAML)')
    .requiredOption('--out <file>', 'CSV file to write; - for standard output')
    .option('--from <time>', 'rows of events from this event time on (epoch ms or ISO)', time)
    .option('--to <time>', 'rows of events before this event time', time)
    .option('--labels <source.field>', 'add a column `label`: this field of the state source, joined by id')
    .option('--as-of <time>', 'only labels that were published before this time', time)
    .action(async (options: ReplayOptions) => {
      await replay(options)
    })
}

async function replay(options: ReplayOptions): Promise<void> {
  const plan = await loadTopology(options.topology, process.env, { model: 'optional' })
  const log = openLog(process.env, process.stderr)
  using stop = listenForStop(process)
  const summary = await writeReplay(
    {
      plan,
      out: options.out,
      labels: options.labels === undefined ? null : labelField(options.labels),
      asOf: options.asOf ?? Infinity,
      from: options.from ?? -Infinity,
      to: options.to ?? Infinity,
    },
    log,
    stop.signal,
  )
  log.info({ ...summary, out: options.out }, 'replayed')
}

export interface ReplayFile {
  readonly plan: Plan
  /** CSV file; `-`: standard output. */
  readonly out: string
  readonly labels: { readonly source: string; readonly field: string } | null
  /** Labels published before this time count, epoch ms. */
  readonly asOf: number
  /** Event times [from, to) that get a row. */
  readonly from: number
  readonly to: number
}

/** Writes one CSV line per scored event: id, key, ts, partition, offset, every value and feature, label. */
export async function writeReplay(
  file: ReplayFile,
  log: Log,
  signal: AbortSignal,
): Promise<{ rows: number; scored: number; rejected: number }> {
  const { plan, labels, asOf, from, to } = file
  const out = file.out === '-' ? process.stdout : createWriteStream(file.out)
  const write = async (line: string): Promise<void> => {
    if (!out.write(`${line}\n`)) await once(out, 'drain')
  }
  const columns = ['id', 'key', 'ts', 'partition', 'offset', ...plan.features.names]
  await write([...columns, ...(labels ? ['label'] : [])].join(','))
  let rows = 0
  const summary = await readReplay(
    { plan, clock: systemClock, log, labels, asOf },
    async (row) => {
      if (row.time < from || row.time >= to) return
      rows++
      await write(csvLine(row, labels !== null))
    },
    signal,
  )
  if (out !== process.stdout) {
    out.end()
    await once(out, 'finish')
  }
  return { rows, ...summary }
}

function csvLine(row: ReplayedRow, withLabel: boolean): string {
  const numbers = Array.from(row.numbers, (value) => (Number.isFinite(value) ? String(value) : ''))
  const cells = [quoted(row.id), quoted(row.key), String(row.time), String(row.partition), String(row.offset)]
  // Not labelled yet: empty, so that nobody trains on "not fraud" where nobody knows.
  const label = row.label === null ? '' : String(Number(row.label))
  return [...cells, ...numbers, ...(withLabel ? [label] : [])].join(',')
}

function quoted(text: string): string {
  return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text
}

function labelField(text: string): { source: string; field: string } {
  const [source, field, ...rest] = text.split('.')
  if (source && field && rest.length === 0) return { source, field }
  throw new MillraceError('USAGE', `--labels ${text}: write SOURCE.FIELD, for example labels.fraud`)
}

function time(text: string): number {
  const value = /^\d+$/.test(text) ? Number(text) : Date.parse(text)
  if (Number.isSafeInteger(value)) return value
  throw new MillraceError('USAGE', `${text} is no time; write epoch milliseconds or an ISO time`)
}
