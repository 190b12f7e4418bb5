import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { faults } from './coverage.ts'
import { plot, quantile, type PlotRow } from './plot.ts'
import { docsDir, type Result, type Simulated } from './results.ts'
import type { SabotageResult } from './sabotage-results.ts'
import { sabotages } from './sabotages.ts'
import { groups, type Scenario } from './scenario.ts'
import { settleMs, type RoundResult } from './rounds.ts'

/**
 * Commits that changed how long recovery takes, by group: runs before count, but their times are those of another program.
 * The commit of P-J and P-K as they are: a lost broker no longer ends heartbeats and fetches.
 */
const brokersSince = 'ab39ff5'
const timesSince: ReadonlyMap<string, string> = new Map([['broker', brokersSince]])

/** Writes docs/fault-report.md and its plot from all results that are kept. */
export function writeReport(
  scenarios: readonly Scenario[],
  results: readonly Result[],
  sabotages: readonly SabotageResult[],
  simulation: Simulated,
): string {
  const images = join(docsDir, 'images')
  mkdirSync(images, { recursive: true })
  writeFileSync(
    join(images, 'recovery.svg'),
    plot('Time until every affected partition commits again', plotRows(timedOf(counted(results)))),
  )
  const file = join(docsDir, 'fault-report.md')
  writeFileSync(file, report(scenarios, results, sabotages, simulation))
  return file
}

export function report(
  scenarios: readonly Scenario[],
  all: readonly Result[],
  sabotages: readonly SabotageResult[],
  simulation: Simulated = {},
): string {
  const results = counted(all)
  const timed = Map.groupBy(timedOf(results), ({ scenario }) => scenario)
  const known = new Map(scenarios.map((scenario) => [scenario.name, scenario]))
  const byScenario = Map.groupBy(results, ({ scenario }) => scenario)
  const inOrder = [...byScenario].toSorted(
    ([a], [b]) => rank(known.get(a), scenarios) - rank(known.get(b), scenarios),
  )
  const parts = [
    '# Fault report',
    '',
    'Written by `npm run test:faults -- --report` from [fault-history.jsonl](fault-history.jsonl), one run a line; do not edit. How to run it: `npm run test:faults -- --help`; where else the protocol is tested: [exactly-once.md](exactly-once.md#where-it-is-tested).',
    '',
    '## What was run',
    '',
    ...machineLines(results),
    '',
    ...totals(results),
    '',
    ...falseAlarms(all),
    '## Faults and recovery',
    '',
    `Real processes, real brokers, real Redis; faults through a TCP proxy on every connection. Each round injects the fault under steady traffic. Times are milliseconds from the fault (for faults that last: from their end, if the summary says so) to the first commit on an affected partition (*first*), on every affected partition (*all*), and until the lag is what it was before and lost state is rebuilt (*whole*). Commits in the first ${settleMs} ms may have been under way and do not count. Of faults of brokers, which were survived more slowly before commit ${brokersSince}, the times are of the runs since, if there are any. Violations are of I1 to I9 over all events, judged once per run by Kafka's own console consumer and the brute-force oracle.`,
    '',
    '![Recovery times](images/recovery.svg)',
    '',
    '| fault | runs | rounds | events | violations | first p50 / p95 | all p50 / p95 | whole p50 / p95 |',
    '|---|--:|--:|--:|--:|--:|--:|--:|',
    ...inOrder.map(([name, runs]) => row(name, runs, timed.get(name) ?? runs)),
    '',
    ...inOrder.flatMap(([name]) => summaryLine(known.get(name))),
    '',
    ...killLines(results),
    ...joinLines(results),
    '## Every fault and where it is shown',
    '',
    '| | fault | shown by |',
    '|---|---|---|',
    ...faults.map(({ id, kind, fault, tests = [] }) => {
      const by = scenarios
        .filter(({ covers }) => covers.includes(id))
        .map(({ name }) => `\`${name}\`${byScenario.has(name) ? '' : ' (not run)'}`)
      return `| ${kind} | ${fault} | ${[...by, ...tests.map(testLink)].join(', ')} |`
    }),
    '',
    '## Mutation of the guarantees',
    '',
    ...sabotageLines(sabotages),
    '',
    '## Simulation',
    '',
    ...simulationLines(simulation),
  ]
  return `${parts.join('\n').replace(/\n+$/, '')}\n`
}

function rank(scenario: Scenario | undefined, scenarios: readonly Scenario[]): number {
  if (scenario === undefined) return Infinity
  return groups.indexOf(scenario.group) * 1_000 + scenarios.indexOf(scenario)
}

function machineLines(results: readonly Result[]): string[] {
  const several = (values: readonly (string | number)[]): string => [...new Set(values)].join(', ')
  const seeds = [...new Set(results.map(({ seed }) => seed))].toSorted((a, b) => a - b)
  return [
    `- commits: ${several(results.map(({ on }) => on.commit))}`,
    `- days: ${several(results.map(({ on }) => on.day))}`,
    `- Kafka ${several(results.map(({ on }) => on.kafka))} (KRaft, 1 and 3 brokers), Redis ${several(results.map(({ on }) => on.redis))}, ${several(results.map(({ on }) => on.cores))} cores`,
    '- brokers notice a dead one after 3 s (`broker.session.timeout.ms`; the default of Kafka is 9 s)',
    `- session timeout ${several(results.map(({ on }) => on.sessionTimeout))}, except in ${[...withOtherSessions].map((name) => `\`${name}\``).join(' and ')}, which have the product's default of 6 s`,
    `- seeds: ${seeds.join(', ')}`,
  ]
}

function totals(results: readonly Result[]): string[] {
  const sum = (of: (result: Result) => number): string =>
    thousands(results.reduce((all, one) => all + of(one), 0))
  const hours = results.reduce((all, { durationMs }) => all + durationMs, 0) / 3_600_000
  return [
    `**${thousands(results.length)} runs × ${new Set(results.map(({ seed }) => seed)).size} seeds × ${sum(({ rounds }) => rounds.length)} faults injected × ${sum(({ verdict }) => verdict.events)} events checked: ${sum(({ verdict }) => verdict.violations.length)} violations.**`,
    '',
    `They gave ${sum(({ verdict }) => verdict.predictions)} predictions, ${sum(({ verdict }) => verdict.alerts)} alerts and ${sum(({ verdict }) => verdict.deadLetters)} dead letters in ${sum(({ verdict }) => verdict.commits)} commits, and took ${hours.toFixed(1)} hours.`,
  ]
}

function counted(results: readonly Result[]): readonly Result[] {
  return results.filter(({ falseAlarm }) => falseAlarm === undefined)
}

/** Runs whose times are those of the present program; results are in the order in which they came. */
function timedOf(results: readonly Result[]): readonly Result[] {
  const first = new Map(
    [...timesSince].map(([group, commit]) => [group, results.findIndex(({ on }) => on.commit === commit)]),
  )
  return results.filter(({ group }, index) => index >= (first.get(group) ?? 0))
}

function falseAlarms(results: readonly Result[]): string[] {
  const lines = results.flatMap(({ scenario, seed, on, falseAlarm, verdict }) =>
    falseAlarm === undefined
      ? []
      : [`- \`${scenario}\`, seed ${seed}, at ${on.commit}: “${verdict.violations[0]}”. ${falseAlarm}`],
  )
  return lines.length === 0 ? [] : ['Not counted, because the referee was wrong:', '', ...lines, '']
}

function row(name: string, runs: readonly Result[], timed: readonly Result[]): string {
  const rounds = runs.flatMap((run) => run.rounds)
  const events = runs.reduce((sum, { verdict }) => sum + verdict.events, 0)
  const violations = runs.reduce((sum, { verdict }) => sum + verdict.violations.length, 0)
  const times = (of: (round: RoundResult) => number | null): string => {
    const values = timed.flatMap((run) => run.rounds.map(of)).filter((ms) => Number.isFinite(ms)) as number[] // older results lack some
    return values.length === 0
      ? ''
      : `${Math.round(quantile(values, 0.5))} / ${Math.round(quantile(values, 0.95))}`
  }
  const cells = [
    `\`${name}\``,
    runs.length,
    rounds.length,
    thousands(events),
    violations,
    times(({ firstMs }) => firstMs),
    times(({ allMs }) => allMs),
    times(({ lagMs }) => lagMs),
  ]
  return `| ${cells.join(' | ')} |`
}

function summaryLine(scenario: Scenario | undefined): string[] {
  return scenario === undefined ? [] : [`- \`${scenario.name}\`: ${scenario.summary}.`]
}

/** Session timeout of a scenario with kills, ms; the session timeout is all that a plain kill waits for. */
const killSessionMs = 3_000
/** These have the product's default. */
const withOtherSessions = new Set(['kill-defaults', 'kill-named'])

function killLines(results: readonly Result[]): string[] {
  const kills = results
    .filter(({ group, scenario }) => group === 'crash' && !withOtherSessions.has(scenario))
    .flatMap(({ scenario, rounds }) =>
      rounds.flatMap(({ allMs }) => (allMs === null ? [] : [{ scenario, allMs }])),
    )
  const slow = kills.filter(({ allMs }) => allMs > killSessionMs + 1_000)
  if (kills.length === 0) return []
  const names = [...Map.groupBy(slow, ({ scenario }) => scenario)].map(
    ([name, some]) =>
      `\`${name}\` ${some.length} (up to ${(Math.max(...some.map(({ allMs }) => allMs)) / 1_000).toFixed(1)} s)`,
  )
  return [
    `Kills of a process with a session timeout of ${killSessionMs / 1_000} s: ${kills.length}; all its partitions committed again within session timeout + 1 s after ${kills.length - slow.length} of them.${names.length === 0 ? '' : ` The others: ${names.join(', ')}.`} Where a kill hits a takeover, or the partitions of its heirs are merged, their work comes on top.`,
    '',
  ]
}

/** Who joins again stops its partitions; one lost broker of three is no reason to. */
function joinLines(results: readonly Result[]): string[] {
  const rounds = results
    .filter(({ group, stack }) => group === 'broker' && stack.startsWith('3 brokers'))
    .flatMap((run) => run.rounds)
    .flatMap(({ joins }) => joins ?? [])
  if (rounds.length === 0) return []
  const some = rounds.filter((joins) => joins > 0).length
  return [
    `Faults of one broker of three: ${rounds.length} in which joins were counted; in ${some} of them a process joined the group again.`,
    '',
  ]
}

function simulationLines({ seeds, mutants }: Simulated): string[] {
  const lines: string[] = []
  if (seeds !== undefined)
    lines.push(
      `\`node scripts/simulate-seeds.ts ${seeds.seeds}\` at ${seeds.commit}: ${thousands(seeds.runs)} runs (${seeds.seeds} seeds, pipeline depths 1, 2 and 3), ${thousands(seeds.faults)} faults, ${thousands(seeds.events)} events, no violation; ${thousands(Math.round(seeds.steps / seeds.cpuSeconds))} steps per second of processor time. \`npm test\` runs 1 000 of them.`,
      '',
    )
  if (mutants !== undefined) {
    const { findings } = mutants
    const missed = findings.filter(({ violation }) => violation === null).map(({ name }) => name)
    lines.push(
      `\`node scripts/sabotage.ts\` at ${mutants.commit}: ${findings.length - missed.length} of ${findings.length} mistakes in a copy of the source, and lies of the simulated servers, were noticed within ${mutants.seeds} seeds or by the exhaustive exploration of small schedules.${missed.length === 0 ? '' : ` Not noticed: ${missed.join('; ')}.`}`,
    )
  }
  return lines.length === 0
    ? ['Not run: `node scripts/simulate-seeds.ts`, `node scripts/sabotage.ts`.']
    : lines
}

function plotRows(results: readonly Result[]): PlotRow[] {
  const rows = [...Map.groupBy(results, ({ scenario }) => scenario)].map(([name, runs]) => ({
    name,
    group: runs[0]?.group ?? '',
    times: runs.flatMap(({ rounds }) => rounds.map(({ allMs }) => allMs).filter((ms) => ms !== null)),
  }))
  const order = (group: string): number => groups.findIndex((one) => one === group)
  return rows.filter(({ times }) => times.length > 0).toSorted((a, b) => order(a.group) - order(b.group))
}

/** `file: name` as a link to the file. */
function testLink(test: string): string {
  const colon = test.indexOf(': ')
  return `“${test.slice(colon + 2)}” ([${test.slice(0, colon)}](../${test.slice(0, colon)}))`
}

function sabotageLines(made: readonly SabotageResult[]): string[] {
  if (made.length === 0) return ['Not run: `npm run test:faults -- --sabotage`.']
  const caught = made.filter(({ violation }) => violation !== null).length
  return [
    `Each is made in a copy of the source, and must bring about the violation that it names: ${caught} of ${made.length} caught.`,
    '',
    '| mutation | caught by | first violation of that kind | at |',
    '|---|---|---|---|',
    ...made.map(({ name, by, violation, commit }) => {
      const why = sabotages.find((one) => one.name === name)?.unnoticed
      const missed = why === undefined ? '**not caught**' : `**not caught**: ${why}`
      return `| ${name} | ${by} | ${violation === null ? missed : cell(violation)} | ${commit} |`
    }),
  ]
}

function cell(text: string): string {
  return text.replaceAll('|', '\\|').replaceAll(/\s+/g, ' ').slice(0, 220)
}

function thousands(count: number): string {
  return String(count).replaceAll(/\B(?=(\d{3})+$)/g, ' ')
}
