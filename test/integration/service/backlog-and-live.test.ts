import { expect, test } from 'vitest'
import { checkExactlyOnce } from '../../support/exactly-once.ts'
import { CardTraffic } from '../../support/service-records.ts'
import { openWorld } from '../../support/service-world.ts'

test('a backlog and what follows live: one prediction or dead letter each, features as the oracle has them', async () => {
  const world = await openWorld()
  const traffic = new CardTraffic({ seed: 1, partitions: 4, customers: 400, stepMs: 700 })
  await world.write(traffic.next(16_000))
  const service = world.start()
  await world.committed(12_000)
  for (let i = 0; i < 40; i++) await world.write(traffic.next(100))
  await world.caughtUp()
  const { alerts, deadLetters } = await checkExactlyOnce(world)
  expect(alerts.length).toBeGreaterThan(50)
  expect(deadLetters.length).toBeGreaterThan(150)
  expect(await service.stop()).toEqual({ code: 0, signal: null })
})

test('delayed features of merged terminals and labels are complete, from a backlog as well as live', async () => {
  const world = await openWorld({ labels: true })
  // 46 days, 45 minutes from one transaction to the next
  const traffic = new CardTraffic({
    seed: 2,
    partitions: 4,
    labels: true,
    lateShare: 0,
    customers: 8,
    terminals: 40,
    stepMs: 2_700_000,
  })
  await world.write(traffic.next(1_500))
  world.start()
  await world.caughtUp()
  // Less than the four days that labels are early.
  for (let i = 0; i < 5; i++) await world.write(traffic.next(20))
  await world.caughtUp()
  const { predictions } = await checkExactlyOnce(world, { complete: true })
  const risky = predictions.filter(({ value }) => (value.features?.['terminal_risk_7d'] ?? 0) > 0)
  expect(risky.length).toBeGreaterThan(250)
  expect(predictions.filter(({ value }) => value.flags.includes('unaligned')).length).toBe(0)
})
