import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import { findJava } from '../../../src/stack/java.ts'
import { kafkaJars, kafkaToolArgs } from '../../../src/stack/kafka-server.ts'
import { checkExactlyOnce, readOutputs } from '../../support/exactly-once.ts'
import { problemsOf, summary } from '../../support/judge.ts'
import type { ServiceProcess } from '../../support/service-process.ts'
import { CardTraffic } from '../../support/service-records.ts'
import { openWorld, type Position, type ServiceWorld } from '../../support/service-world.ts'
import { until } from '../../support/until.ts'

interface Served {
  readonly world: ServiceWorld
  readonly traffic: CardTraffic
  readonly service: ServiceProcess
}

/** A world whose service has done 800 records. */
async function served(seed: number): Promise<Served> {
  const world = await openWorld({ partitions: 2 })
  const traffic = new CardTraffic({ seed, partitions: 2, customers: 30 })
  await world.write(traffic.next(800))
  const service = world.start()
  await world.caughtUp()
  await world.flushed()
  return { world, traffic, service }
}

async function positionOf(world: ServiceWorld, partition: number): Promise<Position> {
  const found = (await world.positions()).find((one) => one.partition === partition)
  if (found === undefined) throw new Error(`no position of partition ${partition}`)
  return found
}

/** What an operator types. */
async function consumerGroups(world: ServiceWorld, ...options: string[]): Promise<string> {
  const args = ['--bootstrap-server', world.brokers.join(','), '--group', world.plan.kafka.group, ...options]
  const tool = 'org.apache.kafka.tools.consumer.group.ConsumerGroupCommand'
  const { stdout, stderr } = await promisify(execFile)(
    await findJava(),
    kafkaToolArgs(await kafkaJars(() => {}), tool, args),
  ).catch((error: unknown) => error as { stdout: string; stderr: string })
  return stdout + stderr
}

function reset(world: ServiceWorld, partition: number, offset: number): Promise<string> {
  const place = `${world.topics.transactions}:${partition}`
  return consumerGroups(
    world,
    '--reset-offsets',
    '--to-offset',
    String(offset),
    '--topic',
    place,
    '--execute',
  )
}

test('a reset under a live service is refused by Kafka; one that goes around it is overwritten by the next commit', async () => {
  const { world, traffic } = await served(51)
  const left = await positionOf(world, 0)
  expect(await reset(world, 0, 10)).toMatch(/can only be reset if the group/)
  expect(await positionOf(world, 0)).toEqual(left)
  // Transactions may commit offsets of a group they are no member of.
  const intruder = world.kafka.producer({
    transactionalId: `intruder-${world.plan.name}`,
    maxInFlightRequests: 1,
  })
  await intruder.connect()
  const transaction = await intruder.transaction()
  const partitions = [{ partition: 0, offset: '10' }]
  await transaction.sendOffsets({
    consumerGroupId: world.plan.kafka.group,
    topics: [{ topic: left.topic, partitions }],
  })
  await transaction.commit()
  await intruder.disconnect()
  await world.write(traffic.next(400))
  await until('it moves on', async () => (await positionOf(world, 0)).offset > left.offset)
  await world.processes[0]?.stop()
  await checkExactlyOnce(world)
})

test('an offset beyond the log end is brought back to the end: nothing that comes is passed over', async () => {
  const { world, traffic, service } = await served(52)
  await service.stop()
  const left = await positionOf(world, 1)
  await world.admin.setOffsets({
    groupId: world.plan.kafka.group,
    topic: left.topic,
    partitions: [{ partition: 1, offset: String(left.offset + 1_000) }],
  })
  const next = world.start()
  const { reason } = await next.line(
    ({ msg, partition }) => msg === 'begins' && partition === 1,
    'it begins anew',
  )
  expect(reason).toMatch(
    new RegExp(`from offset ${left.offset} on: the committed offset ${left.offset + 1_000}`),
  )
  await world.write(traffic.next(400))
  await world.caughtUp()
  await checkExactlyOnce(world)
})

test('a group whose offsets are gone is refused while Redis remembers it, and goes on exactly where it is reset to', async () => {
  const { world, traffic, service } = await served(53)
  await service.stop()
  const left = await world.positions()
  await world.admin.deleteGroups([world.plan.kafka.group])
  const refused = world.start()
  expect(await refused.exited).toEqual({ code: 1, signal: null })
  expect(refused.tail(3)).toMatch(/OFFSET_LOST: .*\.tx:\d: .*Redis holds state up to offset \d+/)
  expect(refused.tail(3)).toMatch(/--reset-offsets/)

  for (const { partition, offset } of left) await reset(world, partition, offset)
  await world.write(traffic.next(400))
  const next = world.start()
  await next.serving(2)
  await world.caughtUp()
  await checkExactlyOnce(world)
})

test('with the offsets and what Redis holds both deleted, the service begins anew and scores all again', async () => {
  const { world, service } = await served(54)
  await service.stop()
  await world.admin.deleteGroups([world.plan.kafka.group])
  await world.forget()
  const next = world.start()
  const { reason } = await next.line(({ msg }) => msg === 'begins', 'it begins')
  expect(reason).toBe('a first start at offset 0: the group has no committed offset')
  await world.caughtUp()
  const { predictions } = await readOutputs(world)
  const expected = world.input.filter(({ becomes }) => becomes === 'prediction').length
  expect(predictions.length).toBe(2 * expected)
})

test('predictions behind a reset that goes back further than other partitions remember say so; all others are exact', async () => {
  const world = await openWorld({
    partitions: 2,
    labels: true,
    change: { limits: { rowsPerTransactionMax: 500 } },
  })
  // Five weeks of event time, of which features look back two. Parts are small, so each flush writes what is left of them.
  const options = { seed: 55, partitions: 2, labels: true, badShare: 0, lateShare: 0, terminals: 200 }
  const traffic = new CardTraffic({ ...options, stepMs: 600_000 })
  const service = world.start()
  for (let round = 0; round < 5; round++) {
    await world.write(traffic.next(1_000))
    await world.caughtUp()
    await world.flushed()
  }
  await service.stop()
  const left = await positionOf(world, 0)
  const back = Math.round(left.offset / 3)
  await reset(world, 0, back)
  await world.write(traffic.next(500))
  await world.start().serving(4)
  await world.caughtUp()

  const outputs = await readOutputs(world)
  const predictions = lastOfEach(outputs.predictions)
  const gaps = new Set(
    predictions.filter(({ value }) => value.flags.includes('gap')).map(({ value }) => nameOf(value.position)),
  )
  expect(gaps.size).toBeGreaterThan(100)
  expect(gaps.size).toBeLessThan(left.offset - back + 100)
  const { plan, input } = world
  const evidence = { plan, input, positions: await world.positions() }
  const judged = {
    ...evidence,
    outputs: { predictions, alerts: lastOfEach(outputs.alerts), deadLetters: [] },
  }
  expect(summary(problemsOf(judged, { otherFeatures: (at) => gaps.has(nameOf(at)) }))).toEqual([])
})

interface At {
  readonly partition: number
  readonly offset: number
}

function nameOf({ partition, offset }: At): string {
  return `${partition}:${offset}`
}

/** What was published last of each position: the others are of the incarnation before. */
function lastOfEach<T extends { readonly value: { readonly position: At } }>(published: readonly T[]): T[] {
  return [...new Map(published.map((one) => [nameOf(one.value.position), one])).values()].toSorted(
    (a, b) => a.value.position.offset - b.value.position.offset,
  )
}
