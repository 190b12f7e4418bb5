import { expect, test } from 'vitest'
import { reportOf } from './report.ts'
import { differential } from './run.ts'

const seedsUsual = 1_200
/** MILLRACE_SEEDS=n runs n seeds instead of the usual ones. */
const seeds = Number(process.env['MILLRACE_SEEDS'] ?? seedsUsual)
const msPerSeedMax = 1_000
/** False in `npm run check`, which has a minute for everything. */
const isWhole = seeds >= seedsUsual
const reached = new Map<string, number>()

test(
  `live, replay and definition give the same features (seeds 1 to ${seeds})`,
  { timeout: seeds * msPerSeedMax },
  async () => {
    for (let seed = 1; seed <= seeds; seed++) {
      const { problems, counts } = await differential({ seed })
      if (problems.length > 0) expect.fail(`${problems[0]}\n${await reportOf({ seed })}`)
      expect(problems).toEqual([])
      for (const [what, times] of counts) reached.set(what, (reached.get(what) ?? 0) + times)
      if (seed % 50 === 0) await new Promise((resolve) => setImmediate(resolve))
    }
  },
)

test.runIf(isWhole)('the seeds reach every kind of row, and most rows are compared without a flag', () => {
  const times = (what: string): number => reached.get(what) ?? 0
  expect(worldly.filter((what) => times(what) === 0)).toEqual([])
  expect(times('flag unaligned')).toBeLessThan(times('live rows') / 4)
  expect(times('delayed windows with something in them')).toBeGreaterThan(times('live rows') / 5)
  expect(times('replayed numbers')).toBeGreaterThan(times('live numbers') / 3)
})

const worldly = [
  'flag late',
  'flag capped',
  'flag unaligned',
  'flag expression-error',
  'unaligned and behind',
  'came after the event',
  'live: beyond outOfOrder',
  'replayed rows with a flag',
  'own: live equals replay',
  'delayed: live equals replay',
  'delayed: live differs from replay',
]
