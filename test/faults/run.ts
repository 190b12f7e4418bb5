/**
 * Real faults on real processes: `npm run test:faults -- [options]`; `--help` lists them.
 * Exit codes: 0 no violation, 3 a violation, 2 wrong usage, 1 anything else.
 */
import { writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { mixScenario, runMix } from './mix.ts'
import { play, say, type Counts, type PlayOptions } from './play.ts'
import { writeReport } from './report.ts'
import { published, simulated } from './results.ts'
import { runScenario } from './rounds.ts'
import { sabotage } from './sabotage.ts'
import { publishedSabotages } from './sabotage-results.ts'
import { groups, stackName, type Scenario, type StackKind } from './scenario.ts'
import { scenarios } from './scenarios/index.ts'
import { slice, sliceMaxMs, sliceMixMinutes } from './slice.ts'
import { FaultStack } from './stack.ts'
import { systemClock } from '../../src/time/system-clock.ts'

const usage = `npm run test:faults -- [options]
  --list                 scenarios with their groups and stacks
  --only NAME,…          these scenarios
  --group GROUP,…        those of these groups: ${groups.join(', ')}
  --slice ci             the part for continuous integration: at most 8 minutes
  --rounds N             instead of each scenario's own number
  --seed S               default 1
  --logs                 keeps the logs of all processes in .millrace/faults/logs, also when all is well
  --mix MINUTES          a random mix of faults instead of one scenario after another
  --sabotage             makes mistakes in a copy of the source, which must be noticed (--only: these)
  --json FILE            writes {"passed", "failed", "leftOut"} there
  --report               adds the runs of clean commits in .millrace/faults to docs/fault-history.jsonl, writes
                         docs/fault-report.md from all that are there, and runs nothing
Without --only, --group, --slice, --mix and --sabotage, all scenarios run (about an hour), and then the report is written.
`

const options = {
  list: { type: 'boolean', default: false },
  only: { type: 'string' },
  group: { type: 'string' },
  slice: { type: 'string' },
  rounds: { type: 'string' },
  seed: { type: 'string', default: '1' },
  logs: { type: 'boolean', default: false },
  mix: { type: 'string' },
  sabotage: { type: 'boolean', default: false },
  json: { type: 'string' },
  report: { type: 'boolean', default: false },
  help: { type: 'boolean', default: false },
} as const

async function main(): Promise<number> {
  const { values } = parseArgs({ options })
  if (values.help) return saying(usage)
  if (values.report) return saying(publish())
  if (values.sabotage) return exitOf(await sabotage(values.only), values.json)
  const isSlice = values.slice !== undefined
  if (isSlice && values.slice !== 'ci') throw new RangeError(`no slice ${values.slice}; there is: ci`)
  const chosen = choose(values.only, values.group).filter(({ name }) => !isSlice || slice.has(name))
  if (values.list) {
    const lines = chosen.map((one) => `${one.group}\t${one.name}\t${stackName(one.stack)}\t${one.summary}`)
    return saying(lines.join('\n'))
  }
  const seed = wholeNumber(values.seed, '--seed')
  const rounds = values.rounds === undefined ? null : wholeNumber(values.rounds, '--rounds')
  const counts: Counts = { passed: 0, failed: 0, leftOut: 0, events: 0 }
  const how = { seed, counts, logs: values.logs }
  if (values.mix !== undefined) {
    await mix(chosen, wholeNumber(values.mix, '--mix'), how)
    return exitOf(counts, values.json)
  }
  const giveUpAt = isSlice ? systemClock.monotonic() + sliceMaxMs : Infinity
  for (const some of Map.groupBy(chosen, ({ stack }) => stackName(stack)).values()) {
    await onStack(some[0]!.stack, seed, async (stack) => {
      // A broker that holds the topics of many scenarios takes much longer to start again.
      const inOrder = some.toSorted((a, b) => Number(b.group === 'broker') - Number(a.group === 'broker'))
      for (const scenario of inOrder) {
        if (systemClock.monotonic() > giveUpAt) {
          say(`${scenario.name} is LEFT OUT: the slice has had its time`)
          counts.leftOut++
          continue
        }
        const times = rounds ?? (isSlice ? slice.get(scenario.name) : scenario.rounds) ?? 5
        const replay = `--only ${scenario.name} --seed ${seed} --rounds ${times}`
        await play(scenario, { ...how, replay }, (run) => runScenario(stack, scenario, times, run))
      }
      const mixed = isSlice && some.some(({ mixes }) => mixes) && systemClock.monotonic() < giveUpAt
      if (mixed && stack.kind.nodes === 1) await mixOn(stack, scenarios, sliceMixMinutes, how)
    })
  }
  if (chosen.length === scenarios.length && !isSlice) say(publish())
  return exitOf(counts, values.json)
}

function publish(): string {
  return writeReport(scenarios, published(), publishedSabotages(), simulated())
}

type How = Omit<PlayOptions, 'replay'>

async function mix(chosen: readonly Scenario[], minutes: number, how: How): Promise<void> {
  const stacks = Map.groupBy(
    chosen.filter(({ mixes }) => mixes),
    ({ stack }) => stackName(stack),
  )
  for (const [{ stack }] of [...stacks.values()] as [Scenario][]) {
    await onStack(stack, how.seed, (opened) => mixOn(opened, chosen, minutes / stacks.size, how))
  }
}

async function mixOn(
  stack: FaultStack,
  chosen: readonly Scenario[],
  minutes: number,
  how: How,
): Promise<void> {
  const scenario = mixScenario(stack.kind)
  const replay = `--mix ${Math.ceil(minutes)} --seed ${how.seed}`
  await play(scenario, { ...how, replay }, (run) => runMix(stack, chosen, minutes, run))
}

async function onStack(
  kind: StackKind,
  seed: number,
  use: (stack: FaultStack) => Promise<void>,
): Promise<void> {
  say(`stack: ${stackName(kind)}`)
  const stack = await FaultStack.open(kind, seed)
  try {
    await use(stack)
  } finally {
    await stack.close()
  }
}

function choose(only: string | undefined, group: string | undefined): readonly Scenario[] {
  const names = only?.split(',')
  const inGroups = group?.split(',')
  const unknown =
    names?.find((name) => !scenarios.some((one) => one.name === name)) ??
    inGroups?.find((name) => !groups.some((one) => one === name))
  if (unknown !== undefined) throw new RangeError(`no scenario or group ${unknown}; see --list`)
  return scenarios.filter(
    (one) => (names?.includes(one.name) ?? true) && (inGroups?.includes(one.group) ?? true),
  )
}

function wholeNumber(text: string, option: string): number {
  if (!/^\d{1,9}$/.test(text)) throw new RangeError(`${option} ${text} is no whole number`)
  return Number(text)
}

function saying(text: string): number {
  say(text)
  return 0
}

function exitOf({ passed, failed, leftOut, events }: Counts, json: string | undefined): number {
  const rest = leftOut === 0 ? '' : `, ${leftOut} left out`
  say(`${passed} without a violation, ${failed} with${rest}; ${events} events checked`)
  if (json !== undefined) writeFileSync(json, JSON.stringify({ passed, failed, leftOut }))
  return failed === 0 ? 0 : 3
}

// Servers and services are children that end with this process; a signal by itself would leave them.
for (const [signal, code] of [
  ['SIGINT', 130],
  ['SIGTERM', 143],
] as const) {
  process.once(signal, () => process.exit(code))
}
try {
  process.exitCode = await main()
} catch (error) {
  const isUsage = error instanceof RangeError || error instanceof TypeError
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n${isUsage ? usage : ''}`)
  process.exitCode = isUsage ? 2 : 1
}
process.exit() // whatever still runs ends with this process
