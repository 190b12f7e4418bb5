import { expect, onTestFinished, test, vi } from 'vitest'
import type { Report } from '../../../src/service/doctor/table.ts'
import { millrace } from '../../support/command-line.ts'
import { CardTraffic } from '../../support/service-records.ts'
import { message, openWorld } from '../../support/service-world.ts'

test('a transaction that a producer leaves open is measured and named; what it held back is served once it ends', async () => {
  const world = await openWorld({ partitions: 1 })
  const topic = world.topics.transactions
  const traffic = new CardTraffic({ seed: 44, partitions: 1, badShare: 0, lateShare: 0 })
  await world.write(traffic.next(20))
  const service = world.start({ http: true })
  await world.caughtUp()
  const metricsUrl = await service.url('/metrics')
  const gauge = async (name: string): Promise<number | null> => {
    const text = await (await fetch(metricsUrl)).text()
    const line = text.split('\n').find((one) => one.startsWith(`millrace_${name}{topic="${topic}"`))
    return line === undefined ? null : Number(line.split(' ').at(-1))
  }
  await vi.waitFor(async () => expect(await gauge('consumer_lag_stable_records')).toBe(0), waiting)
  expect(await gauge('consumer_held_back_seconds')).toBe(0)

  const transactionalId = `${topic}.etl`
  const producer = world.kafka.producer({ transactionalId, maxInFlightRequests: 1, idempotent: true })
  await producer.connect()
  onTestFinished(() => producer.disconnect())
  const open = await producer.transaction()
  const [first, ...behind] = traffic.next(6)
  await open.send({ topic, messages: [message(first!)] })
  await world.write(behind) // committed at once, and behind the open one

  await vi.waitFor(async () => expect(await gauge('consumer_held_back_seconds')).toBeGreaterThan(0), waiting)
  expect(await gauge('consumer_lag_records')).toBe(6)
  expect(await gauge('consumer_lag_stable_records')).toBe(0)
  const { stdout } = await millrace('doctor', world.file, '-o', 'json')
  const { checks } = JSON.parse(stdout) as { checks: readonly Report[] }
  const report = checks.find(({ id }) => id === 'topics.open-transactions')
  expect(report?.found).toMatch(
    new RegExp(
      `^${topic}:0: 6 offsets from 20 on are held back by an open transaction of producer \\d+ \\(epoch \\d+\\), ` +
        `transactional id ${transactionalId} \\(Ongoing\\), open since 20`,
    ),
  )

  await open.commit()
  await vi.waitFor(async () => expect(await gauge('consumer_held_back_seconds')).toBe(0), waiting)
  await vi.waitFor(async () => expect(await gauge('consumer_lag_records')).toBe(0), waiting)
  const outcomes = await (await fetch(metricsUrl)).text()
  expect(outcomes).toMatch(
    new RegExp(`millrace_records_processed_total\\{topic="${topic}",outcome="scored"\\} 26`),
  )
})

const waiting = { timeout: 30_000 }
