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

test('a stalled process that wakes up while its partitions are taken over writes nothing of its own', async () => {
  const world = await openWorld({ change: small })
  const traffic = new CardTraffic({ seed: 6, partitions: 4, customers: 120 })
  const first = world.start()
  const second = world.start()
  await Promise.all([first.serving(2), second.serving(2)])
  await world.write(traffic.next(5_000))
  await world.committed(3_500)
  first.signal('SIGSTOP') // most of the time inside a transaction
  await world.forget() // the new owner has to read the log again: time for the sleeper to wake up meanwhile
  const from = second.lines.length
  const owned = first.owned()
  await second.line(
    ({ status, partition }) => status === 'replaying' && owned.includes(partition ?? -1),
    'a partition of the sleeper is taken over',
    from,
  )
  // It finds acknowledgements and timers of long ago, and goes on where it was.
  const asleep = first.lines.length
  first.signal('SIGCONT')
  await world.write(traffic.next(500))
  await first.line(({ msg }) => msg === 'joined the group', 'the sleeper is back', asleep)
  await world.write(traffic.next(500))
  await world.caughtUp()
  await checkExactlyOnce(world)
  expect(first.exit).toBeNull()
  expect(second.exit).toBeNull()
})
