import { execFileSync } from 'node:child_process'
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
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

function commitOf(): string {
  const git = (...args: string[]): string =>
    execFileSync('git', args, { cwd: root, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim()
  try {
    return git('rev-parse', '--short', 'HEAD') + (git('status', '--porcelain', 'src') === '' ? '' : '+')
  } catch {
    return 'unknown'
  }
}

export function keep(result: Result): void {
  mkdirSync(resultsDir, { recursive: true })
  const name = `${result.scenario}-${result.seed}-${Date.now()}.json`
  writeFileSync(join(resultsDir, name), `${JSON.stringify(result)}\n`)
}

/** All runs kept, oldest first. */
export function kept(): Result[] {
  mkdirSync(resultsDir, { recursive: true })
  const stamp = (name: string): number => Number(/-(\d+)\.json$/.exec(name)?.[1])
  return readdirSync(resultsDir)
    .filter((name) => name.endsWith('.json'))
    .toSorted((a, b) => stamp(a) - stamp(b))
    .map((name) => JSON.parse(readFileSync(join(resultsDir, name), 'utf8')) as Result)
}
