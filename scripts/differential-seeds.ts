/**
 * Compares live, replay and definition over random topologies: `node scripts/differential-seeds.ts [seeds] [first]`, or one
 * run again: `--seed K`, `--case JSON`. A red run is made smaller while it stays red (not with `--no-shrink`), and the command
 * that shows it again is printed. `--all` goes on behind red runs and counts them by kind. Exit code 1 when a run is red.
 */
import { parseArgs } from 'node:util'
import type { Case } from '../test/differential/cases.ts'
import { describeRun, reportOf } from '../test/differential/report.ts'
import { differential } from '../test/differential/run.ts'

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    seed: { type: 'string' },
    case: { type: 'string' },
    'no-shrink': { type: 'boolean' },
    all: { type: 'boolean' },
  },
})

process.exit((await main()) ? 0 : 1)

async function main(): Promise<boolean> {
  if (values.case !== undefined) return show(JSON.parse(values.case) as Case)
  if (values.seed !== undefined) return show({ seed: Number(values.seed) })
  return search(Number(positionals[0] ?? 1_000), Number(positionals[1] ?? 1))
}

async function show(which: Case): Promise<boolean> {
  const result = await differential(which, { keep: 100_000 })
  console.log(describeRun(which, result))
  return result.problems.length === 0
}

async function search(seeds: number, first: number): Promise<boolean> {
  const counts = new Map<string, number>()
  const red = new Map<string, number[]>()
  const cpuBefore = process.cpuUsage()
  for (let seed = first; seed < first + seeds; seed++) {
    const { problems, counts: found, steps } = await differential({ seed })
    for (const [what, times] of [...found, ['steps', steps] as const]) {
      counts.set(what, (counts.get(what) ?? 0) + times)
    }
    if (problems.length === 0) continue
    const kind = problems[0]?.split(':')[0] ?? ''
    red.set(kind, [...(red.get(kind) ?? []), seed])
    if (values.all) continue
    console.log(`seed ${seed}: ${problems[0]}`)
    if (!values['no-shrink']) console.log(await reportOf({ seed }))
    return false
  }
  const { user, system } = process.cpuUsage(cpuBefore)
  for (const [what, times] of [...counts].toSorted(([a], [b]) => a.localeCompare(b)))
    console.log(`${String(times).padStart(10)} ${what}`)
  for (const [kind, of] of red) console.log(`red ${kind}: ${of.length} seeds: ${of.slice(0, 12).join(' ')}`)
  console.log(`${seeds} seeds from ${first} on, ${((user + system) / 1e6).toFixed(1)} s of CPU`)
  return red.size === 0
}
