import { describe, expect, test } from 'vitest'
import {
  judgePartition,
  observationsMax,
  remember,
  type PartitionObservation,
} from '../../../src/telemetry/partition-status.ts'

/** A full set of observations, ten seconds apart, of the position and lag that a function gives. */
function past(at: (i: number) => Partial<PartitionObservation>): PartitionObservation[] {
  return Array.from({ length: observationsMax }, (_, i) => ({
    atMs: i * 10_000,
    position: 100 + i,
    lagRecords: 50,
    committedAtMs: i * 10_000,
    ...at(i),
  }))
}

describe('judgePartition', () => {
  test('progress under constant lag is ok', () => {
    expect(judgePartition(past(() => ({})))).toBe('ok')
  })

  test('lag that only grows is a warning', () => {
    expect(judgePartition(past((i) => ({ lagRecords: 50 + i })))).toBe('warning')
    expect(judgePartition(past((i) => ({ lagRecords: 50 + (i === 5 ? 3 : i) })))).toBe('ok')
  })

  test('commits without progress are a stall', () => {
    expect(judgePartition(past(() => ({ position: 100 })))).toBe('stalled')
  })

  test('no commit in the whole span is a stop', () => {
    expect(judgePartition(past(() => ({ position: 100, committedAtMs: -1 })))).toBe('stopped')
    expect(judgePartition(past(() => ({ position: 100, committedAtMs: null })))).toBe('stopped')
  })

  test('a position below an earlier one is a rewind, until it is reached again', () => {
    expect(judgePartition(past((i) => ({ position: i < 5 ? 100 + i : 50 + i })))).toBe('rewound')
    expect(judgePartition(past((i) => ({ position: i === 5 ? 50 : 100 + i })))).toBe('ok')
  })

  test('a partition that was caught up at any time, or is now, is ok', () => {
    expect(judgePartition(past((i) => ({ position: 100, lagRecords: i === 4 ? 0 : 50 })))).toBe('ok')
    expect(judgePartition(past((i) => ({ position: 100, lagRecords: i === 9 ? 0 : 50 })))).toBe('ok')
  })

  test('too few observations are no ground for complaint', () => {
    expect(judgePartition([])).toBe('ok')
    expect(judgePartition(past(() => ({ position: 100 })).slice(1))).toBe('ok')
  })
})

test('only the newest observations are kept', () => {
  const [first, ...rest] = past(() => ({}))
  const kept = remember([first!, ...rest], { atMs: 999_999, position: 1, lagRecords: 1, committedAtMs: null })
  expect(kept).toHaveLength(observationsMax)
  expect(kept[0]).toBe(rest[0])
})
