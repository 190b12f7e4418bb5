import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { kafkaVersion } from '../../src/stack/kafka-server.ts'
import { redisVersion } from '../../src/stack/redis-server.ts'
import type { Group } from './scenario.ts'
import type { RoundResult } from './rounds.ts'
import type { Verdict } from './verdict.ts'

/** One run of a scenario, as kept in a file; the report is made of these. */
export interface Result {
  readonly scenario: string
  readonly group: Group
  readonly stack: string
  readonly seed: number
  readonly rounds: readonly RoundResult[]
  readonly verdict: Verdict
  readonly durationMs: number
  readonly on: Machine
  /** Added by hand: why its violation was a mistake of the referee, and the commit that mends it. Listed, not counted. */
  readonly falseAlarm?: string
}

export interface Machine {
  /** Of the checkout; `+` when files were changed. */
  readonly commit: string
  readonly kafka: string
  readonly redis: string
  readonly cores: number
  readonly sessionTimeout: string
  /** ISO 8601. */
  readonly day: string
}

export const root = join(import.meta.dirname, '..', '..')
export const faultsDir = join(root, '.millrace', 'faults')
const resultsDir = join(faultsDir, 'results')
export const docsDir = join(root, 'docs')
/** One run a line; what the report is made of. */
const historyFile = join(docsDir, 'fault-history.jsonl')

export function machine(sessionTimeout: string): Machine {
  return {
    commit: commitOf(),
    kafka: kafkaVersion,
    redis: redisVersion,
    cores: availableParallelism(),
    sessionTimeout,
    day: new Date().toISOString().slice(0, 10),
  }
}

/** Short id of the checkout's commit; with `+` when files were changed. */
export function commitOf(): string {
  const git = (...args: string[]): string =>
    execFileSync('git', args, { cwd: root, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim()
  try {
    return (
      git('rev-parse', '--short', 'HEAD') + (git('status', '--porcelain', 'src', 'test') === '' ? '' : '+')
    )
  } catch {
    return 'unknown'
  }
}

/** Sets one key of a JSON file, which need not be there yet. */
export function putJson(file: string, key: string, value: unknown): void {
  const before = existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as object) : {}
  writeFileSync(file, `${JSON.stringify({ ...before, [key]: value }, null, 1)}\n`)
}

/** Whole milliseconds are all that these times mean. */
function rounded(_key: string, value: unknown): unknown {
  return typeof value === 'number' ? Math.round(value) : value
}

export function keep(result: Result): void {
  mkdirSync(resultsDir, { recursive: true })
  const name = `${result.scenario}-${result.seed}-${Date.now()}.json`
  writeFileSync(join(resultsDir, name), `${JSON.stringify(result, rounded)}\n`)
}

/** Of runs of a commit that everybody can check out: only these are published. */
export function isPublic(commit: string): boolean {
  return /^[0-9a-f]+$/.test(commit)
}

/** What scripts/simulate-seeds.ts and scripts/sabotage.ts wrote with `--json docs/simulation.json`. */
export interface Simulated {
  readonly seeds?: {
    readonly commit: string
    readonly seeds: number
    readonly runs: number
    readonly faults: number
    readonly events: number
    readonly steps: number
    readonly cpuSeconds: number
  }
  readonly mutants?: {
    readonly commit: string
    readonly seeds: number
    readonly findings: readonly { readonly name: string; readonly violation: string | null }[]
  }
}

export function simulated(): Simulated {
  const file = join(docsDir, 'simulation.json')
  return existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as Simulated) : {}
}

/** All runs, oldest first: those published before, and those of this checkout, which are added to them. */
export function published(): Result[] {
  mkdirSync(resultsDir, { recursive: true })
  const lines = new Set(existsSync(historyFile) ? readFileSync(historyFile, 'utf8').split('\n') : [])
  lines.delete('')
  const stamp = (name: string): number => Number(/-(\d+)\.json$/.exec(name)?.[1])
  const names = readdirSync(resultsDir).filter((name) => name.endsWith('.json'))
  for (const name of names.toSorted((a, b) => stamp(a) - stamp(b))) {
    const text = readFileSync(join(resultsDir, name), 'utf8').trim()
    if (isPublic((JSON.parse(text) as Result).on.commit)) lines.add(text)
  }
  writeFileSync(historyFile, [...lines].map((line) => `${line}\n`).join(''))
  return [...lines].map((line) => JSON.parse(line) as Result)
}
