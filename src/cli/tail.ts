import { Argument, Command, Option } from 'commander'
import { tailTopics } from '../kafka/tail-consumer.ts'
import type { RawRecord } from '../record/raw-record.ts'
import { openLog } from '../telemetry/log.ts'
import type { Plan } from '../topology/plan.ts'
import { wholeNumber, type LoadPlan } from './simulate.ts'
import { listenForStop } from './stop-signal.ts'
import { formatTailed, tailKinds, type TailKind } from './tail-format.ts'

export interface TailCommandOptions {
  readonly topology: string
  readonly fromBeginning?: boolean
  readonly number?: number
  readonly output: 'line' | 'json'
}

export function tailCommand(loadPlan: LoadPlan): Command {
  return new Command('tail')
    .description('Print committed predictions, alerts or dead letters as they come. Commits no offsets.')
    .addArgument(new Argument('<what>', 'what to print').choices(tailKinds))
    .requiredOption('--topology <file>', 'topology whose output topics to read')
    .option('--from-beginning', 'from the oldest record on, not only new ones')
    .option('-n, --number <n>', 'stop after this many records', wholeNumber(1, Number.MAX_SAFE_INTEGER))
    .addOption(new Option('-o, --output <format>', 'output format').choices(['line', 'json']).default('line'))
    .action(async (what: TailKind, options: TailCommandOptions) => {
      const plan = await loadPlan(options.topology)
      using stop = listenForStop(process)
      // A reader that has seen enough (`| head`) closes the pipe; that is the end, not an error.
      const closed = new AbortController()
      process.stdout.once('error', () => closed.abort())
      await tailTopics(
        {
          plan: plan.kafka,
          topics: topicsOf(what, plan),
          fromBeginning: options.fromBeginning === true,
          log: openLog(process.env, process.stderr),
          onRecord: createPrinter(what, options, (line) => void process.stdout.write(line)),
        },
        AbortSignal.any([stop.signal, closed.signal]),
      )
    })
}

export function topicsOf(what: TailKind, plan: Pick<Plan, 'sinks' | 'sources'>): readonly string[] {
  if (what === 'predictions') return [plan.sinks.predictions.topic]
  if (what === 'alerts') return [plan.sinks.alerts.topic]
  const pattern = plan.sinks.deadLetterTopic
  return [...new Set(plan.sources.map(({ topic }) => pattern.replaceAll('{topic}', topic)))]
}

/** Prints records until `number` of them are out; says false with the last one. */
export function createPrinter(
  what: TailKind,
  options: Pick<TailCommandOptions, 'number' | 'output'>,
  write: (line: string) => void,
): (record: RawRecord) => boolean {
  let left = options.number ?? Infinity
  return (record) => {
    if (left <= 0) return false
    write(`${formatTailed(what, record, options.output)}\n`)
    left -= 1
    return left > 0
  }
}
