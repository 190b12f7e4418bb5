import { expect, test } from 'vitest'
import { replayTopicOf } from '../../../src/service/dead-letters/dead-letter.ts'
import type { RejectReason } from '../../../src/record/event.ts'
import { CommandLine, jsonLines, millrace } from '../../support/command-line.ts'
import { readCommitted, type RefereeRecord } from '../../support/referee.ts'
import { brokers } from '../../support/servers.ts'
import { CardTraffic } from '../../support/service-records.ts'
import { openWorld, type ServiceWorld } from '../../support/service-world.ts'
import { until } from '../../support/until.ts'

interface Listed {
  readonly id: string
  readonly reason: string
  readonly stage: string
  readonly message: string
  readonly source: { readonly topic: string; readonly partition: number; readonly offset: number }
  readonly step?: string
  readonly replayOf: string | null
  readonly now?: { readonly outcome: string; readonly reason?: string; readonly flags: readonly string[] }
}

interface Letter {
  readonly reason: RejectReason
  readonly value: string | Buffer
  readonly key?: string
  readonly partition?: number
  readonly failedAt?: string
  readonly group?: string
}

/** Dead letters as the service writes them, of records at offsets 0, 1, … of their source partition. */
async function writeLetters(world: ServiceWorld, letters: readonly Letter[]): Promise<void> {
  const next = new Map<number, number>()
  const messages = letters.map(({ reason, value, key = 'c1', partition = 0, failedAt, group }) => {
    const offset = next.get(partition) ?? 0
    next.set(partition, offset + 1)
    const headers = {
      'x-origin': 'till 7',
      '__dlq.errors.topic': world.topics.transactions,
      '__dlq.errors.partition': String(partition),
      '__dlq.errors.offset': String(offset),
      '__dlq.errors.group': group ?? world.plan.kafka.group,
      '__dlq.errors.delivery.count': '1',
      '__dlq.errors.message': `wrong: ${offset}`,
      'millrace.dlq.reason': reason,
      'millrace.dlq.stage': 'decode',
      'millrace.dlq.failed-at': failedAt ?? '2026-01-05T00:00:00.000Z',
      'millrace.dlq.attempts': '1',
    }
    return { key, value, partition, headers }
  })
  for (let at = 0; at < messages.length; at += 500) {
    await world.producer.send({ topic: world.topics.deadLetters, messages: messages.slice(at, at + 500) })
  }
}

const event = (id: string): string =>
  JSON.stringify({ id, customer: 'c1', terminal: 't1', amountCents: 100, tier: 1, ts: 1_767_600_000_000 })

const many = (count: number, partitions: number): readonly Letter[] =>
  Array.from({ length: count }, (_, i) => ({
    reason: 'TIMESTAMP',
    value: event(`tx-${i}`),
    partition: i % partitions,
  }))

const replayId = ({ headers }: RefereeRecord): string => headers['millrace.replay.id'] ?? 'none'

/** Every letter is in the source topic once, in the order in which it failed. */
async function expectEachOnce(world: ServiceWorld, letters: readonly Letter[]): Promise<void> {
  const source = await readCommitted(brokers(), world.topics.transactions)
  const ids = source.map(replayId)
  expect(new Set(ids).size).toBe(ids.length)
  expect(source.length).toBe(letters.length)
  const byPartition = Map.groupBy(source, ({ partition }) => partition)
  for (const [partition, records] of byPartition) {
    const expected = letters.filter((letter) => (letter.partition ?? 0) === partition)
    expect(records.map(({ value }) => value)).toEqual(expected.map(({ value }) => value))
  }
}

test('letters of the service are listed, shown and, once they decode, replayed and scored', async () => {
  const world = await openWorld({ partitions: 2 })
  const traffic = new CardTraffic({ seed: 31, partitions: 2, badShare: 0.15 })
  const records = traffic.next(400)
  await world.write(records)
  world.start()
  await world.caughtUp()

  const dead = world.input.filter(({ becomes }) => becomes !== 'prediction')
  const list = await millrace('dlq', 'ls', world.file, '-o', 'json')
  expect(list.code).toBe(0)
  const listed = jsonLines<Listed>(list.stdout)
  expect(new Set(listed.map(({ source }) => `${source.partition}@${source.offset}`))).toEqual(
    new Set(dead.map(({ partition, offset }) => `${partition}@${offset}`)),
  )
  const counted = await millrace('dlq', 'ls', world.file, '--count', '-o', 'json')
  const reasons = Object.fromEntries(
    [...Map.groupBy(dead, ({ becomes }) => becomes)].map(([reason, group]) => [reason, group.length]),
  )
  expect(JSON.parse(counted.stdout)).toEqual({ total: dead.length, reason: reasons })

  const two = ['--reason', 'timestamp,schema', '--partition', '1', '--limit', '3']
  const filtered = await millrace('dlq', 'ls', world.file, '-o', 'json', ...two)
  const some = jsonLines<Listed>(filtered.stdout)
  expect(some.length).toBe(3)
  expect(some.every(({ reason, source }) => /TIMESTAMP|SCHEMA/.test(reason) && source.partition === 1)).toBe(
    true,
  )

  // The records that were ten minutes ahead of their time are not any more.
  const dry = await millrace('dlq', 'replay', world.file, '--dry-run', '-o', 'json')
  for (const { reason, now } of jsonLines<Listed>(dry.stdout)) {
    if (reason === 'TIMESTAMP') expect(now).toMatchObject({ outcome: 'scored' })
    else expect(now).toMatchObject({ outcome: 'dead-letter', reason })
  }
  expect((await readCommitted(brokers(), world.topics.transactions)).length).toBe(records.length)

  const replayed = await millrace('dlq', 'replay', world.file, '--reason', 'TIMESTAMP,DECODE', '-o', 'json')
  expect(replayed.code).toBe(0)
  const steps = jsonLines<Listed>(replayed.stdout)
  const count = (reason: string): number => dead.filter(({ becomes }) => becomes === reason).length
  expect(steps.map(({ step }) => step)).toEqual(
    Array.from({ length: count('TIMESTAMP') + count('DECODE') }, () => 'replayed'),
  )
  await world.caughtUp()
  const predictions = await readCommitted(brokers(), world.topics.predictions)
  expect(predictions.length).toBe(records.length - dead.length + count('TIMESTAMP'))
  const after = jsonLines<Listed>((await millrace('dlq', 'ls', world.file, '-o', 'json')).stdout)
  const second = after.filter(({ replayOf }) => replayOf !== null)
  const decode = steps.filter(({ reason }) => reason === 'DECODE')
  expect(new Set(second.map(({ replayOf }) => replayOf))).toEqual(new Set(decode.map(({ id }) => id)))
  expect(second.length).toBe(decode.length)
})

test('a replayed record is what it was: key, value, headers and partition; only its timestamp is now', async () => {
  const world = await openWorld({ partitions: 3 })
  const letters: Letter[] = [
    { reason: 'DECODE', value: Buffer.from([1, 2, 3, 255]), key: 'c9', partition: 2 },
    { reason: 'SCHEMA', value: event('tx-1'), partition: 1 },
  ]
  await writeLetters(world, letters)
  const before = Date.now()
  expect((await millrace('dlq', 'replay', world.file)).code).toBe(0)
  const [one, two] = (await readCommitted(brokers(), world.topics.transactions)).toSorted(
    (a, b) => b.partition - a.partition,
  )
  const { deadLetters, transactions } = world.topics
  expect(one).toMatchObject({
    partition: 2,
    key: 'c9',
    headers: {
      'x-origin': 'till 7',
      'millrace.replay.id': `${deadLetters}:2@0`,
      'millrace.replay.from': `${transactions}:2@0`,
    },
  })
  expect(Object.keys(one?.headers ?? {}).length).toBe(3)
  expect(one?.timestamp).toBeGreaterThanOrEqual(before)
  expect(two).toMatchObject({ partition: 1, key: 'c1', value: event('tx-1') })
})

test('a replay that is killed half-way and started again writes each record once, in order', async () => {
  const world = await openWorld({ partitions: 3 })
  const letters = many(900, 3)
  await writeLetters(world, letters)
  const first = new CommandLine('dlq', 'replay', world.file, '--rate', '300/s', '-o', 'json')
  await first.until(
    (stdout) => jsonLines(stdout.slice(0, stdout.lastIndexOf('\n') + 1)).length > 200,
    '200 records',
  )
  first.signal('SIGKILL')
  await first.ended
  const done = jsonLines<Listed>(first.stdout).length
  expect(done).toBeLessThan(900)
  const again = await millrace('dlq', 'replay', world.file, '--rate', '100000', '-o', 'json')
  expect(again.code).toBe(0)
  const steps = Map.groupBy(jsonLines<Listed>(again.stdout), ({ step }) => step ?? '')
  expect(steps.get('replayed before')?.length).toBeGreaterThanOrEqual(done)
  expect((steps.get('replayed before')?.length ?? 0) + (steps.get('replayed')?.length ?? 0)).toBe(900)
  await expectEachOnce(world, letters)
  const third = await millrace('dlq', 'replay', world.file, '-o', 'json')
  expect(new Set(jsonLines<Listed>(third.stdout).map(({ step }) => step))).toEqual(
    new Set(['replayed before']),
  )
  await expectEachOnce(world, letters)
})

test('of two replays at the same time the later one goes on and the earlier one stops; each record is written once', async () => {
  const world = await openWorld({ partitions: 2 })
  const letters = many(1_200, 2) // half a minute's work for the earlier one: the later one comes in time
  await writeLetters(world, letters)
  const earlier = new CommandLine('dlq', 'replay', world.file, '--rate', '40/s')
  await earlier.until((stdout) => stdout.split('\n').length > 60, 'the first records')
  const later = await millrace('dlq', 'replay', world.file, '--rate', '100000')
  expect(later.code).toBe(0)
  const { code, stderr } = await earlier.ended
  expect(code).toBe(75)
  expect(stderr).toContain('TRANSACTION_FENCED')
  await expectEachOnce(world, letters)
})

test('what killed the process, is in the windows already, or was given up by another group is replayed only when asked for', async () => {
  const world = await openWorld({ partitions: 1 })
  await writeLetters(world, [
    { reason: 'POISON', value: event('tx-0') },
    { reason: 'SCHEMA', value: event('tx-1'), group: 'somebody-else' },
    { reason: 'SCHEMA', value: event('tx-2') },
    { reason: 'INFERENCE', value: event('tx-3') },
  ])
  const first = await millrace('dlq', 'replay', world.file, '-o', 'json')
  const steps = new Map(jsonLines<Listed>(first.stdout).map(({ source, step }) => [source.offset, step]))
  expect([0, 1, 2, 3].map((offset) => steps.get(offset))).toEqual([
    'left: killed the process',
    'left: another group',
    'replayed',
    'left: is in the windows',
  ])
  const dry = await millrace('dlq', 'replay', world.file, '--dry-run', '--limit', '1', '-o', 'json')
  expect(jsonLines(dry.stdout).length).toBe(4) // the one that would be written was written before
  await millrace('dlq', 'replay', world.file, '--reason', 'POISON')
  await millrace('dlq', 'replay', world.file, '--id', `${world.topics.deadLetters}:0@3`)
  const source = await readCommitted(brokers(), world.topics.transactions)
  expect(source.map(({ value }) => value)).toEqual([event('tx-2'), event('tx-0'), event('tx-3')])
})

test('one letter is shown with headers, bytes and the verdict of today, found by its own or its source position', async () => {
  const world = await openWorld({ partitions: 2 })
  await writeLetters(world, [
    { reason: 'SCHEMA', value: event('tx-0'), partition: 1 },
    { reason: 'DECODE', value: Buffer.from('00000001fe\u001b[2J', 'latin1'), partition: 1 },
  ])
  const { transactions, deadLetters } = world.topics
  const text = await millrace('dlq', 'show', world.file, `${deadLetters}:1@0`)
  expect(text.stdout).toContain(`was ${transactions}:1@0`)
  expect(text.stdout).toContain('x-origin: till 7')
  expect(text.stdout).toContain(event('tx-0'))
  expect(text.stdout).toContain('would be scored: decodes')
  const json = await millrace('dlq', 'show', world.file, `${transactions}:1@1`, '-o', 'json')
  expect(JSON.parse(json.stdout)).toMatchObject({
    id: `${deadLetters}:1@1`,
    key: { bytes: 2, text: 'c1' },
    value: { hex: Buffer.from('00000001fe\u001b[2J', 'latin1').toString('hex') },
    now: { outcome: 'dead-letter', reason: 'DECODE' },
  })
  const hex = await millrace('dlq', 'show', world.file, `${deadLetters}:1@1`)
  expect(hex.stdout).not.toContain('\u001b')
  const none = await millrace('dlq', 'show', world.file, `${deadLetters}:0@7`)
  expect(none.code).toBe(2)
  expect(none.stderr).toContain('there is no dead letter at')
})

test('filters by time and by source offset; a misspelt one is an error and not an empty list', async () => {
  const world = await openWorld({ partitions: 1 })
  await writeLetters(
    world,
    Array.from({ length: 10 }, (_, i) => ({
      reason: 'SCHEMA',
      value: event(`tx-${i}`),
      failedAt: `2026-01-05T00:0${i}:00.000Z`,
    })),
  )
  const offsets = async (...args: string[]): Promise<number[]> =>
    jsonLines<Listed>((await millrace('dlq', 'ls', world.file, '-o', 'json', ...args)).stdout).map(
      ({ source }) => source.offset,
    )
  expect(await offsets('--from', '2026-01-05T00:03:00Z', '--to', '2026-01-05T00:06:00Z')).toEqual([3, 4, 5])
  expect(await offsets('--from', '7')).toEqual([7, 8, 9])
  expect(await offsets('--to', '2', '--source', 'transactions')).toEqual([0, 1])
  expect(await offsets('--id', `${world.topics.deadLetters}:0@4`)).toEqual([4])
  const ids = [4, 44].map((offset) => `${world.topics.deadLetters}:0@${offset}`)
  const unmet = await millrace('dlq', 'replay', world.file, '--id', ids.join(','))
  expect([unmet.code, unmet.stdout]).toEqual([2, expect.stringContaining('replayed')])
  expect(unmet.stderr).toContain(`there is no dead letter ${ids[1]}`)
  const other = await millrace('dlq', 'replay', world.file, '--id', `${world.topics.transactions}:0@4`)
  expect([other.code, other.stdout]).toEqual([2, ''])
  const wrong = await millrace('dlq', 'ls', world.file, '--reason', 'SCHEME')
  expect([wrong.code, wrong.stdout]).toEqual([2, ''])
  expect(wrong.stderr).toContain('SCHEMA')
})

test('a topic that would forget what was replayed is refused before anything is written', async () => {
  const world = await openWorld({ partitions: 1 })
  await writeLetters(world, many(3, 1))
  const topic = replayTopicOf(world.plan)
  await world.admin.deleteTopics({ topics: [topic] })
  await until('the topic is gone', async () => !(await world.admin.listTopics()).includes(topic))
  const missing = await millrace('dlq', 'replay', world.file)
  expect(missing.code).toBe(2)
  expect(missing.stderr).toContain(`KAFKA_TOPIC_MISSING: these topics do not exist: ${topic}`)
  const dry = await millrace('dlq', 'replay', world.file, '--dry-run', '-o', 'json')
  expect(jsonLines(dry.stdout).length).toBe(3)
  await world.admin.createTopics({
    topics: [{ topic, numPartitions: 1, configEntries: [{ name: 'retention.ms', value: '604800000' }] }],
  })
  const forgetful = await millrace('dlq', 'replay', world.file)
  expect(forgetful.code).toBe(2)
  expect(forgetful.stderr).toContain('KAFKA_TOPIC_FORGETS')
  expect(await readCommitted(brokers(), world.topics.transactions)).toEqual([])
})
