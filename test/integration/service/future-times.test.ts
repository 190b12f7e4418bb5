import { expect, test } from 'vitest'
import { checkExactlyOnce, readOutputs } from '../../support/exactly-once.ts'
import { CardTraffic, type InputRecord } from '../../support/service-records.ts'
import { openWorld } from '../../support/service-world.ts'

/** The producer's clock is ahead: the record's own timestamp is too. */
function ahead(record: InputRecord, timeMs: number): InputRecord {
  const fields = { ...(JSON.parse(record.value!) as Record<string, string | number>), ts: timeMs }
  return {
    ...record,
    value: JSON.stringify(fields),
    event: null,
    timestampMs: timeMs,
    becomes: 'TIMESTAMP',
  }
}

test('times in 2100 and an hour ahead become dead letters that make nothing late, live and after a rebuild', async () => {
  const world = await openWorld({ partitions: 1 })
  const traffic = new CardTraffic({ seed: 41, partitions: 1, badShare: 0, lateShare: 0 })
  const soonMs = Date.now() + 64 * 60_000
  const future = [Date.UTC(2100, 0, 1), soonMs].map((timeMs) => ahead(traffic.one(), timeMs))
  const first = world.start()
  await world.write([...traffic.next(100), ...future, ...traffic.next(100)])
  await world.caughtUp()
  await first.kill()
  await world.forget()
  const second = world.start()
  await world.write([...traffic.next(50), ahead(traffic.one(), soonMs), ...traffic.next(50)])
  await world.caughtUp()
  const { deadLetters, predictions } = await checkExactlyOnce(world)
  expect(deadLetters.map(({ headers }) => headers['millrace.dlq.reason'])).toEqual([
    'TIMESTAMP',
    'TIMESTAMP',
    'TIMESTAMP',
  ])
  expect(deadLetters[0]?.headers['__dlq.errors.message']).toContain('later than the clock of this machine')
  expect(predictions.length).toBe(300)
  expect(second.exit).toBeNull()
})

test('a watermark that an earlier version took to 2100 is healed by resetting the group to where it is', async () => {
  const world = await openWorld({ partitions: 1, change: { limits: { futureMax: '40000d' } } })
  const traffic = new CardTraffic({ seed: 42, partitions: 1, badShare: 0, lateShare: 0, customers: 5 })
  const before = world.start()
  await world.write([...traffic.next(100), ahead(traffic.one(), Date.UTC(2100, 0, 1)), ...traffic.next(100)])
  await world.caughtUp()
  const scored = new Map(
    (await readOutputs(world)).predictions.map(({ value }) => [value.position.offset, value]),
  )
  expect([50, 150].map((offset) => scored.get(offset)?.flags)).toEqual([[], ['late']])
  expect(await before.stop()).toEqual({ code: 0, signal: null })
  // kafka-consumer-groups.sh --reset-offsets --to-current: the same offset, without the metadata of the service.
  const [position] = await world.positions()
  await world.admin.setOffsets({
    groupId: world.plan.kafka.group,
    topic: world.topics.transactions,
    partitions: [{ partition: 0, offset: String(position!.offset) }],
  })
  await world.retopology({ limits: { futureMax: '5m' }, store: { onForeignOffset: 'rebuild' } })
  const after = world.start()
  await world.write(traffic.next(50))
  await world.caughtUp()
  const { predictions } = await readOutputs(world)
  const last = predictions.find(({ value }) => value.position.offset === 250)!.value
  expect(last.flags).toEqual([])
  expect(last.features!['customer_count_1h']).toBeGreaterThan(5)
  expect(after.exit).toBeNull()
})
