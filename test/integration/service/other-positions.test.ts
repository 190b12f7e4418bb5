import { expect, test } from 'vitest'
import { checkExactlyOnce } from '../../support/exactly-once.ts'
import { CardTraffic } from '../../support/service-records.ts'
import { openWorld, type Position, type ServiceWorld } from '../../support/service-world.ts'

/** A world whose service has done 800 records and was stopped. */
async function stoppedWorld(seed: number): Promise<{ world: ServiceWorld; traffic: CardTraffic }> {
  const world = await openWorld({ partitions: 2 })
  const traffic = new CardTraffic({ seed, partitions: 2, customers: 30 })
  await world.write(traffic.next(800))
  const service = world.start()
  await world.caughtUp()
  expect(await service.stop()).toEqual({ code: 0, signal: null })
  return { world, traffic }
}

async function positionOf(world: ServiceWorld, partition: number): Promise<Position> {
  const found = (await world.positions()).find((one) => one.partition === partition)
  if (found === undefined) throw new Error(`no position of partition ${partition}`)
  return found
}

test('after a changed feature definition state is rebuilt from the log: the first new prediction has its whole past', async () => {
  const { world, traffic } = await stoppedWorld(13)
  await checkExactlyOnce(world)
  const old = { namespace: world.namespace, positions: await world.positions() }
  // The longer window sees events that the old state had forgotten.
  await world.retopology({
    features: {
      'customer_count_{window}': { window: ['10m', '1h', '5h'] },
      customer_gap: { window: '3h', where: 'amountCents > 2000' },
    },
  })
  expect(world.namespace).not.toBe(old.namespace)
  const service = world.start()
  await service.serving(2)
  await world.write(traffic.next(400))
  await world.caughtUp()
  await checkExactlyOnce(world, {
    otherFeatures: ({ partition, offset }) =>
      offset < (old.positions.find((one) => one.partition === partition)?.offset ?? 0),
  })
})

test('an offset moved by another tool is refused, or served from there on state rebuilt from the whole log', async () => {
  const { world, traffic } = await stoppedWorld(14)
  const left = await positionOf(world, 1)
  await world.write(traffic.next(400))
  const moved = left.offset + 50
  await world.admin.setOffsets({
    groupId: world.plan.kafka.group,
    topic: left.topic,
    partitions: [{ partition: 1, offset: String(moved) }],
  })
  await world.retopology({ store: { onForeignOffset: 'refuse' } })
  const refused = world.start()
  expect(await refused.exited).toEqual({ code: 1, signal: null })
  expect(refused.tail(4)).toMatch(new RegExp(`OFFSET_FOREIGN: .*:1: the committed offset ${moved}`))

  await world.retopology({ store: { onForeignOffset: 'rebuild' } })
  world.start()
  await world.caughtUp()
  await checkExactlyOnce(world, {
    skipped: ({ partition, offset }) => partition === 1 && offset >= left.offset && offset < moved,
  })
})

test('records deleted before they were read stop the service, or leave a gap that every prediction behind it tells', async () => {
  const { world, traffic } = await stoppedWorld(15)
  const left = await positionOf(world, 0)
  await world.write(traffic.next(400))
  const start = left.offset + 60
  await world.admin.deleteTopicRecords({
    topic: left.topic,
    partitions: [{ partition: 0, offset: String(start) }],
  })
  const refused = world.start()
  expect(await refused.exited).toEqual({ code: 1, signal: null })
  expect(refused.tail(4)).toMatch(/OFFSET_BELOW_LOG: .*:0: .* 60 records were deleted unread/)

  await world.retopology({ store: { onLogGone: 'accept-gap' } })
  world.start()
  await world.caughtUp()
  const isGone = ({ partition, offset }: { partition: number; offset: number }): boolean =>
    partition === 0 && offset < start
  const { predictions } = await checkExactlyOnce(world, {
    skipped: (input) => isGone(input) && input.offset >= left.offset,
    unseen: isGone,
    otherFeatures: isGone,
  })
  const behind = predictions.filter(({ value }) => value.position.partition === 0 && !isGone(value.position))
  const told = behind.filter(({ value }) => value.flags.includes('gap'))
  expect(behind.length).toBeGreaterThan(100)
  expect(told.length).toBe(behind.length)
})
