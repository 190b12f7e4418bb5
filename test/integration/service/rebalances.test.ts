import { expect, test } from 'vitest'
import { checkExactlyOnce } from '../../support/exactly-once.ts'
import { CardTraffic } from '../../support/service-records.ts'
import { openWorld } from '../../support/service-world.ts'

const small = { limits: { rowsPerTransactionMax: 20 } }

test('a second process joins under load, then the first is killed: partitions change hands without loss', async () => {
  const world = await openWorld({ change: small })
  const traffic = new CardTraffic({ seed: 5, partitions: 4, customers: 120 })
  await world.write(traffic.next(4_000))
  const first = world.start()
  await world.committed(300)
  const second = world.start()
  await second.serving(2)
  await world.write(traffic.next(2_000))
  await world.committed(4_500)
  await first.kill()
  await world.write(traffic.next(500))
  await world.caughtUp()
  await checkExactlyOnce(world)
})

test('a stalled process that wakes up after its partitions moved on writes nothing of its own', async () => {
  const world = await openWorld({ change: small })
  const traffic = new CardTraffic({ seed: 6, partitions: 4, customers: 120 })
  const first = world.start()
  const second = world.start()
  await Promise.all([first.serving(2), second.serving(2)])
  await world.write(traffic.next(4_000))
  await world.committed(500)
  first.signal('SIGSTOP')
  await second.serving(4)
  await world.caughtUp()
  const asleep = first.lines.length
  // The sleeper finds requests, acknowledgements and timers of long ago, and new records.
  first.signal('SIGCONT')
  await world.write(traffic.next(1_000))
  await first.line(({ msg }) => msg === 'joined the group', 'the sleeper is back', asleep)
  await world.write(traffic.next(1_000))
  await world.caughtUp()
  await checkExactlyOnce(world)
  expect(first.exit).toBeNull()
  expect(second.exit).toBeNull()
})
