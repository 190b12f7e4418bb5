/**
 * Runs simulated seeds until one is red: `node scripts/simulate-seeds.ts [seeds] [first]`.
 * Exit code 1 with the seed and its last lines, 0 when all are green.
 */
import { simulate } from '../test/simulation/world.ts'

const seeds = Number(process.argv[2] ?? 1_000)
const first = Number(process.argv[3] ?? 1)
const linesShown = 60

for (let seed = first; seed < first + seeds; seed++) {
  for (const depth of [1, 2, 3]) {
    const { violations, trace, settings } = await simulate({ seed, depth, keep: linesShown })
    if (violations.length === 0) continue
    console.log(`seed ${seed}, depth ${depth}: ${violations[0]}`)
    console.log(JSON.stringify(settings))
    console.log(trace.last(linesShown))
    process.exit(1)
  }
}
console.log(`${seeds} seeds from ${first} on are green at depths 1, 2 and 3`)
process.exit(0)
