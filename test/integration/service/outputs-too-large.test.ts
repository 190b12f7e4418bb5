import { expect, test } from 'vitest'
import { ConfigResourceTypes } from '../../../src/kafka/kafkajs.ts'
import { checkExactlyOnce } from '../../support/exactly-once.ts'
import { CardTraffic, type InputRecord } from '../../support/service-records.ts'
import { openWorld } from '../../support/service-world.ts'

/** Its event repeats the record key, and both go into every output. */
function withKey(record: InputRecord, customer: string): InputRecord {
  const fields = { ...(JSON.parse(record.value!) as Record<string, string | number>), customer }
  const event = { ...record.event!, key: customer, fields }
  return { ...record, key: customer, value: JSON.stringify(fields), event }
}

test('an alert too large for its topic becomes a dead letter, and one too large for that a stub: the partition goes on', async () => {
  const world = await openWorld({ partitions: 1, change: { limits: { recordMax: '1MB' } } })
  const traffic = new CardTraffic({ seed: 31, partitions: 1, badShare: 0 })
  // Alert: record key, key, caseKey. The letter has what the record has: key and value.
  const large = withKey(traffic.one({ amountCents: 50_000 }), 'k'.repeat(420_000))
  const larger = withKey(traffic.one({ amountCents: 50_000 }), 'K'.repeat(499_000))
  await world.write([...traffic.next(20), { ...large, becomes: 'OUTPUT' }, ...traffic.next(20)])
  const service = world.start()
  await world.caughtUp()
  // While it runs the dead-letter topic begins to take less than what it took at start.
  await world.admin.alterConfigs({
    validateOnly: false,
    resources: [
      {
        type: ConfigResourceTypes.TOPIC,
        name: world.topics.deadLetters,
        configEntries: [{ name: 'max.message.bytes', value: '900000' }],
      },
    ],
  })
  await world.write([{ ...larger, becomes: 'OUTPUT' }, ...traffic.next(20)])
  await world.caughtUp()
  const { deadLetters } = await checkExactlyOnce(world)
  expect(deadLetters.map(({ headers }) => headers['millrace.dlq.reason'])).toEqual(['OUTPUT', 'OUTPUT'])
  expect(deadLetters.map(({ value }) => value?.length)).toEqual([large.value!.length, undefined])
  expect(deadLetters[0]?.headers['__dlq.errors.message']).toMatch(/^the alert takes \d+ bytes/)
  expect(deadLetters[1]?.headers).toMatchObject({
    '__dlq.errors.topic': world.topics.transactions,
    '__dlq.errors.offset': '41',
    'millrace.dlq.content': 'stub',
    'millrace.dlq.digest': expect.stringMatching(/^sha256:[0-9a-f]{64}$/),
  })
  expect(service.exit).toBeNull()
  expect(await service.stop()).toEqual({ code: 0, signal: null })
})
