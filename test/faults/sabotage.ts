import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { cacheDir } from '../../src/stack/cache.ts'
import { endTogether } from '../support/end-together.ts'
import { say, type Counts } from './play.ts'
import { commitOf, root } from './results.ts'
import { notInjected } from './rounds.ts'
import { keepSabotages, type SabotageResult } from './sabotage-results.ts'
import { sabotages, type Edit, type Sabotage } from './sabotages.ts'

/** Makes one mistake after the other in a copy of the checkout, and shows it to what must notice. */
export async function sabotage(only: string | undefined): Promise<Counts> {
  const wanted = sabotages.filter(({ name }) => only === undefined || name.includes(only))
  if (wanted.length === 0) throw new RangeError(`no sabotage has “${only}” in its name`)
  const copy = mkdtempSync(join(tmpdir(), 'millrace-sabotage-'))
  const counts: Counts = { passed: 0, failed: 0, leftOut: 0, events: 0 }
  try {
    copyCheckout(copy)
    for (const one of wanted) {
      const result = await shown(copy, one)
      keepSabotages([result])
      counts[result.violation === null ? 'failed' : 'passed']++
      say(`${result.violation === null ? 'NOT CAUGHT' : 'caught'}: ${one.name}, by ${result.by}`)
      if (result.violation !== null) say(`    ${result.violation}`)
    }
  } finally {
    rmSync(copy, { recursive: true, force: true })
  }
  return counts
}

const leftOut = new Set(['.git', 'node_modules', '.millrace', 'dist', 'coverage'])

function copyCheckout(copy: string): void {
  const filter = (path: string): boolean => !leftOut.has(relative(root, path))
  cpSync(root, copy, { recursive: true, filter })
  symlinkSync(join(root, 'node_modules'), join(copy, 'node_modules'))
}

async function shown(copy: string, { name, edits, shown: to, breaks }: Sabotage): Promise<SabotageResult> {
  const commit = commitOf()
  const by = 'scenario' in to ? `\`${to.scenario}\`` : `“${to.named}” (${to.test})`
  const originals = new Map(edits.map(({ file }) => [file, readFileSync(join(copy, file), 'utf8')]))
  try {
    for (const edit of edits) make(copy, edit)
    const args =
      'scenario' in to
        ? ['test/faults/run.ts', '--only', to.scenario, '--rounds', String(to.rounds)]
        : ['node_modules/vitest/vitest.mjs', 'run', to.test, '-t', to.named]
    const { code, output } = await run(copy, args)
    if (code === 0) return { name, by, violation: null, commit }
    const seen = 'scenario' in to ? violationsOf(output) : failuresOf(output, to.named)
    if (seen.length === 0)
      throw new Error(`${name}: ${by} failed for another reason:\n${output.slice(-2_000)}`)
    const violation = seen.find((one) => breaks.test(one)) ?? null
    if (violation === null) say(`    not what it breaks: ${seen[0]}`)
    return { name, by, violation, commit }
  } finally {
    for (const [file, text] of originals) writeFileSync(join(copy, file), text)
  }
}

function make(copy: string, { file, find, replace }: Edit): void {
  const path = join(copy, file)
  const before = readFileSync(path, 'utf8')
  if (before.split(find).length !== 2) throw new Error(`not found once in ${file}: ${find}`)
  writeFileSync(
    path,
    before.replace(find, () => replace),
  )
}

async function run(copy: string, args: readonly string[]): Promise<{ code: number; output: string }> {
  const child = spawn(process.execPath, args, {
    cwd: copy,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, MILLRACE_CACHE: cacheDir(), NO_COLOR: '1' },
  })
  endTogether(child)
  const chunks: Buffer[] = []
  child.stdout.on('data', (chunk: Buffer) => chunks.push(chunk))
  child.stderr.on('data', (chunk: Buffer) => chunks.push(chunk))
  const [code] = (await once(child, 'close')) as [number | null]
  return { code: code ?? 1, output: Buffer.concat(chunks).toString() }
}

/** The violations that the suite names; a fault that could not be injected is none. */
function violationsOf(output: string): string[] {
  return output
    .split('\n')
    .filter((line) => line.includes(' VIOLATION ') && !line.includes(notInjected))
    .map((line) => line.split(' VIOLATION ')[1] ?? '')
}

/** Why vitest says that this test failed, with each difference; empty: it did not. */
function failuresOf(output: string, named: string): string[] {
  const lines = output.split('\n').map((line) => line.trim())
  const failed = lines.findIndex((line) => line.startsWith('FAIL ') && line.includes(named))
  if (failed < 0) return []
  const after = lines.slice(failed + 1)
  const reason = after.find((line) => line !== '')
  const differences = after.filter((line) => /^[+-] +["']/.test(line))
  return differences.length === 0 ? [reason ?? ''] : differences.map((line) => `${reason} ${line}`)
}
