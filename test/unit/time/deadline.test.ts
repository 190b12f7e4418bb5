import { describe, expect, test } from 'vitest'
import { DeadlineExceeded, withTimeout } from '../../../src/time/deadline.ts'
import { manualClock } from '../../../src/time/manual-clock.ts'

describe('withTimeout', () => {
  test('gives the value and stops waiting', async () => {
    const clock = manualClock()
    await expect(withTimeout(Promise.resolve(7), 100, clock, 'the answer')).resolves.toBe(7)
    expect(clock.sleeping).toBe(0)
  })

  test('passes a failure on and stops waiting', async () => {
    const clock = manualClock()
    const failing = Promise.reject(new Error('broken'))
    await expect(withTimeout(failing, 100, clock, 'the answer')).rejects.toThrow('broken')
    expect(clock.sleeping).toBe(0)
  })

  test('says what took too long', async () => {
    const clock = manualClock()
    const waiting = withTimeout(new Promise(() => {}), 100, clock, 'the answer')
    const outcome = expect(waiting).rejects.toThrow(new DeadlineExceeded('the answer', 100))
    await clock.advance(100)
    await outcome
  })
})
