import { expect, test } from 'vitest'
import { reportOf } from './report.ts'
import { simulate } from './world.ts'

const seedsUsual = 1_000
/** MILLRACE_SEEDS=n runs n seeds for each depth instead of the usual ones. */
const seeds = Number(process.env['MILLRACE_SEEDS'] ?? seedsUsual)
const msPerSeedMax = 1_000
/** False in `npm run check`, which has a minute for everything. */
export const isWhole = seeds >= seedsUsual

/** The tests of one depth; each depth has its own seeds, so that all of them together are as many as possible. */
export function testSeeds(depth: number): void {
  const reached = new Map<string, number>()
  const first = 1 + (depth - 1) * seeds

  test(
    `every record yields exactly one outcome, whatever fails (seeds ${first} to ${first + seeds - 1})`,
    { timeout: seeds * msPerSeedMax },
    async () => {
      for (let seed = first; seed < first + seeds; seed++) {
        const { violations, trace } = await simulate({ seed, depth, keep: 0 })
        if (violations.length > 0) expect.fail(`${violations[0]}\n${await reportOf({ seed, depth })}`)
        expect(violations).toEqual([])
        for (const [what, times] of trace.counts) reached.set(what, (reached.get(what) ?? 0) + times)
        if (seed % 50 === 0) await new Promise((resolve) => setImmediate(resolve))
      }
    },
  )

  test.runIf(isWhole)('the seeds reach every kind of trouble', () => {
    expect(worldly.filter((what) => !reached.has(what))).toEqual([])
  })
}

const worldly = [
  'crash',
  'freeze',
  'drain',
  'rebalance',
  'fenced',
  'transaction timeout',
  'aborted transaction',
  'request late',
  'reply lost',
  'redis: FLUSHALL',
  'redis: W vanishes',
  'redis: a failover loses the last writes',
  'redis: a failover loses the last writes of a bucket',
  'redis: an old backup comes back',
  'redis: a script is torn',
  'redis: a script is slow',
  'redis: a late copy of a script',
  'redis: a late copy of the script that began a build',
  'redis: and of the first with data',
  'redis: a key expires',
  'retention',
  'log deleted above the position',
  'log deleted below the position',
  'offset set by an operator',
  'offset beyond the end',
  'topic recreated',
  'group offsets lost',
  'outage',
  'quarantine',
  'killer',
  'refused OFFSET_FOREIGN',
  'refused OFFSET_BELOW_LOG',
  'refused OFFSET_LOST',
  'EndTxn refused after a re-claim',
  'first start at the end, and a crash before',
  'watermark mismatch',
  'replaying',
  'rebuild',
  'append',
  'paused',
  'flag late',
  'flag gap',
  'flag unaligned',
  'alert',
  'dead letter DECODE',
  'dead letter VALIDATION',
  'dead letter LATE',
  'dead letter INFERENCE',
  'dead letter OVERSIZE',
  'dead letter POISON',
]
