import { expect, test } from 'vitest'
import { MillraceError } from '../../../src/errors.ts'
import type { WarmReading } from '../../../src/pipeline/warm-task.ts'
import { PositionPoll } from '../../../src/service/position-poll.ts'
import { isWarm, mostBehind, progressOf } from '../../../src/service/warm.ts'
import type { Log } from '../../../src/telemetry/log.ts'
import { manualClock } from '../../../src/time/manual-clock.ts'

const log: Log = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} }
const input = { source: 'transactions', topic: 'tx', partition: 0 }

function reading(change: Partial<WarmReading>): WarmReading {
  return { input, phase: 'following', detail: '', from: 100, stored: 900, until: 1_000, ...change }
}

test('a partition is warm when it follows closely, or when warming it further is not possible', () => {
  expect(isWarm(reading({}), 100)).toBe(true)
  expect(isWarm(reading({}), 99)).toBe(false)
  expect(isWarm(reading({ phase: 'reading', stored: 1_000 }), 100)).toBe(false)
  expect(isWarm(reading({ phase: 'looking', stored: 1_000 }), 100)).toBe(false)
  expect(isWarm(reading({ phase: 'served', stored: 0 }), 0)).toBe(true)
  expect(isWarm(reading({ phase: 'cannot', stored: 0 }), 0)).toBe(true)
})

test('what others serve is no part of the progress', () => {
  const readings = [
    reading({ phase: 'served', stored: 100 }),
    reading({ phase: 'cannot', stored: 0 }),
    reading({}),
  ]
  const progress = progressOf(readings, 100, 1_000)
  expect(progress).toMatchObject({ partitions: 3, warm: 3, read: 800, of: 900 })
  expect(mostBehind(progress)).toBe(100)
})

test('progress counts records over all partitions, and estimates the rest from the rate so far', () => {
  const readings = [reading({ phase: 'reading', stored: 350 }), reading({ stored: 1_000 })]
  expect(progressOf(readings, 10, 23_000)).toMatchObject({
    partitions: 2,
    warm: 1,
    read: 250 + 900,
    of: 1_800,
    secondsLeft: 13,
  })
  expect(progressOf(readings, 10, 0)).toMatchObject({ secondsLeft: 0 })
  expect(progressOf([reading({ stored: 100 })], 10, 5_000)).toMatchObject({ secondsLeft: null })
})

/** A poll of positions that the test sets. */
function polled() {
  const state = { offset: 5, metadata: 'a', fails: false, polls: 0 }
  const clock = manualClock()
  const poll = new PositionPoll({
    admin: {
      groupOffsets: async () => {
        state.polls++
        if (state.fails) throw new MillraceError('KAFKA_UNREACHABLE', 'down')
        return new Map([[0, { offset: state.offset, metadata: state.metadata }]])
      },
    },
    group: 'g',
    topics: ['tx'],
    clock,
    log,
  })
  const stop = new AbortController()
  const running = poll.run(stop.signal)
  return { state, clock, poll, stop, running }
}

test('positions are told when they change, in offset or metadata alone; a failed poll tells nothing', async () => {
  const { state, clock, poll, stop, running } = polled()
  const never = new AbortController().signal
  const first = await poll.after(input, undefined, never)
  expect(first).toEqual({ offset: 5, metadata: 'a' })
  const told: unknown[] = []
  const waiting = poll.after(input, first, never).then((position) => told.push(position))
  state.fails = true
  await clock.advance(2_000)
  expect(told).toEqual([])
  Object.assign(state, { fails: false, metadata: 'b' })
  await clock.advance(500)
  await waiting
  expect(told).toEqual([{ offset: 5, metadata: 'b' }])
  expect(await poll.after({ ...input, partition: 1 }, undefined, never)).toBeNull()
  stop.abort()
  await running
})

test('a wait for positions ends with its signal', async () => {
  const { poll, stop, running } = polled()
  const giveUp = new AbortController()
  const known = await poll.after(input, undefined, giveUp.signal)
  const waiting = poll.after(input, known, giveUp.signal)
  giveUp.abort(new Error('enough'))
  await expect(waiting).rejects.toThrow('enough')
  stop.abort()
  await running
})
