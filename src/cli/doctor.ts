import { Command, Option } from 'commander'
import { examine, exitCodeOf } from '../service/doctor/doctor.ts'
import type { CheckStatus, Report } from '../service/doctor/table.ts'
import { openLog, quietLog } from '../telemetry/log.ts'
import { systemClock } from '../time/system-clock.ts'
import { loadTopology } from '../topology/load.ts'
import { listenForStop } from './stop-signal.ts'

interface DoctorOptions {
  readonly output: 'table' | 'json'
}

export function doctorCommand(): Command {
  return new Command('doctor')
    .description(
      'Check the servers and settings a topology depends on, and say how to mend what is wrong. Changes nothing.',
    )
    .argument('<topology>', 'topology file (YAML)')
    .addOption(
      new Option('-o, --output <format>', 'output format').choices(['table', 'json']).default('table'),
    )
    .action(async (file: string, options: DoctorOptions) => {
      const plan = await loadTopology(file, process.env, { model: 'optional' })
      using stop = listenForStop(process)
      // What is found is in the report; what the clients log on the way is for those who ask for it.
      const log = process.env['MILLRACE_LOG'] === 'debug' ? openLog(process.env, process.stderr) : quietLog
      const reports = await examine({ plan, clock: systemClock, log }, stop.signal)
      process.stdout.write(formatReports(reports, options.output))
      process.exitCode = exitCodeOf(reports)
    })
}

const marks: Readonly<Record<CheckStatus, string>> = { ok: 'ok', warn: 'WARN', fail: 'FAIL', unknown: '?' }

/** A line for each check; what is not ok also says why it matters, and what to do. */
export function formatReports(reports: readonly Report[], output: DoctorOptions['output']): string {
  const counts = Object.fromEntries(
    Object.keys(marks).map((status) => [status, reports.filter((one) => one.status === status).length]),
  )
  if (output === 'json') {
    return `${JSON.stringify({ exitCode: exitCodeOf(reports), counts, checks: reports }, null, 2)}\n`
  }
  const idChars = Math.max(...reports.map(({ id }) => id.length))
  const lines = reports.flatMap(({ id, status, found, why, fix }) => {
    const line = `${marks[status].padEnd(4)}  ${id.padEnd(idChars)}  ${found}`
    if (status === 'ok') return [line]
    const mends = fix === null ? [] : fix.split('\n').map((text) => `      fix: ${text}`)
    return [line, `      why: ${why}`, ...mends]
  })
  const summary = Object.entries(counts).map(([status, count]) => `${count} ${status}`)
  return `${[...lines, '', summary.join(', ')].join('\n')}\n`
}
