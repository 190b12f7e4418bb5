import { expect, test } from 'vitest'
import { eventually } from '../../support/eventually.ts'
import { checkExactlyOnce } from '../../support/exactly-once.ts'
import { isRunning, listProcesses } from '../../support/process-list.ts'
import type { LogLine, ServiceProcess } from '../../support/service-process.ts'
import { CardTraffic } from '../../support/service-records.ts'
import { openWorld } from '../../support/service-world.ts'

const started = (service: ServiceProcess): LogLine[] =>
  service.lines.filter(({ msg }) => msg === 'member started')

async function running(parent: ServiceProcess): Promise<number[]> {
  const pids = new Set(started(parent).map(({ pid = 0 }) => pid))
  return (await listProcesses()).map(({ pid }) => pid).filter((pid) => pids.has(pid))
}

test('several members under one parent: one that is killed is back at once, the others go on, and nothing is lost or doubled', async () => {
  const world = await openWorld({
    partitions: 4,
    change: { kafka: { sessionTimeout: '5m' }, limits: { rowsPerTransactionMax: 20 } },
  })
  const traffic = new CardTraffic({ seed: 31, partitions: 4 })
  await world.write(traffic.next(1_000))
  const parent = world.start({ processes: 2 })
  await world.caughtUp()
  const [first, second] = started(parent).map(({ pid = 0 }) => pid)
  expect(started(parent).length).toBe(2)

  await world.write(traffic.next(2_000))
  process.kill(first!, 'SIGKILL')
  await parent.until(() => (started(parent).length === 3 ? true : null), 'the killed member is started again')
  await parent.line(({ msg }) => msg === 'dismissed a dead predecessor', 'the dead one is sent away')
  await world.caughtUp() // which gives up long before that session ends
  expect(await isRunning(second!)).toBe(true)

  expect(await parent.stop()).toEqual({ code: 0, signal: null })
  expect(await running(parent)).toEqual([])
  await checkExactlyOnce(world)
})

test('members die with their parent, even when that is killed', async () => {
  const world = await openWorld({ partitions: 2 })
  const parent = world.start({ processes: 2 })
  await parent.until(() => (parent.owned().length === 2 ? true : null), 'both partitions are served')
  await parent.kill()
  await eventually(async () => expect(await running(parent)).toEqual([]))
})

test('a mistake that no restart mends ends parent and members with its exit code', async () => {
  const world = await openWorld({ partitions: 2 })
  await world.retopology({ sinks: { predictions: { topic: 'is-not-there' } } })
  const parent = world.start({ processes: 2 })
  expect(await parent.exited).toEqual({ code: 2, signal: null })
  expect(parent.tail(20)).toContain('KAFKA_TOPIC_MISSING')
})
