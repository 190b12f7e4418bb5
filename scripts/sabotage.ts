/**
 * Makes one small mistake after the other in a copy of the source, then lets the simulated servers tell one lie after the other,
 * and asks the simulation (or the differential test) whether it notices: `node scripts/sabotage.ts [--seeds n] [--only part-of-a-name] [--json FILE]`.
 * A mistake that no seed shows is shown to the exploration. Exit code 1 when one passes unnoticed.
 */
import { spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { differentialMutants } from '../test/differential/mutants.ts'
import { commitOf, putJson } from '../test/faults/results.ts'
import { mutants, type Mutant } from '../test/simulation/mutants.ts'
import { sabotages, type Sabotage } from '../test/simulation/sabotage.ts'
import { simulate } from '../test/simulation/world.ts'

interface Finding {
  readonly name: string
  /** What noticed it, or was the last to look at it. */
  readonly by: string
  /** null: nobody noticed. */
  readonly violation: string | null
}

type Complaint = Omit<Finding, 'name'>

const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '1500' }, // the rarest mistake needs about half of them
    only: { type: 'string', default: '' },
    json: { type: 'string' },
  },
})
const root = resolve(import.meta.dirname, '..')
// Inside the root, so that packages are found; git ignores the folder.
const copy = join(root, '.millrace', `sabotage-${process.pid}`)

const commit = commitOf()
const findings: Finding[] = []
copySource()
try {
  const before = complaint() ?? difference()
  if (before !== null)
    throw new Error(`the source is red before anything is changed: ${before.by}: ${before.violation}`)
  for (const mutant of mutants.filter(isWanted)) tell(findMutant(mutant, complaint))
  for (const mutant of differentialMutants.filter(isWanted)) tell(findMutant(mutant, difference))
} finally {
  rmSync(copy, { recursive: true, force: true })
}
for (const [name, sabotage] of Object.entries(sabotages)) {
  if (isWanted({ name })) tell(await findLie(name, sabotage))
}
const caught = findings.filter(({ violation }) => violation !== null).length
console.log(`caught ${caught} of ${findings.length}`)
if (values.json !== undefined)
  putJson(values.json, 'mutants', { commit, seeds: Number(values.seeds), findings })
process.exit(caught === findings.length ? 0 : 1)

function isWanted({ name }: { readonly name: string }): boolean {
  return name.includes(values.only)
}

function tell(finding: Finding): void {
  const { name, by, violation } = finding
  findings.push(finding)
  console.log(
    `${violation === null ? 'GREEN' : 'red  '} ${name}\n      ${by}: ${violation ?? 'nobody noticed'}`,
  )
}

function copySource(): void {
  mkdirSync(copy, { recursive: true })
  for (const folder of [
    'src',
    'test/differential',
    'test/faults',
    'test/simulation',
    'test/support',
    'scripts',
  ]) {
    cpSync(join(root, folder), join(copy, folder), { recursive: true })
  }
  cpSync(join(root, 'package.json'), join(copy, 'package.json'))
}

function findMutant({ name, file, find, replace }: Mutant, look: () => Complaint | null): Finding {
  const path = join(copy, file)
  const before = readFileSync(path, 'utf8')
  if (before.split(find).length !== 2) throw new Error(`“${find}” does not occur once in ${file} (${name})`)
  writeFileSync(
    path,
    before.replace(find, () => replace),
  )
  try {
    const by = `${values.seeds} seeds, and all schedules with one fault`
    return { name, ...(look() ?? { by, violation: null }) }
  } finally {
    writeFileSync(path, before)
  }
}

/** What the simulation, then the exploration say of the copy as it is; null: green. */
function complaint(): Complaint | null {
  const explored = ['XYX', 'XZY'].map((events) => ['explore.ts', '--faults', '1', '--events', events])
  for (const command of [['simulate-seeds.ts', '--no-shrink', values.seeds], ...explored]) {
    const found = complaintOf(command)
    if (found !== null) return found
  }
  return null
}

/** What the comparison of live, replay and definition says. */
function difference(): Complaint | null {
  return complaintOf(['differential-seeds.ts', '--no-shrink', values.seeds])
}

function complaintOf([script = '', ...args]: readonly string[]): Complaint | null {
  const run = spawnSync(process.execPath, [join(copy, 'scripts', script), ...args], { encoding: 'utf8' })
  if (run.status === 0) return null
  const lines = run.stdout.split('\n')
  const seed = /^(seed \d+(?:, depth \d+)?): (.*)$/.exec(lines[0] ?? '')
  if (seed) return { by: seed[1] ?? '', violation: seed[2] ?? '' }
  const replay = lines.findIndex((line) => line.startsWith('replay with'))
  if (replay < 0)
    throw new Error(`${script} ends with ${run.status ?? run.signal}: ${run.stderr || run.stdout}`)
  return { by: `explore ${args.join(' ')}`, violation: lines[replay - 1] ?? '' }
}

async function findLie(name: string, sabotage: Sabotage): Promise<Finding> {
  const seeds = Number(values.seeds)
  for (let seed = 1; seed <= seeds; seed++) {
    const { violations } = await simulate({ seed, depth: 2, sabotage, keep: 0 })
    if (violations.length > 0) return { name, by: `seed ${seed}, depth 2`, violation: violations[0] ?? '' }
  }
  return { name, by: `${seeds} seeds`, violation: null }
}
