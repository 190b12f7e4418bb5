import { expect, test } from 'vitest'
import { createRandom } from '../../../src/simulator/random.ts'
import { checkExactlyOnce } from '../../support/exactly-once.ts'
import { CardTraffic } from '../../support/service-records.ts'
import { openWorld } from '../../support/service-world.ts'

/** Small transactions: many moments at which a crash finds one open. */
const small = { limits: { rowsPerTransactionMax: 20 } }

test('killed in the middle of its work again and again, the service neither loses nor doubles a record', async () => {
  const world = await openWorld({ change: small })
  const traffic = new CardTraffic({ seed: 3, partitions: 4, customers: 120 })
  const random = createRandom(3)
  let written = 0
  for (let crash = 0; crash < 3; crash++) {
    await world.write(traffic.next(1_500))
    const service = world.start()
    await world.committed(written + 200 + random.below(600))
    await service.kill()
    written += 1_500
  }
  world.start()
  await world.caughtUp()
  await checkExactlyOnce(world)
})

test('a named process sends its crashed predecessor away instead of waiting for its session to end', async () => {
  // longer than any wait of these tests
  const world = await openWorld({ change: { kafka: { sessionTimeout: '5m', instance: 'pod-0' } } })
  const traffic = new CardTraffic({ seed: 8, partitions: 4 })
  await world.write(traffic.next(400))
  const first = world.start()
  await world.committed(400)
  await first.kill()
  await world.write(traffic.next(400))
  const second = world.start()
  await second.line(({ msg }) => msg === 'dismissed a dead predecessor', 'the predecessor is dismissed')
  await world.caughtUp()
  await checkExactlyOnce(world)
})

test('merged and delayed features stay exact and complete through crashes and a lost Redis', async () => {
  const world = await openWorld({ labels: true, change: { limits: { rowsPerTransactionMax: 10 } } })
  const traffic = new CardTraffic({
    seed: 16,
    partitions: 4,
    labels: true,
    lateShare: 0,
    customers: 8,
    terminals: 40,
    stepMs: 2_700_000,
  })
  await world.write(traffic.next(1_200))
  for (const moment of [250, 600]) {
    const service = world.start()
    await world.committed(moment)
    await service.kill()
  }
  world.start()
  await world.committed(800)
  await world.forget()
  await world.caughtUp()
  const { predictions } = await checkExactlyOnce(world, { complete: true })
  expect(predictions.filter(({ value }) => value.flags.includes('unaligned')).length).toBe(0)
})

test('SIGTERM under load drains, exits with 0, and the successor does nothing twice', async () => {
  const world = await openWorld({ change: small })
  const traffic = new CardTraffic({ seed: 4, partitions: 4 })
  await world.write(traffic.next(6_000))
  const first = world.start()
  await world.committed(1_000)
  expect(await first.stop()).toEqual({ code: 0, signal: null })
  const left = await world.positions()
  const flushed = await world.watermarks()
  for (const { topic, partition, offset } of left) expect(flushed.get(`${topic}:${partition}`)).toBe(offset)
  const done = left.reduce((sum, { offset }) => sum + offset, 0)
  expect(done).toBeLessThan(6_000)

  const second = world.start({ http: true })
  await world.caughtUp()
  const metrics = await (await fetch(await second.url('/metrics'))).text()
  expect(total(metrics, 'millrace_records_consumed_total')).toBe(6_000 - done)
  const words = [...first.lines, ...second.lines].map(({ msg, status }) => status ?? msg)
  expect(words).not.toContain('replaying')
  expect(words).not.toContain('transaction not committed')
  await checkExactlyOnce(world)
})

/** Sum over all labels. */
function total(metrics: string, name: string): number {
  const lines = metrics.split('\n').filter((line) => line.startsWith(`${name}{`))
  return lines.reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0)
}
