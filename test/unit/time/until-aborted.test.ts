import { getEventListeners } from 'node:events'
import { describe, expect, test } from 'vitest'
import { untilAborted } from '../../../src/time/until-aborted.ts'

describe('untilAborted', () => {
  test('settles as the promise does and stops listening', async () => {
    const { signal } = new AbortController()
    await expect(untilAborted(Promise.resolve(7), signal)).resolves.toBe(7)
    await expect(untilAborted(Promise.reject(new Error('broken')), signal)).rejects.toThrow('broken')
    await Promise.resolve() // the listener goes in the turn after
    expect(getEventListeners(signal, 'abort')).toEqual([])
  })

  test('gives up with the reason of the signal, at once when it was aborted before', async () => {
    const controller = new AbortController()
    const waiting = untilAborted(new Promise(() => {}), controller.signal)
    controller.abort(new Error('stopping'))
    await expect(waiting).rejects.toThrow('stopping')
    await expect(untilAborted(new Promise(() => {}), controller.signal)).rejects.toThrow('stopping')
  })
})
