import { describe, expect, it } from 'vitest'
import { asMember, listenToParent, memberHttp, memberNames } from '../../../src/cli/member-process.ts'
import {
  backOffFirstMs,
  backOffMaxMs,
  runMembers,
  worstCode,
  type MemberExit,
} from '../../../src/cli/members.ts'
import type { KafkaPlan } from '../../../src/kafka/plan.ts'
import { quietLog } from '../../../src/telemetry/log.ts'
import { manualClock } from '../../../src/time/manual-clock.ts'

const crash: MemberExit = { code: null, signal: 'SIGKILL' }
const clean: MemberExit = { code: 0, signal: null }

/** Members that end when told to; `stubborn` ones only when killed. */
function group(count: number) {
  const clock = manualClock()
  const stop = new AbortController()
  const starts: {
    readonly index: number
    readonly atMs: number
    readonly end: (exit: MemberExit) => void
  }[] = []
  const said: string[] = []
  const stubborn = new Set<number>()
  const ended = runMembers(
    {
      count,
      clock,
      log: quietLog,
      drainMaxMs: 5_000,
      start: (index) => {
        const { promise, resolve } = Promise.withResolvers<MemberExit>()
        starts.push({ index, atMs: clock.now(), end: resolve })
        return {
          pid: starts.length,
          ended: promise,
          stop: () => {
            said.push(`stop ${index}`)
            if (!stubborn.has(index)) resolve(clean)
          },
          kill: () => {
            said.push(`kill ${index}`)
            resolve(crash)
          },
        }
      },
    },
    stop.signal,
  )
  const last = (index: number) => starts.findLast((one) => one.index === index)!
  return { clock, stop, starts, said, stubborn, ended, last }
}

describe('members of one parent', () => {
  it('are started together, and drained together', async () => {
    const { starts, stop, said, ended } = group(3)
    expect(starts.map(({ index }) => index)).toEqual([1, 2, 3])
    stop.abort()
    expect(await ended).toBe(0)
    expect(said).toEqual(['stop 1', 'stop 2', 'stop 3'])
  })

  it('are restarted when they crash, ever more slowly, and the others never notice', async () => {
    const { starts, clock, stop, ended, last } = group(2)
    for (let i = 0; i < 10; i++) {
      last(1).end(crash)
      await clock.advance(backOffMaxMs)
    }
    const waits = starts.filter(({ index }) => index === 1).map(({ atMs }) => atMs)
    expect(waits[1]).toBe(backOffFirstMs)
    expect(waits[2]).toBe(backOffMaxMs + 2 * backOffFirstMs)
    expect(waits[10]! - 9 * backOffMaxMs).toBe(backOffMaxMs)
    expect(starts.filter(({ index }) => index === 2).length).toBe(1)
    stop.abort()
    expect(await ended).toBe(0)
  })

  it('are restarted at once again after they have run for a while', async () => {
    const { starts, clock, stop, ended, last } = group(1)
    for (let i = 0; i < 6; i++) {
      last(1).end(crash)
      await clock.advance(backOffMaxMs)
    }
    await clock.advance(120_000)
    const crashedAt = clock.now()
    last(1).end(crash)
    await clock.advance(backOffMaxMs)
    expect(starts.at(-1)?.atMs).toBe(crashedAt + backOffFirstMs)
    stop.abort()
    await ended
  })

  it('all stop when one ends with a code that a restart cannot mend', async () => {
    const { said, ended, last } = group(3)
    last(2).end({ code: 2, signal: null })
    expect(await ended).toBe(2)
    expect(said).toEqual(['stop 1', 'stop 3'])
  })

  it('are killed when they take too long to drain', async () => {
    const { said, stubborn, stop, clock, ended } = group(2)
    stubborn.add(2)
    stop.abort()
    await clock.advance(5_000)
    expect(await ended).toBe(137)
    expect(said).toEqual(['stop 1', 'stop 2', 'kill 2'])
  })

  it('are not started any more while they wait for a restart and the parent stops', async () => {
    const { starts, clock, stop, ended, last } = group(1)
    last(1).end({ code: 1, signal: null })
    await clock.advance(backOffFirstMs - 1)
    stop.abort()
    expect(await ended).toBe(1)
    expect(starts.length).toBe(1)
  })
})

it('the worst exit code is the one that a person has to act on', () => {
  const exits = (...codes: (number | null)[]): MemberExit[] => codes.map((code) => ({ code, signal: null }))
  expect(worstCode(exits(0, 0))).toBe(0)
  expect(worstCode(exits(0, 75, 4))).toBe(4)
  expect(worstCode(exits(1, null, 0))).toBe(1)
  expect(worstCode(exits(1, 2, 5))).toBe(2)
  expect(worstCode(exits(0, 99))).toBe(99)
})

describe('a member', () => {
  const kafka = (instance: string | null): KafkaPlan =>
    ({ instance, clientId: instance === null ? 'fraud' : `fraud@${instance}` }) as KafkaPlan

  it('has a name of its own that it keeps over restarts', () => {
    const named = memberNames(kafka('pod-3'))
    expect([named(1), named(2), named(1)]).toEqual(['pod-3-1', 'pod-3-2', 'pod-3-1'])
    const [one, other] = [memberNames(kafka(null)), memberNames(kafka(null))]
    expect(one(1)).toBe(one(1))
    expect(one(1)).not.toBe(other(1))
    expect(asMember(kafka('pod-3'), 'pod-3-1')).toMatchObject({
      instance: 'pod-3-1',
      clientId: 'fraud@pod-3-1',
    })
    expect(asMember(kafka(null), 'ab-1')).toMatchObject({ instance: 'ab-1', clientId: 'fraud@ab-1' })
  })

  it('has the port counted up from the one given', () => {
    const address = (port: number, host = '127.0.0.1') => ({ host, port })
    expect([1, 2].map((index) => memberHttp(address(9464), index, 2))).toEqual([
      '127.0.0.1:9464',
      '127.0.0.1:9465',
    ])
    expect(memberHttp(address(0), 2, 2)).toBe('127.0.0.1:0')
    expect(memberHttp(address(80, '::1'), 1, 2)).toBe('[::1]:80')
    expect(memberHttp(null, 1, 2)).toBe('off')
    expect(() => memberHttp(address(65_535), 1, 2)).toThrow('above 65535')
  })

  it('stops when its parent says so, or a signal, once; and dies without its parent', () => {
    const listeners = new Map<string, (message?: unknown) => void>()
    let died = 0
    const channel = {
      connected: true,
      on: (event: string, listener: (message?: unknown) => void) => listeners.set(event, listener),
      off: () => undefined,
    }
    const { signal } = listenToParent(channel, () => died++)
    listeners.get('message')?.('something else')
    expect(signal.aborted).toBe(false)
    listeners.get('SIGTERM')?.()
    listeners.get('SIGTERM')?.()
    listeners.get('message')?.('stop')
    expect([signal.aborted, died]).toEqual([true, 0])
    listeners.get('disconnect')?.()
    expect(died).toBe(1)
    expect(() => listenToParent({ ...channel, connected: false }, () => undefined)).toThrow('--member')
  })
})
