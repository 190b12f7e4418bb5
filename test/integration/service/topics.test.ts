import { expect, onTestFinished, test } from 'vitest'
import { Partitioners } from '../../../src/kafka/kafkajs.ts'
import { partitionOfKey } from '../../../src/sink/murmur2.ts'
import { eventually } from '../../support/eventually.ts'
import { checkExactlyOnce, readOutputs } from '../../support/exactly-once.ts'
import { problemsOf, summary } from '../../support/judge.ts'
import { CardTraffic, type InputRecord } from '../../support/service-records.ts'
import { message, openWorld, type ServiceWorld } from '../../support/service-world.ts'
import { until } from '../../support/until.ts'

/** Deletes the scored topic and creates it again; what was written before is no input any more. */
async function recreate(world: ServiceWorld, partitions: number): Promise<void> {
  const topic = world.topics.transactions
  await world.admin.deleteTopics({ topics: [topic] })
  // The name is free a moment after the deletion was answered.
  await until('it is created again', () => {
    const configEntries = [{ name: 'message.timestamp.before.max.ms', value: '9223372036854775807' }]
    return world.admin.createTopics({ topics: [{ topic, numPartitions: partitions, configEntries }] })
  })
  world.input.length = 0
}

/** With a producer of its own: one that knew the earlier topic, or fewer partitions, would not do. */
async function writeAnew(world: ServiceWorld, records: readonly InputRecord[]): Promise<void> {
  const producer = world.kafka.producer({ createPartitioner: Partitioners.DefaultPartitioner })
  await producer.connect()
  onTestFinished(() => producer.disconnect())
  for (const group of Map.groupBy(records, ({ partition }) => partition).values()) {
    const [answer] = await producer.send({
      topic: world.topics.transactions,
      messages: group.map(message),
    })
    // kafkajs leaves out records of partitions that it does not know, without a word.
    if (answer?.baseOffset === undefined) throw new Error(`partition ${group[0]?.partition} was not written`)
    world.log(group, Number(answer.baseOffset))
  }
}

/** Judges the records of the present topic alone; earlier ones had the same positions. */
async function checkThisLife(world: ServiceWorld): Promise<void> {
  const { plan, input } = world
  const ids = new Set(input.map(({ event }) => event?.id))
  const { predictions, alerts } = await readOutputs(world)
  const outputs = {
    predictions: predictions.filter(({ value }) => ids.has(value.id)),
    alerts: alerts.filter(({ value }) => ids.has(value.id)),
    deadLetters: [],
  }
  const positions = await world.positions()
  expect(summary(problemsOf({ plan, input, positions, outputs }))).toEqual([])
  expect(outputs.predictions.length).toBe(input.length)
}

/** Where Java's default partitioner puts the records. */
function placed(records: readonly InputRecord[], partitions: number): readonly InputRecord[] {
  return records.map((record) => ({ ...record, partition: partitionOf(record.key, partitions) }))
}

function partitionOf(key: string | null, partitions: number): number {
  return partitionOfKey(Buffer.from(key ?? ''), partitions)
}

/** A served world with 800 records done, none of them bad. */
async function served(change = {}): Promise<{ world: ServiceWorld; traffic: CardTraffic }> {
  const world = await openWorld({ partitions: 2, change })
  const traffic = new CardTraffic({ seed: 21, partitions: 2, badShare: 0 })
  await world.write(placed(traffic.next(800), 2))
  world.start()
  await world.caughtUp()
  await world.flushed()
  return { world, traffic }
}

test('a topic that is deleted and created again under a live owner is read from its start as a new incarnation, with nothing of the old windows', async () => {
  const { world, traffic } = await served()
  await checkExactlyOnce(world)
  await recreate(world, 2)
  // More than before: the old positions lie inside the new log.
  await writeAnew(world, traffic.next(1_200))
  await world.processes[0]?.line(
    ({ reason }) => reason?.includes('deleted and created again') === true,
    'the new log is noticed',
  )
  await world.caughtUp()
  await checkThisLife(world)
})

test('a topic that was deleted and created again while nobody served it is recognised at the next start, whatever `start` says', async () => {
  const { world } = await served({ sources: { transactions: { start: 'latest' } } })
  await world.processes[0]?.stop()
  for (const topic of [world.topics.predictions, world.topics.alerts]) {
    await world.admin.createPartitions({ topicPartitions: [{ topic, count: 3 }] })
  }
  await recreate(world, 3)
  await writeAnew(
    world,
    new CardTraffic({ seed: 22, partitions: 3, badShare: 0 }).next(1_500).map((record) => renamed(record)),
  )
  await world.start().serving(3)
  await world.caughtUp()
  await checkThisLife(world)
})

test('a recreated topic stops a service that refuses foreign offsets, and says which and what to do', async () => {
  const { world, traffic } = await served({ store: { onForeignOffset: 'refuse' } })
  await recreate(world, 2)
  await writeAnew(world, traffic.next(100))
  expect(await world.processes[0]?.exited).toEqual({ code: 1, signal: null })
  const words = world.processes[0]?.tail(4)
  expect(words).toMatch(/OFFSET_FOREIGN: .*\.tx:\d: the topic was deleted and created again/)
  expect(words).toMatch(/store\.onForeignOffset: rebuild/)
})

test('a deleted topic is waited for, then ends the process with code 2 and its name', async () => {
  const { world } = await served()
  await world.admin.deleteTopics({ topics: [world.topics.transactions] })
  await world.processes[0]?.line(
    ({ msg }) => msg.startsWith('a source topic does not exist'),
    'it is noticed',
  )
  expect(await world.processes[0]?.exited).toEqual({ code: 2, signal: null })
  expect(world.processes[0]?.tail(4)).toMatch(/KAFKA_TOPIC_MISSING: .*\.tx/)
})

/** Adds partitions to the scored topic, and writes records whose keys lie in other partitions than before. */
async function grow(world: ServiceWorld, count: number, records: number, hoursLater = count): Promise<void> {
  const { predictions, alerts, deadLetters, transactions } = world.topics
  for (const topic of [predictions, alerts, deadLetters, transactions]) {
    await world.admin.createPartitions({ topicPartitions: [{ topic, count }] })
    await eventually(async () => {
      const { topics } = await world.admin.fetchTopicMetadata({ topics: [topic] })
      expect(topics[0]?.partitions.map(({ leader }) => leader >= 0)).toEqual(Array(count).fill(true))
    })
  }
  const traffic = new CardTraffic({ seed: 23, partitions: count, badShare: 0 })
  const later = placed(laterBy(traffic.next(records), hoursLater * 3_600_000), count)
  await writeAnew(
    world,
    later.map((record) => renamed(record, `with-${count}`)),
  )
}

test('added partitions are read from their start, whatever `start` says, and merged features go on exactly', async () => {
  const { world } = await served({
    sources: { transactions: { start: 'latest' } },
    entities: { customer: { merge: true } },
  })
  const began = world.input.splice(0)
  // Filled before anybody sees it: at the end of the log there is something to miss.
  await world.processes[0]?.stop()
  await grow(world, 3, 600)
  const service = world.start()
  await service.serving(3)
  await world.caughtUp()
  // And while it is served.
  await grow(world, 5, 600)
  await service.serving(5)
  await world.caughtUp()
  world.input.unshift(...began)
  // What lay in the log at the first start was not scored, only seen.
  await checkExactlyOnce(world, { skipped: (input) => began.includes(input) })
})

test('added partitions stop a service whose features need keys to stay; once accepted, nothing is lost and every prediction of a key that moved is flagged, in its old partitions too', async () => {
  const { world } = await served()
  const began = world.input.length
  // Soon enough for the windows to reach back behind the move.
  await grow(world, 5, 1_000, 1)
  const refused = world.processes[0]
  expect(await refused?.exited).toEqual({ code: 1, signal: null })
  expect(refused?.tail(4)).toMatch(
    /PARTITIONS_ADDED: .*\.tx:\d: the topic has 5 partitions, before there were 2/,
  )
  expect(refused?.tail(4)).toMatch(/store\.onPartitionsAdded: accept/)

  await world.retopology({ store: { onPartitionsAdded: 'accept' } })
  world.start()
  await world.caughtUp()
  const { predictions } = await checkExactlyOnce(world)
  const later = new Set(world.input.slice(began).map(({ event }) => event?.id))
  const moved = predictions.filter(
    ({ value }) => later.has(value.id) && partitionOf(value.key, 2) !== value.position.partition,
  )
  expect(moved.filter(({ value }) => value.position.partition < 2).length).toBeGreaterThan(50)
  expect(moved.filter(({ value }) => value.position.partition >= 2).length).toBeGreaterThan(300)
  expect(moved.filter(({ value }) => !value.flags.includes('gap'))).toEqual([])
})

test('a source that becomes compacted while it is served stops the process with code 2', async () => {
  const { world } = await served()
  const entries = [{ name: 'cleanup.policy', value: 'compact' }]
  await world.admin.alterConfigs({
    validateOnly: false,
    resources: [{ type: 2, name: world.topics.transactions, configEntries: entries }],
  })
  expect(await world.processes[0]?.exited).toEqual({ code: 2, signal: null })
  expect(world.processes[0]?.tail(4)).toMatch(
    /KAFKA_TOPIC_COMPACTED: topic .*\.tx has cleanup\.policy=compact/,
  )
})

function renamed(record: InputRecord, prefix = 'again'): InputRecord {
  if (record.event === null) return record
  const id = `${prefix}-${record.event.id}`
  const value = (record.value ?? '').replace(`"${record.event.id}"`, `"${id}"`)
  return { ...record, value, event: { ...record.event, id, fields: { ...record.event.fields, id } } }
}

/** The same events later: `CardTraffic` of another seed begins again where the first began. */
function laterBy(records: readonly InputRecord[], ms: number): readonly InputRecord[] {
  return records.map((record) => {
    if (record.event === null) return record
    const time = record.event.time + ms
    const value = (record.value ?? '').replace(`"ts":${record.event.time}`, `"ts":${time}`)
    const event = { ...record.event, time, fields: { ...record.event.fields, ts: time } }
    return { ...record, value, event, timestampMs: record.timestampMs + ms }
  })
}
