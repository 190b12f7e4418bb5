import { Command } from 'commander'
import { MillraceError } from '../errors.ts'
import { inputName } from '../record/input.ts'
import { mostBehind, warm, type WarmProgress } from '../service/warm.ts'
import { openLog } from '../telemetry/log.ts'
import { systemClock } from '../time/system-clock.ts'
import { loadTopology } from '../topology/load.ts'
import { listenForStop } from './stop-signal.ts'

interface WarmCommandOptions {
  readonly within: number
  readonly follow: boolean
}

const withinDefault = 10_000

export function warmCommand(): Command {
  return new Command('warm')
    .description(
      'Build the windows of a changed topology from the log while the old one is still served, so that the switch takes seconds.',
    )
    .argument('<topology>', 'the changed topology file (YAML)')
    .option(
      '--within <records>',
      'end when every partition is at most this many records behind what is committed',
      records,
      withinDefault,
    )
    .option('--follow', 'do not end: keep the windows warm until stopped', false)
    .action(async (file: string, options: WarmCommandOptions) => {
      await run(file, options)
    })
}

async function run(file: string, { within, follow }: WarmCommandOptions): Promise<void> {
  const plan = await loadTopology(file, process.env, { model: 'optional' })
  const log = openLog(process.env, process.stderr)
  using stop = listenForStop(process)
  let wasWarm = false
  const last = await warm(
    {
      plan,
      clock: systemClock,
      log,
      withinRecords: within,
      follow,
      onProgress: (progress) => {
        log.info(fieldsOf(progress), 'warming')
        const isAll = progress.warm === progress.partitions && progress.partitions > 0
        if (isAll && !wasWarm) log.info({ stateHash: plan.stateHash }, 'warm')
        wasWarm = isAll
      },
    },
    stop.signal,
  )
  for (const { input, phase, detail } of last.readings) {
    if (phase === 'cannot') log.warn({ partition: inputName(input), reason: detail }, 'cannot be warmed')
  }
  log.info({ ...fieldsOf(last), behind: mostBehind(last), stateHash: plan.stateHash }, 'warm')
}

function fieldsOf({ partitions, warm: done, read, of, secondsLeft }: WarmProgress): Record<string, unknown> {
  const percent = of === 0 ? 100 : Math.floor((100 * read) / of)
  return { percent, read, of, warm: done, partitions, ...(secondsLeft === null ? {} : { secondsLeft }) }
}

function records(text: string): number {
  const value = Number(text)
  if (Number.isSafeInteger(value) && value >= 0) return value
  throw new MillraceError('USAGE', `--within ${text}: write a number of records`)
}
