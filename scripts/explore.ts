/**
 * Runs every schedule of two processes, three events and two buckets within bounds, on the real pipeline:
 * `node scripts/explore.ts [--faults n] [--delays n] [--depth n] [--events XYX] [--max-runs n]`, of all faults or `--only REGEX`; or one of
 * them again: `--replay JSON`.
 * Exit code 1 with the schedule that breaks an invariant.
 */
import { parseArgs } from 'node:util'
import { explore, replaySchedule, type Deviation, type Explored } from '../test/simulation/explore.ts'

const { values } = parseArgs({
  options: {
    faults: { type: 'string', default: '1' },
    delays: { type: 'string', default: '0' },
    depth: { type: 'string', default: '1' },
    'max-runs': { type: 'string', default: '1000000' },
    events: { type: 'string', default: 'XYX' },
    only: { type: 'string' },
    replay: { type: 'string' },
  },
})
const small = { depth: Number(values.depth), events: values.events }

process.exit((await main()) ? 0 : 1)

async function main(): Promise<boolean> {
  if (values.replay !== undefined) return show(JSON.parse(values.replay) as Deviation[])
  const bounds = {
    faults: Number(values.faults),
    delays: Number(values.delays),
    ...small,
    runsMax: Number(values['max-runs']),
    ...(values.only === undefined ? {} : { only: new RegExp(values.only) }),
  }
  const explored = await explore(bounds, (so) => process.stderr.write(`\r${line(so)}  `))
  process.stderr.write('\r')
  console.log(line(explored))
  const which = values.only === undefined ? 'faults' : `faults (${values.only})`
  const within = `at most ${bounds.faults} ${which} and ${bounds.delays} delays in a run, events ${small.events}, depth ${small.depth}`
  console.log(explored.exhausted ? `exhausted: ${within}` : `not exhausted: ${within}`)
  if (explored.violation === null) return true
  return show(explored.violation.deviations)
}

async function show(deviations: readonly Deviation[]): Promise<boolean> {
  const { violations, trace, steps } = await replaySchedule(small, deviations)
  console.log(trace)
  for (const { step, name } of deviations) console.log(`step ${step} of ${steps}: ${name}`)
  console.log(violations[0] ?? 'green')
  console.log(
    `replay with: node scripts/explore.ts --events ${small.events} --depth ${small.depth} --replay '${JSON.stringify(deviations).replaceAll("'", String.raw`'\''`)}'`,
  )
  return violations.length === 0
}

function line({ runs, steps, states, pruned, seconds }: Explored): string {
  return `${runs} schedules (${pruned} of them to a known state), ${states} states, ${steps} steps in ${seconds.toFixed(1)} s: ${Math.round(steps / seconds)} steps/s`
}
