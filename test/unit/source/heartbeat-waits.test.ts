import { expect, test } from 'vitest'
import { HeartbeatWaits } from '../../../src/source/heartbeat-waits.ts'

const never = new AbortController().signal

/** Whether the promise has settled once everything ready has run. */
async function isSettled(promise: Promise<unknown>): Promise<boolean> {
  let settled = false
  promise.then(
    () => (settled = true),
    () => (settled = true),
  )
  await new Promise((resolve) => setImmediate(resolve))
  return settled
}

test('the heartbeat that was perhaps sent before the wait does not count; the one after it does', async () => {
  const waits = new HeartbeatWaits()
  waits.beat()
  const accepted = waits.accepted(never)
  expect(await isSettled(accepted)).toBe(false)
  waits.beat()
  expect(await isSettled(accepted)).toBe(false)
  waits.beat()
  await expect(accepted).resolves.toBeUndefined()
})

test('a wait ends with its generation, and so does every later one', async () => {
  const waits = new HeartbeatWaits()
  const accepted = waits.accepted(never)
  waits.end(new Error('over'))
  await expect(accepted).rejects.toThrow('over')
  await expect(waits.accepted(never)).rejects.toThrow('over')
})

test('a wait ends with its signal', async () => {
  const waits = new HeartbeatWaits()
  const stop = new AbortController()
  const accepted = waits.accepted(stop.signal)
  stop.abort(new Error('stopped'))
  await expect(accepted).rejects.toThrow('stopped')
  await expect(waits.accepted(stop.signal)).rejects.toThrow('stopped')
})
