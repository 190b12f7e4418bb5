import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { systemClock } from '../../src/time/system-clock.ts'
import { summary } from '../support/judge.ts'
import { defaultSessionTimeout, type FaultWorld } from './fault-world.ts'
import { faultsDir, keep, machine } from './results.ts'
import type { RunOptions, ScenarioRun } from './rounds.ts'
import { stackName, type Scenario } from './scenario.ts'

/** Of scenarios played. */
export interface Counts {
  passed: number
  failed: number
  /** Scenarios that there was no time for. */
  leftOut: number
  events: number
}

export interface PlayOptions {
  readonly seed: number
  /** Arguments that do the same once more. */
  readonly replay: string
  readonly counts: Counts
  /** Logs of processes are kept when something is wrong; here also when all is well. */
  readonly logs: boolean
}

const nothingJudged = { events: 0, predictions: 0, alerts: 0, deadLetters: 0, commits: 0, drainedMs: 0 }

export function say(line: string): void {
  process.stdout.write(`${line}\n`)
}

/** Plays one scenario, says and keeps what came of it. */
export async function play(
  scenario: Scenario,
  { seed, replay, counts, logs }: PlayOptions,
  run: (options: RunOptions) => Promise<ScenarioRun>,
): Promise<void> {
  const tag = `${scenario.name} seed ${seed}`
  const again = `${tag}: to see it again: npm run test:faults -- ${replay}`
  const keepLogs = (world: FaultWorld, isWrong: boolean): void => {
    if (!isWrong && !logs) return
    const dir = join(faultsDir, 'logs', `${scenario.name}-${seed}`)
    mkdirSync(dir, { recursive: true })
    for (const [name, text] of world.logs()) writeFileSync(join(dir, `${name}.log`), text)
    say(`${tag}: the logs of its processes are in ${dir}`)
  }
  const keepResult = (done: ScenarioRun): void =>
    keep({
      scenario: scenario.name,
      group: scenario.group,
      stack: stackName(scenario.stack),
      seed,
      ...done,
      on: machine(defaultSessionTimeout),
    })
  const startedAt = systemClock.monotonic()
  try {
    const done = await run({ seed, say: (line) => say(`${tag} ${line}`), keepLogs })
    keepResult(done)
    const { violations, events, drainedMs } = done.verdict
    for (const violation of summary(violations)) say(`${tag} VIOLATION ${violation}`)
    if (violations.length > 0) say(again)
    const outcome = violations.length === 0 ? 'ok' : 'FAILED'
    const seconds = Math.round(done.durationMs / 1000)
    say(`${tag} ${outcome}: ${events} events, lag 0 after ${Math.round(drainedMs)} ms, ${seconds} s`)
    counts.events += events
    counts[violations.length === 0 ? 'passed' : 'failed']++
  } catch (error) {
    // No verdict, but no success either: it stands in the report.
    const message = `no verdict: ${error instanceof Error ? error.message : String(error)}`
    keepResult({
      rounds: [],
      verdict: { ...nothingJudged, violations: [message] },
      durationMs: systemClock.monotonic() - startedAt,
    })
    say(`${tag} FAILED: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`)
    say(again)
    counts.failed++
  }
}
