import { expect, test } from 'vitest'
import { listenForKeys, type Keyboard } from '../../../src/cli/keyboard.ts'
import { paintLiveView, type Screen } from '../../../src/cli/live-painter.ts'
import type { LiveState } from '../../../src/cli/live-state.ts'
import { manualClock } from '../../../src/time/manual-clock.ts'

function stateAt(upMs: number): LiveState {
  return {
    name: 't',
    phase: 'live',
    upMs,
    eventsPerSecond: [],
    latency: null,
    partitions: [],
    totals: { predictions: 0, alerts: 0, deadLetters: 0 },
    alerts: [],
    kafka: { ok: true, detail: '' },
    redis: { ok: true, detail: '' },
    keys: [['q', 'quit']],
  }
}

function paint(screenOf: Omit<Screen, 'write'>) {
  const clock = manualClock()
  const stop = new AbortController()
  const writes: string[] = []
  const done = paintLiveView(
    {
      screen: { ...screenOf, write: (text: string) => writes.push(text) },
      clock,
      colour: false,
      read: () => stateAt(clock.now()),
    },
    stop.signal,
  )
  return { clock, writes, stop, done }
}

test('repaints in place four times a second and gives the cursor back', async () => {
  const { clock, writes, stop, done } = paint({ isTTY: true, columns: 81, rows: 50 })
  await clock.advance(500)
  stop.abort()
  await done
  const lines = writes[1]!.split('\n').length - 1
  expect(writes).toHaveLength(6) // hide, at 0, 250 and 500 ms, the last picture, show
  expect(writes[0]).toBe('\u001b[?25l')
  expect(writes[1]).not.toContain(`\u001b[${lines}A`)
  expect(writes[2]!.startsWith(`\u001b[${lines}A\r`)).toBe(true)
  expect(writes.at(-1)).toBe('\u001b[?25h')
})

test('never writes more lines than the terminal has, so going up always finds the top', async () => {
  const { writes, stop, done } = paint({ isTTY: true, columns: 80, rows: 6 })
  stop.abort()
  await done
  expect(writes[1]!.split('\n')).toHaveLength(6)
})

test('in a low terminal still says what can be pressed', async () => {
  const { writes, stop, done } = paint({ isTTY: true, columns: 80, rows: 6 })
  stop.abort()
  await done
  expect(writes[1]!.split('\n').at(-2)).toContain('q quit')
})

test('gives the cursor back when the state cannot be read', async () => {
  const writes: string[] = []
  const screen = { isTTY: true, write: (text: string) => writes.push(text) }
  const read = () => {
    throw new Error('gone')
  }
  const painting = paintLiveView(
    { screen, clock: manualClock(), colour: false, read },
    new AbortController().signal,
  )
  await expect(painting).rejects.toThrow('gone')
  expect(writes.at(-1)).toBe('\u001b[?25h')
})

test('without a terminal writes one plain line a second', async () => {
  const { clock, writes, stop, done } = paint({})
  await clock.advance(2_000)
  stop.abort()
  await done
  expect(writes).toHaveLength(4)
  expect(writes.every((line) => /^live \P{Cc}*\n$/u.test(line))).toBe(true)
})

test('keys arrive one by one, and the terminal is given back', () => {
  const modes: boolean[] = []
  let listener: ((data: string) => void) | null = null
  const keyboard: Keyboard = {
    isTTY: true,
    setRawMode: (on) => modes.push(on),
    on: (_, added) => (listener = added),
    off: () => (listener = null),
    resume: () => undefined,
    pause: () => undefined,
  }
  const keys: string[] = []
  const stop = listenForKeys(keyboard, (key) => keys.push(key))
  listener!('qp\u0003')
  stop()
  expect(keys).toEqual(['q', 'p', '\u0003'])
  expect(modes).toEqual([true, false])
  expect(listener).toBeNull()
})
