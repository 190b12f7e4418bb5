import { Command } from 'commander'
import { MillraceError } from '../errors.ts'
import type { VerifyChoice } from '../service/verify/choice.ts'
import { verify } from '../service/verify/verify.ts'
import { openLog } from '../telemetry/log.ts'
import { systemClock } from '../time/system-clock.ts'
import { loadTopology } from '../topology/load.ts'
import { eventTime } from './event-time-option.ts'
import { wholeNumber } from './simulate.ts'
import { listenForStop } from './stop-signal.ts'
import { topologyArgument, topologyFile, topologyOption } from './topology-argument.ts'
import { formatReport } from './verify-format.ts'

interface VerifyCommandOptions {
  readonly topology?: string
  readonly sample?: number
  readonly keys?: readonly string[]
  readonly since?: number
  readonly until?: number
  readonly limit: number
  readonly json?: boolean
}

const defaultLimit = 100_000

export function verifyCommand(): Command {
  return new Command('verify')
    .description(
      'Recompute published predictions from the log and say what differs. Changes nothing; exit 1 when something differs.',
    )
    .argument(...topologyArgument)
    .option(...topologyOption)
    .option('--sample <share>', 'this share of the keys, for example 0.01; the same ones in every run', share)
    .option('--keys <keys>', 'only events of these keys, separated by commas', keyList)
    .option('--since <time>', 'only events from this event time on (epoch ms or ISO)', eventTime)
    .option('--until <time>', 'only events before this event time', eventTime)
    .option(
      '--limit <n>',
      'predictions compared at most',
      wholeNumber(1, Number.MAX_SAFE_INTEGER),
      defaultLimit,
    )
    .option('--json', 'the whole report as JSON')
    .action(async (argument: string | undefined, options: VerifyCommandOptions) => {
      const choice = verifyChoice(options)
      const plan = await loadTopology(topologyFile(argument, options.topology), process.env, {
        model: 'optional',
      })
      using stop = listenForStop(process)
      const log = openLog(process.env, process.stderr)
      const report = await verify({ plan, choice, clock: systemClock, log }, stop.signal)
      process.stdout.write(
        options.json === true ? `${JSON.stringify(report, null, 2)}\n` : formatReport(report),
      )
      // Not process.exit: what was written must get out.
      if (report.differs) process.exitCode = 1
    })
}

export function verifyChoice(options: Omit<VerifyCommandOptions, 'topology' | 'json'>): VerifyChoice {
  const { sample, keys, since = -Infinity, until = Infinity, limit } = options
  if (sample !== undefined && keys !== undefined) {
    throw new MillraceError('USAGE', '--sample chooses keys itself; leave it or --keys out')
  }
  if (since >= until) {
    const [from, to] = [since, until].map((time) => new Date(time).toISOString())
    throw new MillraceError('USAGE', `--since ${from} is not before --until ${to}: no event is between`)
  }
  return {
    sample: sample ?? 1,
    keys: keys === undefined ? null : new Set(keys),
    sinceMs: since,
    untilMs: until,
    limit,
  }
}

function share(text: string): number {
  const value = /^(\d+\.?\d*|\.\d+)$/.test(text) ? Number(text) : NaN
  if (value > 0 && value <= 1) return value
  throw new MillraceError('USAGE', `--sample ${text}: write a share above 0 up to 1, for example 0.01`)
}

function keyList(text: string): readonly string[] {
  const keys = text.split(',').filter((key) => key !== '')
  if (keys.length > 0) return keys
  throw new MillraceError('USAGE', '--keys: write keys separated by commas')
}
