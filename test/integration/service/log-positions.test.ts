import { expect, test } from 'vitest'
import { checkExactlyOnce } from '../../support/exactly-once.ts'
import { CardTraffic } from '../../support/service-records.ts'
import { openWorld } from '../../support/service-world.ts'

test('records deleted under a live owner stop it with what is missing; the group keeps its position', async () => {
  const world = await openWorld({ partitions: 1, change: { kafka: { sessionTimeout: '5m' } } })
  const traffic = new CardTraffic({ seed: 31, partitions: 1, customers: 30 })
  const service = world.start()
  await world.write(traffic.next(500))
  await world.caughtUp()
  service.signal('SIGSTOP') // far shorter than its session: it stays a member, and meets the gap while it fetches
  for (let i = 0; i < 6; i++) await world.write(traffic.next(2_000))
  const [log] = await world.admin.fetchTopicOffsets(world.topics.transactions)
  const start = Number(log?.high) - 100
  await world.admin.deleteTopicRecords({
    topic: world.topics.transactions,
    partitions: [{ partition: 0, offset: String(start) }],
  })
  service.signal('SIGCONT')
  expect(await service.exited).toEqual({ code: 1, signal: null })
  expect(service.tail(4)).toMatch(/OFFSET_BELOW_LOG: .*:0/)
  const [left] = await world.positions()
  expect(left?.offset).toBeGreaterThanOrEqual(500)

  await world.retopology({ store: { onLogGone: 'accept-gap' } })
  world.start()
  await world.caughtUp()
  await checkExactlyOnce(world, {
    skipped: ({ offset }) => offset >= (left?.offset ?? 0) && offset < start,
    unseen: ({ offset }) => offset < start,
    otherFeatures: ({ offset }) => offset < start,
  })
})

test('a first start at the end of the log is pinned: a crash before the first commit passes nothing over', async () => {
  const world = await openWorld({ partitions: 2, change: { sources: { transactions: { start: 'latest' } } } })
  const traffic = new CardTraffic({ seed: 32, partitions: 2, customers: 30 })
  await world.write(traffic.next(300))
  const before = world.input.length
  const first = world.start()
  await first.serving(2)
  await first.kill()
  await world.write(traffic.next(300))
  world.start()
  await world.caughtUp()
  const old = new Set(world.input.slice(0, before).map(({ partition, offset }) => `${partition}:${offset}`))
  await checkExactlyOnce(world, { skipped: ({ partition, offset }) => old.has(`${partition}:${offset}`) })
})
