import { once } from 'node:events'
import { Argument, Command, InvalidArgumentError, Option } from 'commander'
import { MillraceError } from '../errors.ts'
import { rejectReasons, rejectStages } from '../record/event.ts'
import {
  checkDeadLetters,
  findDeadLetters,
  judgeDeadLetters,
  listDeadLetters,
  replayDeadLetters,
  type DeadLetterParts,
} from '../service/dead-letters/commands.ts'
import { refuseLeft } from '../service/dead-letters/read-letters.ts'
import { writeLimit, type ReplayStep } from '../service/dead-letters/replay.ts'
import { parsePlace, type RecordPlace } from '../service/dead-letters/dead-letter.ts'
import { openLog } from '../telemetry/log.ts'
import { systemClock } from '../time/system-clock.ts'
import { loadTopology } from '../topology/load.ts'
import type { LoadOptions } from '../topology/load.ts'
import { countsText, createLetterFormat, letterDetails } from './dlq-format.ts'
import { filterOf, type FilterOptions } from './dlq-filter.ts'
import { wholeNumber } from './simulate.ts'
import { listenForStop } from './stop-signal.ts'

type Format = 'table' | 'json'

/** Records a second written by `replay` unless told otherwise: the service is busy with live records. */
const defaultRate = 500
const rateMax = 1_000_000

export function dlqCommand(): Command {
  return new Command('dlq')
    .description('Dead letters: list them, look at one, replay them once the cause is mended.')
    .addCommand(listCommand())
    .addCommand(showCommand())
    .addCommand(replayCommand())
}

const topology = (): Argument => new Argument('<topology>', 'topology file (YAML)')
const output = (): Option =>
  new Option('-o, --output <format>', 'output format').choices(['table', 'json']).default('table')

/** Filters speak of the record that failed. */
function withFilters(command: Command): Command {
  const several = (text: string, before: readonly string[] = []): readonly string[] => [
    ...before,
    ...text.split(',').filter((part) => part !== ''),
  ]
  return command
    .option('--reason <reasons>', `only these reasons: ${rejectReasons.join(', ')}`, several)
    .option('--stage <stages>', `only these stages: ${rejectStages.join(', ')}`, several)
    .option('--source <names>', 'only records of these sources, by name or topic', several)
    .option('--partition <n>', 'only this partition of the source topic', wholeNumber(0, 1_000_000))
    .option('--from <time|offset>', 'failed at or after this ISO time, or at or after this source offset')
    .option('--to <time|offset>', 'failed before this ISO time, or before this source offset')
    .option('--id <ids>', 'only these dead letters: TOPIC:PARTITION@OFFSET', several)
    .option('--limit <n>', 'stop after this many listed or written', wholeNumber(1, Number.MAX_SAFE_INTEGER))
}

interface ListOptions extends FilterOptions {
  readonly limit?: number
  readonly count?: boolean
  readonly output: Format
}

function listCommand(): Command {
  return withFilters(new Command('ls').description('List dead letters, oldest first per partition.'))
    .addArgument(topology())
    .option('--count', 'only count them, by reason')
    .addOption(output())
    .action(async (file: string, options: ListOptions) => {
      await withParts(file, { model: 'optional' }, async (parts, stop) => {
        const filter = filterOf(options, parts.plan)
        const format = createLetterFormat(options.output, parts.plan, 'message')
        const counts = new Map<string, number>()
        let left = options.limit ?? Infinity
        if (options.count !== true) await write(format.head)
        const unseen = await listDeadLetters(
          parts,
          filter,
          async (letter) => {
            counts.set(letter.reason, (counts.get(letter.reason) ?? 0) + 1)
            if (options.count !== true) await write(format.letter(letter))
            return --left > 0
          },
          stop,
        )
        if (options.count === true) await write(countsText(counts, 'reason', options.output))
        refuseLeft(unseen)
      })
    })
}

function showCommand(): Command {
  return new Command('show')
    .description('One dead letter: headers, key and value as they are, and what would become of it now.')
    .addArgument(topology())
    .argument('<position>', 'TOPIC:PARTITION@OFFSET of the dead letter or of the record that failed', place)
    .addOption(output())
    .action(async (file: string, wanted: RecordPlace, options: { readonly output: Format }) => {
      await withParts(file, {}, async (parts, stop) => {
        const found = await findDeadLetters(parts, wanted, stop)
        if (found.length === 0) {
          const text = `${wanted.topic}:${wanted.partition}@${wanted.offset}`
          throw new MillraceError(
            'USAGE',
            `there is no dead letter at ${text}, and none of a record there; \`millrace dlq ls\` lists them`,
          )
        }
        for await (const { letter, verdict } of judgeDeadLetters(parts, found)) {
          await write(letterDetails(letter, verdict, options.output))
        }
      })
    })
}

interface ReplayCommandOptions extends FilterOptions {
  readonly limit?: number
  readonly dryRun?: boolean
  readonly rate: number
  readonly output: Format
}

function replayCommand(): Command {
  return withFilters(
    new Command('replay').description(
      'Write dead letters to their source topics again, each only once, however often this runs.',
    ),
  )
    .addArgument(topology())
    .option('--dry-run', 'write nothing; say what would become of each record with the topology as it is now')
    .option('--rate <n/s>', 'records a second', rate, defaultRate)
    .addOption(output())
    .action(async (file: string, options: ReplayCommandOptions) => {
      if (options.dryRun === true) await dryRun(file, options)
      else await replay(file, options)
    })
}

async function dryRun(file: string, options: ReplayCommandOptions): Promise<void> {
  await withParts(file, {}, async (parts, stop) => {
    const filter = filterOf(options, parts.plan)
    const format = createLetterFormat(options.output, parts.plan, 'now')
    const counts = new Map<string, number>()
    const mayTakeMore = writeLimit(options.limit ?? Infinity)
    await write(format.head)
    const unseen = await checkDeadLetters(
      parts,
      filter,
      async (checked) => {
        const { text, count } = format.checked(checked)
        counts.set(count, (counts.get(count) ?? 0) + 1)
        await write(text)
        return mayTakeMore(checked.left)
      },
      stop,
    )
    parts.log.info(Object.fromEntries(counts), 'dry run: nothing was written')
    refuseLeft(unseen)
  })
}

async function replay(file: string, options: ReplayCommandOptions): Promise<void> {
  await withParts(file, { model: 'optional' }, async (parts, stop) => {
    const filter = filterOf(options, parts.plan)
    const format = createLetterFormat(options.output, parts.plan, 'step')
    const counts = new Map<ReplayStep, number>()
    process.stdout.write(format.head)
    try {
      const unseen = await replayDeadLetters(
        parts,
        {
          filter,
          rate: options.rate,
          limit: options.limit ?? Infinity,
          report: (letter, step) => {
            counts.set(step, (counts.get(step) ?? 0) + 1)
            // At most one transaction's lines are waiting: the next one waits for Kafka.
            process.stdout.write(format.step(letter, step))
          },
        },
        stop,
      )
      refuseLeft(unseen)
    } finally {
      parts.log.info(Object.fromEntries(counts), 'replay')
    }
  })
}

async function withParts(
  file: string,
  load: LoadOptions,
  use: (parts: DeadLetterParts, stop: AbortSignal) => Promise<void>,
): Promise<void> {
  const plan = await loadTopology(file, process.env, load)
  using stop = listenForStop(process)
  // A reader that has seen enough (`| head`) closes the pipe; that is the end, not an error.
  const closed = new AbortController()
  process.stdout.once('error', () => closed.abort())
  const log = openLog(process.env, process.stderr)
  try {
    await use({ plan, clock: systemClock, log }, AbortSignal.any([stop.signal, closed.signal]))
  } catch (error) {
    if (!closed.signal.aborted) throw error
  }
}

async function write(text: string): Promise<void> {
  if (text !== '' && !process.stdout.write(text)) await once(process.stdout, 'drain')
}

function place(text: string): RecordPlace {
  const found = parsePlace(text)
  if (found !== null) return found
  throw new InvalidArgumentError('Write TOPIC:PARTITION@OFFSET, for example dlq.card.transactions:3@42.')
}

function rate(text: string): number {
  const value = Number(text.replace(/\/s$/, ''))
  if (value > 0 && value <= rateMax) return value
  throw new InvalidArgumentError(`Give records a second, more than 0 and at most ${rateMax}, such as 100/s.`)
}
