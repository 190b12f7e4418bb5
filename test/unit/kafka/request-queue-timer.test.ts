import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import type { RequestQueue } from '../../../src/kafka/internals.ts'
import { patchRequestQueueTimer } from '../../../src/kafka/patches/request-queue-timer.ts'
import { copyOf, unpatched } from '../../support/unpatched-kafkajs.ts'

type RequestQueueClass = new (options: Record<string, unknown>) => RequestQueue & {
  checkPendingRequests(): void
  maybeThrottle(ms: number): void
  push(request: unknown): void
  destroy(): void
}

const original = unpatched<RequestQueueClass>('network/requestQueue')
const patched = copyOf(original)
patchRequestQueueTimer(patched)

const logger = { debug: () => {}, warn: () => {} }
const open = (Queue: RequestQueueClass) =>
  new Queue({ maxInFlightRequests: null, requestTimeout: 1_000, clientId: 'c', broker: 'b', logger })

beforeEach(() => {
  vi.useFakeTimers()
})
afterEach(() => {
  vi.useRealTimers()
})

/** Timers that fire in one second after the last answer came in. */
function timersPerIdleSecond(Queue: RequestQueueClass): number {
  const queue = open(Queue)
  const check = vi.spyOn(queue, 'checkPendingRequests')
  queue.checkPendingRequests()
  vi.advanceTimersByTime(1_000)
  queue.destroy()
  return check.mock.calls.length - 1
}

test('an idle connection arms no timer (as published it arms one every millisecond)', () => {
  expect(timersPerIdleSecond(original)).toBeGreaterThan(900)
  expect(timersPerIdleSecond(patched)).toBe(0)
})

test('a throttled request is still sent when the throttle ends', () => {
  const queue = open(patched)
  const sent = vi.fn()
  queue.maybeThrottle(50)
  queue.push({ entry: { correlationId: 1 }, expectResponse: true, sendRequest: sent })
  vi.advanceTimersByTime(49)
  expect(sent).not.toHaveBeenCalled()
  vi.advanceTimersByTime(12)
  expect(sent).toHaveBeenCalledOnce()
})
