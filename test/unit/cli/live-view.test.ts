import { readFile } from 'node:fs/promises'
import { stripVTControlCharacters } from 'node:util'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { LiveState } from '../../../src/cli/live-state.ts'
import {
  colourPalette,
  formatCount,
  formatSpan,
  renderLiveView,
  renderPlainLine,
  sparkline,
} from '../../../src/cli/live-view.ts'

const state: LiveState = {
  name: 'card-fraud',
  phase: 'live',
  upMs: 754_000,
  eventsPerSecond: Array.from({ length: 120 }, (_, i) => 100 + ((i * 37) % 120)),
  latency: { p50Ms: 8.44, p99Ms: 1_240 },
  partitions: [
    { topic: 'card.transactions', partition: 0, status: 'serving', lagRecords: 0, lagMs: 0 },
    { topic: 'card.transactions', partition: 1, status: 'replaying', lagRecords: 12_345, lagMs: 65_000 },
    { topic: 'card.labels', partition: 0, status: 'serving', lagRecords: null, lagMs: null },
  ],
  totals: { predictions: 1_234_567, alerts: 312, deadLetters: 2 },
  alerts: [
    {
      occurredAt: Date.UTC(2026, 0, 31, 12, 4, 5),
      id: 'l1-9',
      key: 'c01234',
      score: 0.97312,
      severity: 'high',
      rules: ['model-score', 'card-testing'],
      reasons: [
        { feature: 'terminal_risk_7d', value: 0.8235, baseline: 0, effect: 0.6 },
        { feature: 'amount', value: 1412.5, baseline: 41.2, effect: 0.1 },
      ],
    },
    {
      occurredAt: Date.UTC(2026, 0, 31, 12, 3, 59),
      id: 'l1-4',
      key: 'c00077',
      score: 0.4,
      severity: 'medium',
      rules: ['card-testing'],
      reasons: [],
    },
  ],
  kafka: { ok: true, detail: '127.0.0.1:9092' },
  redis: { ok: false, detail: 'no answer for 3 s, waiting' },
  keys: [
    ['q', 'quit'],
    ['p', 'pause'],
  ],
}

describe('the live view', () => {
  test.each([80, 120])('at %i columns looks as recorded', async (width) => {
    const golden = new URL(`live-view-${width}.txt`, import.meta.url)
    expect(`${renderLiveView(state, width).join('\n')}\n`).toBe(await readFile(golden, 'utf8'))
  })

  test('in colour shows the same text', () => {
    const coloured = renderLiveView(state, 80, colourPalette)
    expect(coloured.map((line) => stripVTControlCharacters(line).trimEnd())).toEqual(
      renderLiveView(state, 80).map((line) => line.trimEnd()),
    )
    expect(coloured.join('')).toContain('\u001b[31mhigh    \u001b[0m')
  })

  test('marks the partitions that do not serve, and only those', () => {
    const coloured = renderLiveView(state, 80, colourPalette).join('\n')
    expect(coloured).toContain('\u001b[33mreplaying')
    expect(coloured).not.toContain('\u001b[33mserving')
  })

  test('never is wider than the terminal, nor steered by what records contain', () => {
    const text = fc.string({ unit: 'binary', maxLength: 60 })
    const alert = fc.record({
      occurredAt: fc.oneof(fc.integer(), fc.constant(NaN)),
      id: text,
      key: text,
      score: fc.double({ min: 0, max: 1, noNaN: true }),
      severity: fc.constantFrom('info', 'critical'),
      rules: fc.array(text, { maxLength: 4 }),
      reasons: fc.array(
        fc.record({ feature: text, value: fc.double(), baseline: fc.double(), effect: fc.double() }),
        { maxLength: 4 },
      ),
    })
    fc.assert(
      fc.property(
        fc.integer({ min: 40, max: 200 }),
        fc.array(alert, { maxLength: 8 }),
        text,
        (width, alerts, name) => {
          const lines = renderLiveView({ ...state, name, alerts }, width)
          for (const line of lines) {
            expect(line.length).toBeLessThanOrEqual(width)
            expect(line).not.toMatch(/\p{Cc}/u)
          }
        },
      ),
    )
  })

  test('before anything happened says so instead of showing zeros as facts', () => {
    const lines = renderLiveView(
      { ...state, phase: 'starting', eventsPerSecond: [], latency: null, partitions: [], alerts: [] },
      80,
    )
    expect(lines).toContain('event to prediction  -')
    expect(lines).toContain('  none yet')
    expect(lines).toContain('Partitions (0)   lag unknown records')
  })

  test('with many partitions counts those it leaves out', () => {
    const many = Array.from({ length: 20 }, (_, partition) => ({ ...state.partitions[0]!, partition }))
    expect(renderLiveView({ ...state, partitions: many }, 80)).toContain('  and 12 more')
  })
})

test('without a terminal one line says it all', () => {
  expect(renderPlainLine(state)).toBe(
    'live events/s=146 p50_ms=8.4 p99_ms=1240 lag=12345 predictions=1234567 alerts=312 dead_letters=2 redis="no answer for 3 s, waiting"',
  )
})

test('a sparkline shows the newest values, scaled to the largest shown', () => {
  expect(sparkline([1000, 0, 1, 2, 4, 8], 5)).toBe('▁▁▂▄█')
  expect(sparkline([0, 0], 5)).toBe('▁▁')
  expect(sparkline([1, 2], 0)).toBe('')
})

test('spans and counts are written for people', () => {
  expect([0, 8_999, 125_000, 11_520_000, 40 * 86_400_000 + 7_200_000].map(formatSpan)).toEqual([
    '0s',
    '8s',
    '2m 05s',
    '3h 12m',
    '40d 02h',
  ])
  expect([7, 1234, 1234567].map(formatCount)).toEqual(['7', '1,234', '1,234,567'])
})
