import { describe, expect, test } from 'vitest'
import { simulate, type RunResult } from './world.ts'

/**
 * MILLRACE_SEEDS=n runs n seeds for each depth instead of the usual ones; MILLRACE_SEED=k runs one and prints what
 * happened.
 */
const { MILLRACE_SEEDS, MILLRACE_SEED } = process.env
const seedsUsual = 200
const replayed = MILLRACE_SEED === undefined ? null : Number(MILLRACE_SEED)
const first = replayed ?? 1
const seeds = replayed === null ? Number(MILLRACE_SEEDS ?? seedsUsual) : 1
const linesShown = 60
const msPerSeedMax = 1_000

function report(
  seed: number,
  depth: number,
  { violations, trace, settings }: RunResult,
  lines: number,
): string {
  return [
    `seed ${seed}, depth ${depth}: ${violations[0] ?? 'green'}`,
    `replay with MILLRACE_SEED=${seed}`,
    JSON.stringify(settings),
    trace.last(lines),
  ].join('\n')
}

describe.each([1, 2, 3])('with %i slices between take and commit', (depth) => {
  const reached = new Map<string, number>()

  test(
    'every record yields exactly one outcome, whatever fails',
    { timeout: seeds * msPerSeedMax },
    async () => {
      for (let seed = first; seed < first + seeds; seed++) {
        const result = await simulate({ seed, depth, keep: replayed === null ? linesShown : 10_000 })
        if (replayed !== null) process.stdout.write(`${report(seed, depth, result, 10_000)}\n`)
        if (result.violations.length > 0) expect.fail(report(seed, depth, result, linesShown))
        expect(result.violations).toEqual([])
        for (const [what, times] of result.trace.counts) reached.set(what, (reached.get(what) ?? 0) + times)
      }
    },
  )

  test.runIf(replayed === null)('the seeds reach every kind of trouble', () => {
    expect(worldly.filter((what) => !reached.has(what))).toEqual([])
  })
})

test('a seed gives the same run every time', async () => {
  const runs = [await simulate({ seed: 7, depth: 2 }), await simulate({ seed: 7, depth: 2 })]
  expect(runs[0]?.trace.last(400)).toBe(runs[1]?.trace.last(400))
})

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
  'redis: W',
  'redis: a failover loses the last writes',
  'redis: a script is torn',
  'watermark mismatch',
  'replaying',
  'rebuild',
  'append',
  'paused',
  'flag late',
  'flag unaligned',
  'alert',
  'dead letter DECODE',
  'dead letter VALIDATION',
  'dead letter LATE',
  'dead letter INFERENCE',
  'dead letter OVERSIZE',
]
