import { mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Admin } from 'kafkajs'
import { expect, onTestFinished, test } from 'vitest'
import type { CheckId, Report } from '../../../src/service/doctor/table.ts'
import { startKafka } from '../../../src/stack/kafka-server.ts'
import { CardWorld } from '../../support/card-world.ts'
import { millrace } from '../../support/command-line.ts'
import { redisUrl } from '../../support/servers.ts'
import { CardTraffic } from '../../support/service-records.ts'

// Codes of Kafka's ACLs.
const resources = { topic: 2, group: 3, transactionalId: 5 } as const
const operations = { describe: 8, describeConfigs: 10, all: 2 } as const
const literal = 3
const prefixed = 4
const allow = 3

/** A broker that checks rights. What has no ACL is open to all, so each test takes away what it wants to. */
async function guardedWorld(): Promise<CardWorld> {
  const dir = await mkdtemp(join(tmpdir(), 'millrace-rights-'))
  const kafka = await startKafka({
    dir,
    temporary: true,
    config: {
      'authorizer.class.name': 'org.apache.kafka.metadata.authorizer.StandardAuthorizer',
      'allow.everyone.if.no.acl.found': true,
    },
  })
  onTestFinished(() => kafka.stop())
  const world = new CardWorld(await mkdtemp(join(tmpdir(), 'millrace-service-')), {
    brokers: [kafka.brokers],
    redisUrl: redisUrl(),
    sessionTimeout: '6s',
  })
  onTestFinished(() => world.close())
  await world.open()
  return world
}

function grant(admin: Admin, resourceType: number, resourceName: string, to: string, operation: number) {
  const resourcePatternType = resourceType === resources.transactionalId ? prefixed : literal
  const acl = { resourceType, resourceName, resourcePatternType, principal: to, host: '*', operation }
  return admin.createAcls({ acl: [{ ...acl, permissionType: allow }] })
}

async function doctor(world: CardWorld): Promise<{ code: number | null; of: (id: CheckId) => Report }> {
  const { code, stdout } = await millrace('doctor', world.file, '-o', 'json')
  const { checks } = JSON.parse(stdout) as { checks: readonly Report[] }
  return { code, of: (id) => checks.find((one) => one.id === id)! }
}

test('rights that are missing are found before a service stops for them, with the command that grants them', async () => {
  const world = await guardedWorld()
  const { admin, plan, topics } = world
  // The internal topics exist once somebody has used them.
  const producer = world.kafka.producer({ transactionalId: 'somebody' })
  await producer.connect()
  await (await producer.transaction()).abort()
  await producer.disconnect()
  await admin.setOffsets({
    groupId: 'g',
    topic: topics.transactions,
    partitions: [{ partition: 0, offset: '0' }],
  })
  const open = await doctor(world)
  expect([open.code, open.of('rights.topics').status, open.of('rights.group').status]).toEqual([
    0,
    'ok',
    'ok',
  ])
  expect(open.of('rights.transactions')).toMatchObject({ status: 'unknown' })

  const me = 'User:ANONYMOUS'
  await grant(admin, resources.topic, topics.predictions, me, operations.describe)
  await grant(admin, resources.topic, topics.predictions, me, operations.describeConfigs)
  await grant(admin, resources.group, plan.kafka.group, 'User:somebody', operations.all)
  await grant(admin, resources.transactionalId, `${plan.name}|`, 'User:somebody', operations.all)
  const guarded = await doctor(world)
  expect(guarded.code).toBe(3)
  expect(guarded.of('rights.topics')).toMatchObject({
    status: 'fail',
    found: `${topics.predictions}: not Write`,
    fix: expect.stringContaining(`--operation Write --topic ${topics.predictions}`),
  })
  expect(guarded.of('rights.group')).toMatchObject({
    status: 'fail',
    fix: expect.stringContaining(`--operation Read --operation Describe --group ${plan.kafka.group}`),
  })
  expect(guarded.of('rights.transactions')).toMatchObject({
    status: 'fail',
    fix: expect.stringContaining('--resource-pattern-type prefixed'),
  })
  expect(guarded.of('group.positions').status).toBe('unknown')

  // What it warned of happens.
  await grant(admin, resources.group, plan.kafka.group, me, operations.all)
  await grant(admin, resources.transactionalId, `${plan.name}|`, me, operations.all)
  await world.write(new CardTraffic({ seed: 44, partitions: world.partitions }).next(40))
  const service = world.start()
  expect(await service.exited).toEqual({ code: 5, signal: null })
  expect(service.tail(8)).toContain('KAFKA_UNAUTHORISED')
  expect(service.tail(8)).toContain(topics.predictions)
})

test('with the rights that are documented, and no others, the group is found where it is; internal topics are not known', async () => {
  const world = await guardedWorld()
  const { admin } = world
  const internal = ['__consumer_offsets', '__transaction_state']
  for (const topic of internal) {
    await grant(admin, resources.topic, topic, 'User:somebody', operations.all)
  }
  const before = await doctor(world)
  expect(before.code).toBe(0)
  expect(before.of('group.state')).toMatchObject({ status: 'unknown' })
  // Looking made no topic; a principal that may see them says so.
  await grant(admin, resources.topic, internal[0]!, 'User:ANONYMOUS', operations.describe)
  expect(await admin.listTopics()).not.toContain(internal[0])
  await admin.deleteAcls({
    filters: [
      {
        resourceType: resources.topic,
        resourceName: internal[0]!,
        resourcePatternType: literal,
        principal: 'User:ANONYMOUS',
        host: '*',
        operation: operations.describe,
        permissionType: allow,
      },
    ],
  })

  await world.write(new CardTraffic({ seed: 43, partitions: world.partitions }).next(100))
  world.start()
  await world.caughtUp()
  await world.flushed()
  const after = await doctor(world)
  expect([after.code, after.of('group.state').found, after.of('group.positions').status]).toEqual([
    0,
    'Stable, 1 member',
    'ok',
  ])
  expect(after.of('rights.group').status).toBe('ok')
  expect(after.of('kafka.internal-topics')).toMatchObject({
    status: 'unknown',
    found: expect.stringContaining('hidden'),
    fix: expect.stringContaining('--operation Describe'),
  })
})
