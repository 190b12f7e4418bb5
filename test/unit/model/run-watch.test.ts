import { describe, expect, it } from 'vitest'
import { watchRuns } from '../../../src/model/run-watch.ts'
import { manualClock } from '../../../src/time/manual-clock.ts'

const timeoutMs = 1000

function begin(): {
  clock: ReturnType<typeof manualClock>
  watch: ReturnType<typeof watchRuns>
  hung: string[]
} {
  const clock = manualClock()
  return { clock, watch: watchRuns(timeoutMs, clock), hung: [] }
}

describe('watching runs', () => {
  it('calls a run hanging once, between 1 and 1.25 times its timeout', async () => {
    const { clock, watch, hung } = begin()
    watch.begin(() => hung.push('a'))
    await clock.advance(timeoutMs)
    expect(hung).toEqual([])
    await clock.advance(timeoutMs / 4)
    expect(hung).toEqual(['a'])
    await clock.advance(10 * timeoutMs)
    expect(hung).toEqual(['a'])
  })

  it('leaves a run alone that ended in time', async () => {
    const { clock, watch, hung } = begin()
    const end = watch.begin(() => hung.push('a'))
    await clock.advance(timeoutMs)
    end()
    await clock.advance(10 * timeoutMs)
    expect(hung).toEqual([])
  })

  it('watches every run by its own begin', async () => {
    const { clock, watch, hung } = begin()
    watch.begin(() => hung.push('a'))
    await clock.advance(600)
    watch.begin(() => hung.push('b'))
    await clock.advance(650)
    expect(hung).toEqual(['a'])
    await clock.advance(600)
    expect(hung).toEqual(['a', 'b'])
  })

  it('does not take a pause of the whole process for a hang', async () => {
    const wakes: (() => void)[] = []
    const clock = {
      now: () => 0,
      monotonic: () => 0,
      sleep: () => new Promise<void>((wake) => wakes.push(wake)),
    }
    const hung: string[] = []
    const end = watchRuns(timeoutMs, clock).begin(() => hung.push('a'))
    wakes.shift()!() // however late it comes, it is one look
    await Promise.resolve()
    expect(hung).toEqual([])
    end()
  })

  it('sleeps only while runs are under way, and wakes up for the next one', async () => {
    const { clock, watch, hung } = begin()
    expect(clock.sleeping).toBe(0)
    watch.begin(() => {})()
    await clock.advance(timeoutMs)
    expect(clock.sleeping).toBe(0)
    watch.begin(() => hung.push('later'))
    expect(clock.sleeping).toBe(1)
    await clock.advance(2 * timeoutMs)
    expect(hung).toEqual(['later'])
  })

  it('stops when closed', async () => {
    const { clock, watch, hung } = begin()
    watch.begin(() => hung.push('a'))
    watch.close()
    expect(clock.sleeping).toBe(0)
    await clock.advance(10 * timeoutMs)
    expect(hung).toEqual([])
  })
})
