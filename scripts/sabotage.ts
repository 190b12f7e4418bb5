/**
 * Makes one small mistake after the other in a copy of the source and asks the simulation whether it notices:
 * `node scripts/sabotage.ts [seeds] [part of a name]`. Exit code 1 when one passes unnoticed.
 */
import { spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { mutants, type Mutant } from '../test/simulation/mutants.ts'

const root = resolve(import.meta.dirname, '..')
// Inside the root, so that packages are found; git ignores the folder.
const copy = join(root, '.millrace', `sabotage-${process.pid}`)
const seeds = process.argv[2] ?? '1000' // the rarest mistake needs about 650
const wanted = process.argv[3] ?? ''

function copySource(): void {
  mkdirSync(copy, { recursive: true })
  for (const folder of ['src', 'test/simulation', 'test/support', 'scripts']) {
    cpSync(join(root, folder), join(copy, folder), { recursive: true })
  }
  cpSync(join(root, 'package.json'), join(copy, 'package.json'))
}

/** What the simulation says of the mistake; null: nothing. */
function noticed({ file, find, replace }: Mutant): string | null {
  const path = join(copy, file)
  const before = readFileSync(path, 'utf8')
  if (before.split(find).length !== 2) return `NOT FOUND once in ${file}: ${find}`
  writeFileSync(
    path,
    before.replace(find, () => replace),
  )
  try {
    const run = spawnSync(process.execPath, [join(copy, 'scripts/simulate-seeds.ts'), seeds], {
      encoding: 'utf8',
    })
    return run.status === 0 ? null : ((run.stdout || run.stderr).split('\n')[0] ?? '')
  } finally {
    writeFileSync(path, before)
  }
}

copySource()
let unnoticed = 0
try {
  for (const mutant of mutants.filter(({ name }) => name.includes(wanted))) {
    const what = noticed(mutant)
    if (what === null || what.startsWith('NOT FOUND')) unnoticed++
    console.log(`${what === null ? 'GREEN' : 'red  '} ${mutant.name}\n      ${what ?? 'nobody noticed'}`)
  }
} finally {
  rmSync(copy, { recursive: true, force: true })
}
process.exit(unnoticed === 0 ? 0 : 1)
