/**
 * Runs simulated seeds until one is red: `node scripts/simulate-seeds.ts [seeds] [first]`, or one run again:
 * `--seed K --depth D`, `--case JSON`; `--settings JSON` fixes some settings of all runs. A red run is made smaller while it stays red (not with `--no-shrink`), and the
 * command that replays it is printed. `--json FILE` puts the figures there. Exit code 1 when a run is red, 0 when all are green.
 */
import { parseArgs } from 'node:util'
import { commitOf, putJson } from '../test/faults/results.ts'
import { replayCommand, type Case } from '../test/simulation/cases.ts'
import { describeRun, reportOf } from '../test/simulation/report.ts'
import type { Settings } from '../test/simulation/topology.ts'
import { simulate } from '../test/simulation/world.ts'

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    seed: { type: 'string' },
    depth: { type: 'string' },
    case: { type: 'string' },
    settings: { type: 'string' },
    'no-shrink': { type: 'boolean' },
    json: { type: 'string' },
  },
})
const given: Partial<Case> =
  values.settings === undefined ? {} : { settings: JSON.parse(values.settings) as Partial<Settings> }

process.exit((await main()) ? 0 : 1)

async function main(): Promise<boolean> {
  if (values.case !== undefined) return replay(JSON.parse(values.case) as Case)
  if (values.seed !== undefined)
    return replay({ seed: Number(values.seed), depth: Number(values.depth ?? 2), ...given })
  return search(Number(positionals[0] ?? 1_000), Number(positionals[1] ?? 1))
}

async function replay(which: Case): Promise<boolean> {
  const result = await simulate({ ...which, keep: 100_000 })
  console.log(describeRun(which, result))
  console.log(JSON.stringify(result.settings))
  return result.violations.length === 0
}

async function search(seeds: number, first: number): Promise<boolean> {
  const total = { runs: 0, steps: 0, faults: 0, events: 0 }
  const startedAt = performance.now()
  const cpuBefore = process.cpuUsage()
  for (let seed = first; seed < first + seeds; seed++) {
    for (const depth of [1, 2, 3]) {
      const which: Case = { seed, depth, ...given }
      const { violations, steps, faults, events } = await simulate({ ...which, keep: 0 })
      total.runs++
      total.steps += steps
      total.faults += faults.length
      total.events += events.length
      if (violations.length === 0) continue
      console.log(`seed ${seed}, depth ${depth}: ${violations[0]}`)
      console.log(values['no-shrink'] ? `replay with: ${replayCommand(which)}` : await reportOf(which))
      return false
    }
  }
  const seconds = (performance.now() - startedAt) / 1000
  const { user, system } = process.cpuUsage(cpuBefore)
  const cpuSeconds = (user + system) / 1e6
  const perSecond = (within: number): number => Math.round(total.steps / within)
  console.log(`${seeds} seeds from ${first} on are green at depths 1, 2 and 3`)
  console.log(
    `${total.runs} runs, ${total.faults} faults, ${total.events} events, ${total.steps} steps in ${seconds.toFixed(1)} s ` +
      `(${cpuSeconds.toFixed(1)} s of CPU): ${perSecond(seconds)} steps/s, ${perSecond(cpuSeconds)} per second of CPU`,
  )
  if (values.json !== undefined)
    putJson(values.json, 'seeds', { commit: commitOf(), seeds, ...total, cpuSeconds: Math.round(cpuSeconds) })
  return true
}
