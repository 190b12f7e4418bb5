import { getEventListeners } from 'node:events'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { systemClock } from '../../../src/time/system-clock.ts'

afterEach(() => void vi.useRealTimers())

describe('the system clock', () => {
  test('sleeps for the time asked and leaves no listener on the signal', async () => {
    vi.useFakeTimers()
    const { signal } = new AbortController()
    let isAwake = false
    const slept = systemClock.sleep(50, signal).then(() => (isAwake = true))
    await vi.advanceTimersByTimeAsync(49)
    expect(isAwake).toBe(false)
    await vi.advanceTimersByTimeAsync(1)
    await slept
    expect(getEventListeners(signal, 'abort')).toEqual([])
  })

  test('an abort ends the sleep with the reason and clears the timer', async () => {
    vi.useFakeTimers()
    const abort = new AbortController()
    const slept = systemClock.sleep(50, abort.signal)
    abort.abort(new Error('enough'))
    await expect(slept).rejects.toThrow('enough')
    expect(vi.getTimerCount()).toBe(0)
    await expect(systemClock.sleep(50, abort.signal)).rejects.toThrow('enough')
  })

  test('a sleep longer than one timer can last does not end at once', async () => {
    vi.useFakeTimers()
    const sixtyDaysMs = 60 * 86_400_000
    let isAwake = false
    const slept = systemClock.sleep(sixtyDaysMs).then(() => (isAwake = true))
    await vi.advanceTimersByTimeAsync(sixtyDaysMs - 1)
    expect(isAwake).toBe(false)
    await vi.advanceTimersByTimeAsync(1)
    await slept
  })

  test('the monotonic clock never goes back', () => {
    const first = systemClock.monotonic()
    expect(systemClock.monotonic()).toBeGreaterThanOrEqual(first)
  })
})
