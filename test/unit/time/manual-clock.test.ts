import { describe, expect, test } from 'vitest'
import { manualClock } from '../../../src/time/manual-clock.ts'

describe('the manual clock', () => {
  test('stands still until it is advanced', () => {
    const clock = manualClock(1_000)
    expect([clock.now(), clock.monotonic()]).toEqual([1_000, 0])
  })

  test('wakes sleepers in the order of their wake times, each seeing its own time', async () => {
    const clock = manualClock(0)
    const woken: [string, number][] = []
    const sleeper = async (name: string, ms: number): Promise<void> => {
      await clock.sleep(ms)
      woken.push([name, clock.now()])
    }
    void sleeper('late', 30)
    void sleeper('early', 10)
    void sleeper('early too', 10)
    await clock.advance(30)
    expect(woken).toEqual([
      ['early', 10],
      ['early too', 10],
      ['late', 30],
    ])
  })

  test('wakes a sleeper that falls asleep again within the same advance', async () => {
    const clock = manualClock(0)
    const ticks: number[] = []
    const ticker = async (): Promise<void> => {
      for (;;) {
        await clock.sleep(10)
        ticks.push(clock.now())
      }
    }
    void ticker()
    await clock.advance(35)
    expect(ticks).toEqual([10, 20, 30])
    expect(clock.now()).toBe(35)
    expect(clock.nextWakeMs).toBe(40)
  })

  test('leaves sleepers that are not due asleep', async () => {
    const clock = manualClock(0)
    void clock.sleep(11)
    await clock.advance(10)
    expect(clock.sleeping).toBe(1)
    await clock.advance(1)
    expect(clock.sleeping).toBe(0)
  })

  test('rejects with the reason of the signal and forgets the sleeper', async () => {
    const clock = manualClock(0)
    const abort = new AbortController()
    const slept = clock.sleep(10, abort.signal)
    abort.abort(new Error('enough'))
    await expect(slept).rejects.toThrow('enough')
    expect(clock.sleeping).toBe(0)
    await expect(clock.sleep(10, abort.signal)).rejects.toThrow('enough')
  })
})
