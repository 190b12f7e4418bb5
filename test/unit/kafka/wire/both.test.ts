import { expect, test } from 'vitest'
import { both } from '../../../../src/kafka/wire/both.ts'

test('waits for both, whichever ends first', async () => {
  const [first, second] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
  let isDone = false
  const done = both(
    () => first.promise,
    () => second.promise,
    new AbortController(),
  ).then(() => (isDone = true))
  second.resolve()
  await Promise.resolve()
  expect(isDone).toBe(false)
  first.resolve()
  await done
})

test.each(['first', 'second'])('what fails stops the other, which is waited for: %s', async (failing) => {
  const stop = new AbortController()
  const other = Promise.withResolvers<void>()
  const fails = () => Promise.reject(new Error('no'))
  const lasts = () => other.promise
  let isSettled = false
  const settled = both(
    failing === 'first' ? fails : lasts,
    failing === 'first' ? lasts : fails,
    stop,
  ).finally(() => (isSettled = true))
  const failed = expect(settled).rejects.toThrow('no')
  for (let turns = 0; turns < 20; turns++) await Promise.resolve()
  expect(stop.signal.aborted).toBe(true)
  expect(isSettled).toBe(false)
  other.reject(new Error('stopped'))
  await failed
})

test('what was given up before is not begun as done', async () => {
  const stop = new AbortController()
  stop.abort(new Error('given up'))
  const done = (): Promise<void> => Promise.resolve()
  await expect(both(done, done, stop)).rejects.toThrow('given up')
})
