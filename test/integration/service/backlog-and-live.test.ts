import { expect, test } from 'vitest'
import { checkExactlyOnce } from '../../support/exactly-once.ts'
import { CardTraffic } from '../../support/service-records.ts'
import { openWorld } from '../../support/service-world.ts'

test('a backlog and what comes after it: one prediction or dead letter each, features as the oracle has them', async () => {
  const T=()=>process.stderr.write(`T ${Math.round(performance.now())}\n`)
  const world = await openWorld();T()
  const traffic = new CardTraffic({ seed: 1, partitions: 4 })
  await world.write(traffic.next(8_000))
  T()
  const service = world.start()
  await world.committed(6_000)
  T()
  for (let i = 0; i < 20; i++) await world.write(traffic.next(100))
  T();await world.caughtUp();T()
  const { alerts, deadLetters } = await checkExactlyOnce(world)
T()
  expect(alerts.length).toBeGreaterThan(50)
  expect(deadLetters.length).toBeGreaterThan(150)
  expect(await service.stop()).toEqual({ code: 0, signal: null })
})

