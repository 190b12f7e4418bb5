import { Command } from 'commander'
import { MillraceError } from '../errors.ts'
import { didYouMean } from '../expression/nearest.ts'
import { predictionFlags, type PredictionFlag } from '../record/prediction.ts'
import { isTextLabel, parseLabelField, type LabelField } from '../service/label-field.ts'
import { readReplay, type ReplaySummary } from '../service/replay.ts'
import { openLog, type Log } from '../telemetry/log.ts'
import { systemClock } from '../time/system-clock.ts'
import { loadTopology } from '../topology/load.ts'
import type { Plan } from '../topology/plan.ts'
import { eventTime } from './event-time-option.ts'
import { openOutputFile } from './output-file.ts'
import { RowTally } from './replay-tally.ts'
import { openTable, tableColumns, tableFormatOf } from './replay-table.ts'
import { listenForStop } from './stop-signal.ts'
import { topologyArgument, topologyFile, topologyOption } from './topology-argument.ts'

interface ReplayOptions {
  readonly topology?: string
  readonly out: string
  readonly from?: number
  readonly to?: number
  readonly labels?: LabelField
  readonly asOf?: number
  readonly without?: readonly PredictionFlag[]
}

export function replayCommand(): Command {
  return new Command('replay')
    .description(
      'Features of every scored event, recomputed from the log by the code that serves; no model, no Redis.',
    )
    .argument(...topologyArgument)
    .option(...topologyOption)
    .requiredOption('--out <file>', 'file to write: .csv or .parquet; - for CSV on standard output')
    .option('--from <time>', 'rows of events from this event time on (epoch ms or ISO)', eventTime)
    .option('--to <time>', 'rows of events before this event time', eventTime)
    .option(
      '--labels <source.field>',
      'add a column `label`: this field of a source (of role state, or the scored one), joined by id',
      parseLabelField,
    )
    .option('--as-of <time>', 'only labels that were published before this time', eventTime)
    .option(
      '--without <flags>',
      `leave out rows with one of these flags: ${predictionFlags.join(', ')}`,
      flagList,
    )
    .action(async (argument: string | undefined, options: ReplayOptions) => {
      await replay(topologyFile(argument, options.topology), options)
    })
}

async function replay(topology: string, options: ReplayOptions): Promise<void> {
  if (options.labels === undefined && options.asOf !== undefined) {
    throw new MillraceError('USAGE', '--as-of says which labels count; add --labels SOURCE.FIELD')
  }
  const plan = await loadTopology(topology, process.env, { model: 'optional' })
  const log = openLog(process.env, process.stderr)
  using stop = listenForStop(process)
  // A reader that has seen enough (`| head`) closes the pipe; that is the end, not an error.
  const closed = new AbortController()
  process.stdout.once('error', () => closed.abort())
  const file: ReplayFile = {
    plan,
    out: options.out,
    labels: options.labels ?? null,
    asOf: options.asOf ?? Infinity,
    from: options.from ?? -Infinity,
    to: options.to ?? Infinity,
    without: options.without ?? [],
  }
  try {
    const summary = await writeReplay(file, log, AbortSignal.any([stop.signal, closed.signal]))
    log.info({ ...summary, out: options.out }, 'replayed')
  } catch (error) {
    if (!closed.signal.aborted) throw error
  }
}

export interface ReplayFile {
  readonly plan: Plan
  /** .csv or .parquet; `-`: CSV on standard output. */
  readonly out: string
  readonly labels: LabelField | null
  /** Labels published before this time count, epoch ms. */
  readonly asOf: number
  /** Event times [from, to) that get a row. */
  readonly from: number
  readonly to: number
  /** Rows with one of these flags get none. */
  readonly without?: readonly PredictionFlag[]
}

export interface WrittenReplay extends ReplaySummary {
  readonly rows: number
  /** Rows with a label. */
  readonly labelled: number
  /** Rows of each flag, written or not. */
  readonly flagged: Readonly<Record<string, number>>
}

/**
 * Writes one row per scored event: id, key, ts, partition, offset, flags, every value and feature, label. All that can
 * be wrong with what is asked for is said before anything is read; the file is there whole or not at all.
 */
export async function writeReplay(file: ReplayFile, log: Log, signal: AbortSignal): Promise<WrittenReplay> {
  const { plan, labels, asOf, from, to } = file
  if (from >= to) {
    throw new MillraceError(
      'USAGE',
      `--from ${shown(from)} is not before --to ${shown(to)}: no event is between`,
    )
  }
  const format = tableFormatOf(file.out)
  const label = labels === null ? null : isTextLabel(plan, labels) ? 'text' : 'number'
  const columns = tableColumns({ names: plan.features.names, label })
  await using out = await openOutputFile(file.out)
  const table = openTable(format, columns, (bytes) => out.write(bytes))
  const tally = new RowTally(file)
  const summary = await readReplay(
    { plan, clock: systemClock, log, labels, asOf },
    async (row) => {
      if (tally.takes(row)) await table.add(row)
    },
    signal,
  )
  await table.end()
  await out.keep()
  if (out.replaces) log.info({ out: file.out }, 'replaced the file that was there')
  tally.warn(summary, log)
  return { rows: tally.rows, labelled: tally.labelled, flagged: tally.flagged, ...summary }
}

function shown(time: number): string {
  return new Date(time).toISOString()
}

function flagList(text: string): readonly PredictionFlag[] {
  return text.split(',').map((written) => {
    const flag = predictionFlags.find((known) => known === written.trim())
    if (flag !== undefined) return flag
    throw new MillraceError(
      'USAGE',
      `--without ${text}: ${written.trim()} is no flag. ${didYouMean(written, predictionFlags)}`,
    )
  })
}
