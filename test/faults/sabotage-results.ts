import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { faultsDir } from './results.ts'

/** What became of one mutation of the source. */
export interface SabotageResult {
  readonly name: string
  /** The scenario, simulation or test that it was shown to. */
  readonly by: string
  /** null: nobody noticed. */
  readonly violation: string | null
}

const file = join(faultsDir, 'sabotage.json')

export function keptSabotages(): SabotageResult[] {
  return existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as SabotageResult[]) : []
}

/** Replaces earlier results of the same mutations. */
export function keepSabotages(results: readonly SabotageResult[]): void {
  const names = new Set(results.map(({ name }) => name))
  mkdirSync(faultsDir, { recursive: true })
  const others = keptSabotages().filter(({ name }) => !names.has(name))
  writeFileSync(file, `${JSON.stringify([...others, ...results], null, 1)}\n`)
}
