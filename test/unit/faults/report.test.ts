import { expect, test } from 'vitest'
import { plot, quantile } from '../../faults/plot.ts'
import { report } from '../../faults/report.ts'
import type { Result } from '../../faults/results.ts'
import { scenarios } from '../../faults/scenarios/index.ts'

function result(seed: number, times: readonly number[], violations: readonly string[] = []): Result {
  return {
    scenario: 'kill-anywhere',
    group: 'crash',
    stack: '1 broker, Redis standalone',
    seed,
    rounds: times.map((ms) => ({ what: 'SIGKILL', firstMs: ms, allMs: ms + 10, lagMs: ms + 20 })),
    verdict: {
      violations,
      events: 1_500,
      predictions: 1_400,
      alerts: 3,
      deadLetters: 100,
      commits: 80,
      drainedMs: 5,
    },
    durationMs: 60_000,
    on: { commit: 'abc', kafka: '4.2.0', redis: '7.0.15', cores: 2, sessionTimeout: '3s', day: '2026-01-05' },
  }
}

test('runs of one scenario are added up: rounds, events, violations, and quantiles over all rounds', () => {
  const text = report(scenarios, [result(1, [100, 200, 300]), result(2, [400], ['I1: twice'])], [])
  expect(text).toContain('**2 runs × 2 seeds × 4 faults injected × 3 000 events checked: 1 violations.**')
  expect(text).toContain('| `kill-anywhere` | 2 | 4 | 3 000 | 1 | 200 / 400 | 210 / 410 | 220 / 420 |')
})

test('a false alarm of the referee is listed with its reason, and not counted', () => {
  const alarm = { ...result(7, [9], ['I6: seen too late']), falseAlarm: 'Mended in 123.' }
  const text = report(scenarios, [result(1, [100]), alarm], [])
  expect(text).toContain('**1 runs × 1 seeds × 1 faults injected × 1 500 events checked: 0 violations.**')
  expect(text).toContain('- `kill-anywhere`, seed 7, at abc: “I6: seen too late”. Mended in 123.')
})

test('times before a change of what is measured are left out, the runs are not', () => {
  const of = (commit: string, ms: number): Result => {
    const { on, ...rest } = result(1, [ms])
    return { ...rest, scenario: 'broker-kill', group: 'broker', on: { ...on, commit } }
  }
  const runs = [of('abc', 9_000), of('ab39ff5', 400), of('def', 300)]
  expect(report(scenarios, runs, [])).toContain(
    '| `broker-kill` | 3 | 3 | 4 500 | 0 | 300 / 400 | 310 / 410 | 320 / 420 |',
  )
})

test('a round without recovery has no time, and counts', () => {
  const failed = { ...result(1, [100]), rounds: [{ what: '', firstMs: null, allMs: null, lagMs: null }] }
  expect(report(scenarios, [failed], [])).toContain('| `kill-anywhere` | 1 | 1 | 1 500 | 0 |  |  |  |')
})

test('a sabotage that nobody noticed stands out', () => {
  const text = report(
    scenarios,
    [],
    [
      { name: 'no fence', by: '`sleep-before-commit`', violation: 'I1: a|b', commit: 'abc' },
      { name: 'one alert is lost', by: '`kill-anywhere`', violation: null, commit: 'def' },
    ],
  )
  expect(text).toContain('1 of 2 caught')
  expect(text).toContain('| no fence | `sleep-before-commit` | I1: a\\|b | abc |')
  expect(text).toContain('| one alert is lost | `kill-anywhere` | **not caught** | def |')
})

test('kills that took longer than session timeout and a second are counted by scenario', () => {
  const text = report(scenarios, [result(1, [3_900, 3_995, 4_500])], [])
  expect(text).toContain(
    '3; all its partitions committed again within session timeout + 1 s after 1 of them.',
  )
  expect(text).toContain('`kill-anywhere` 2 (up to 4.5 s)')
})

test('the figures of the simulation are told with their commits', () => {
  const findings = [
    { name: 'a', violation: 'I1' },
    { name: 'b', violation: null },
  ]
  const seeds = { commit: 'abc', seeds: 10, runs: 30, faults: 400, events: 500, steps: 90_000, cpuSeconds: 3 }
  const text = report(scenarios, [], [], { seeds, mutants: { commit: 'def', seeds: 20, findings } })
  expect(text).toContain('at abc: 30 runs (10 seeds, pipeline depths 1, 2 and 3), 400 faults, 500 events')
  expect(text).toContain('30 000 steps per second')
  expect(text).toContain('at def: 1 of 2 mistakes')
  expect(text).toContain('Not noticed: b.')
})

test('quantiles are values that were seen', () => {
  expect([0.5, 0.95, 1].map((share) => quantile([5, 1, 3, 2, 4], share))).toEqual([3, 5, 5])
  expect(quantile([], 0.5)).toBeNaN()
})

test('the plot has a dot for every round', () => {
  const svg = plot('t', [{ name: 'a', group: 'crash', times: [20, 3_000, 90_000] }])
  expect(svg.match(/<circle /g)?.length).toBe(3)
  expect(svg).not.toContain('NaN')
})
