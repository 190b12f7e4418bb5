import { expect, test } from 'vitest'
import { serviceHealth } from '../../../src/service/health.ts'
import type { Service } from '../../../src/service/service.ts'

function health(
  change: Partial<Pick<Service, 'phase' | 'stateRefusal'>> & { answering?: boolean; status?: string },
) {
  const { answering = true, status = 'serving', ...more } = change
  const task = { status, stream: { input: { topic: 'in', partition: 3 } } }
  const service = {
    phase: 'running',
    stateRefusal: null,
    redis: { answering },
    tasks: { tasks: [task] },
    ...more,
  } as unknown as Service
  return serviceHealth(() => service)
}

test('ready: running, Redis answers and may not evict, every partition is served', () => {
  expect(health({}).ready()).toEqual({ ok: true, detail: '1 partitions served' })
  expect(health({ status: 'paused' }).ready().ok).toBe(true)
  expect(health({ phase: 'draining' }).ready()).toEqual({ ok: false, detail: 'draining' })
  expect(health({ answering: false }).ready()).toEqual({ ok: false, detail: 'Redis does not answer' })
  expect(health({ status: 'replaying' }).ready()).toEqual({ ok: false, detail: 'in:3 replaying' })
  const stateRefusal = 'Redis at a has maxmemory-policy allkeys-lru'
  expect(health({ stateRefusal }).ready()).toEqual({ ok: false, detail: stateRefusal })
})

test('a Redis that may evict does not make it dead: a restart would not mend it', () => {
  expect(health({ stateRefusal: 'Redis may evict' }).live().ok).toBe(true)
  expect(serviceHealth(() => null).ready()).toEqual({ ok: false, detail: 'starting' })
})
