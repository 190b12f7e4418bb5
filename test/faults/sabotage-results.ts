import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { docsDir, faultsDir, isPublic } from './results.ts'

/** What became of one mutation of the source. */
export interface SabotageResult {
  readonly name: string
  /** The scenario, simulation or test that it was shown to. */
  readonly by: string
  /** null: nobody noticed. */
  readonly violation: string | null
  /** Of the source that was mutated. */
  readonly commit: string
}

/** Of this checkout, and those published before. */
const keptFile = join(faultsDir, 'sabotage.json')
const publishedFile = join(docsDir, 'mutations.json')

/** Replaces earlier results of the same mutations. */
export function keepSabotages(results: readonly SabotageResult[]): void {
  merge(keptFile, results)
}

/** All results, after those of this checkout were added to what is published; only results of a clean commit are. */
export function publishedSabotages(): readonly SabotageResult[] {
  return merge(
    publishedFile,
    read(keptFile).filter(({ commit }) => isPublic(commit)),
  )
}

function read(file: string): SabotageResult[] {
  return existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as SabotageResult[]) : []
}

function merge(file: string, results: readonly SabotageResult[]): readonly SabotageResult[] {
  const byName = new Map([...read(file), ...results].map((result) => [result.name, result]))
  const merged = [...byName.values()]
  mkdirSync(dirname(file), { recursive: true })
  writeFileSync(file, `${JSON.stringify(merged, null, 1)}\n`)
  return merged
}
