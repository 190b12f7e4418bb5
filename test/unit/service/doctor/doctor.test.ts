import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { formatReports } from '../../../../src/cli/doctor.ts'
import { MillraceError } from '../../../../src/errors.ts'
import { exitCodeOf, judge } from '../../../../src/service/doctor/doctor.ts'
import {
  offsetsTopic,
  topicNames,
  transactionsTopic,
  type Facts,
} from '../../../../src/service/doctor/facts.ts'
import { checks, type CheckId } from '../../../../src/service/doctor/table.ts'
import { load, topology } from '../../topology/written.ts'
import {
  facts,
  find,
  names,
  plan,
  positioned,
  settingsOf,
  stored,
  topicOf,
  withBroker,
  withRedis,
  withSettings,
  withTopic,
} from './world.ts'

test('a cluster as it should be: every check is ok, and the exit code 0', () => {
  const reports = judge(facts())
  expect(reports.filter(({ status }) => status !== 'ok')).toEqual([])
  expect(reports.map(({ id }) => id)).toEqual(checks.map(({ id }) => id))
  expect(exitCodeOf(reports)).toBe(0)
})

const dayMs = 86_400_000

test.each<[string, CheckId, Partial<Facts>, string, RegExp | null]>([
  [
    'Kafka 4.3',
    'kafka.version',
    { brokers: { value: [{ nodeId: 1, address: 'b', release: '4.3' }] } },
    'warn',
    /4\.2/,
  ],
  [
    'brokers that do not tell',
    'kafka.version',
    { brokers: { value: [{ nodeId: 1, address: 'b', release: null }] } },
    'unknown',
    null,
  ],
  [
    'a short transaction timeout',
    'kafka.transaction-timeout',
    withBroker({ 'transaction.max.timeout.ms': '30000' }),
    'fail',
    /30000ms/,
  ],
  [
    'a long shortest session',
    'kafka.session-timeout',
    withBroker({ 'group.min.session.timeout.ms': '60000' }),
    'fail',
    /60000ms/,
  ],
  [
    'one replica of the offsets',
    'kafka.internal-topics',
    {
      ...withTopic(offsetsTopic, { partitions: [{ partition: 0, leader: 1, replicas: 1, inSync: 1 }] }),
      ...withSettings(offsetsTopic, { 'min.insync.replicas': '1' }),
    },
    'warn',
    /offsets\.topic\.replication\.factor/,
  ],
  ['no internal topic yet', 'kafka.internal-topics', { topics: { value: new Map() } }, 'unknown', null],
  [
    'short offset retention',
    'kafka.offsets-retention',
    withBroker({ 'offsets.retention.minutes': '1440' }),
    'warn',
    /10080/,
  ],
  [
    'small commit metadata',
    'kafka.metadata-max',
    withBroker({ 'offset.metadata.max.bytes': '1024' }),
    'fail',
    /4096/,
  ],
  [
    'one in-sync replica wanted',
    'topics.durability',
    withSettings('out', { 'min.insync.replicas': '1' }),
    'warn',
    /--topic out --add-config min\.insync\.replicas=2/,
  ],
  [
    'a replica that is behind',
    'topics.durability',
    withTopic('in', { partitions: [{ partition: 0, leader: 1, replicas: 3, inSync: 2 }] }),
    'warn',
    /brokers/,
  ],
  [
    'one replica, and no leader',
    'topics.durability',
    withTopic('in', { partitions: [{ partition: 0, leader: -1, replicas: 1, inSync: 0 }] }),
    'fail',
    /--unavailable-partitions/,
  ],
  [
    'no leader of offsets',
    'kafka.internal-topics',
    withTopic(offsetsTopic, { partitions: [{ partition: 0, leader: -1, replicas: 3, inSync: 1 }] }),
    'fail',
    /--unavailable-partitions/,
  ],
  [
    'too few in sync to write',
    'topics.durability',
    withTopic('out', { partitions: [{ partition: 0, leader: 1, replicas: 3, inSync: 1 }] }),
    'fail',
    /--under-min-isr-partitions/,
  ],
  [
    'fewer replicas than must be in sync',
    'topics.durability',
    withTopic('out', { partitions: [{ partition: 0, leader: 1, replicas: 1, inSync: 1 }] }),
    'fail',
    /min\.insync\.replicas=1/,
  ],
  [
    'unclean election of an internal topic',
    'topics.unclean-election',
    withSettings(transactionsTopic, { 'unclean.leader.election.enable': 'true' }),
    'fail',
    /__transaction_state/,
  ],
  [
    'outputs with other partitions',
    'topics.partitions',
    withTopic('out', { partitions: [] }),
    'warn',
    /1 partitions/,
  ],
  [
    'a compacted source',
    'topics.compaction',
    withSettings('labels', { 'cleanup.policy': 'compact' }),
    'fail',
    /--topic labels/,
  ],
  [
    'retention below the windows',
    'topics.retention',
    withSettings('in', { 'retention.ms': String(dayMs) }),
    'fail',
    /retention\.ms=\d+/,
  ],
  [
    'retention below windows and outage',
    'topics.retention',
    withSettings('in', { 'retention.ms': String(16 * dayMs) }),
    'warn',
    /retention\.ms=\d+/,
  ],
  [
    'retention by size',
    'topics.retention',
    withSettings('in', { 'retention.bytes': '1000000' }),
    'warn',
    /retention\.bytes=-1/,
  ],
  [
    'records from the future',
    'topics.future-times',
    withSettings('labels', { 'message.timestamp.after.max.ms': '9223372036854775807' }),
    'warn',
    /labels --add-config message\.timestamp\.after\.max\.ms=3600000/,
  ],
  [
    'small dead letters',
    'topics.dead-letter-size',
    withSettings('dlq.in', { 'max.message.bytes': '1048588' }),
    'warn',
    /dlq\.in --add-config max\.message\.bytes=1052684/,
  ],
  [
    'a forgetful replay topic',
    'topics.replays',
    withSettings('dlq.small.replays', { 'retention.ms': '1' }),
    'warn',
    /retention\.ms=-1/,
  ],
  [
    'a replay topic bounded by size',
    'topics.replays',
    withSettings('dlq.small.replays', { 'retention.bytes': '1000' }),
    'warn',
    /retention\.bytes=-1/,
  ],
  [
    'a replay topic that has forgotten',
    'topics.replays',
    { ranges: { value: new Map([['dlq.small.replays', new Map([[0, { start: 7, end: 9 }]])]]) } },
    'warn',
    /KAFKA_TOPIC_FORGETS/,
  ],
  [
    'a stranger in the group',
    'group.state',
    {
      group: {
        value: {
          errorCode: 0,
          state: 'Stable',
          members: [{ memberId: 'm', clientId: 'console', host: '/10.0.0.9' }],
          operations: null,
        },
      },
    },
    'warn',
    /another group/,
  ],
  [
    'a group that rebalances',
    'group.state',
    { group: { value: { errorCode: 0, state: 'PreparingRebalance', members: [], operations: null } } },
    'warn',
    /minute/,
  ],
  [
    'a source that may not be read',
    'rights.topics',
    {
      hasAuthorizer: { value: true },
      ...withTopic('in', { operations: new Set(['Describe', 'DescribeConfigs']) }),
    },
    'fail',
    /--operation Read --topic in/,
  ],
  [
    'an output that may only be read',
    'rights.topics',
    {
      hasAuthorizer: { value: null },
      ...withTopic('out', { operations: new Set(['Read', 'Describe', 'DescribeConfigs']) }),
    },
    'fail',
    /--operation Write --topic out/,
  ],
  [
    'a group that may not be read',
    'rights.group',
    {
      hasAuthorizer: { value: true },
      group: { value: { errorCode: 0, state: 'Empty', members: [], operations: new Set(['Describe']) } },
    },
    'fail',
    /--operation Read --group small/,
  ],
  [
    'hidden transactional ids',
    'rights.transactions',
    { hasAuthorizer: { value: true }, mayDescribeTransactions: { value: false } },
    'fail',
    /--transactional-id 'small\|small\|'/,
  ],
  [
    'visible transactional ids',
    'rights.transactions',
    { hasAuthorizer: { value: true } },
    'unknown',
    /Write/,
  ],
  ['a Redis of a cluster', 'redis.mode', withRedis({ mode: 'cluster' }), 'fail', /redis\+cluster/],
  ['a replica', 'redis.mode', withRedis({ role: 'slave' }), 'fail', /master/],
  ['an old Redis', 'redis.version', withRedis({ version: '5.0.7' }), 'warn', /6\.2/],
  [
    'eviction',
    'redis.eviction',
    withRedis({ evictionPolicy: 'allkeys-lru' }),
    'fail',
    /10\.0\.0\.2:6379 CONFIG SET maxmemory-policy/,
  ],
  ['little memory', 'redis.memory', withRedis({ maxBytes: 1_100_000 }), 'warn', /maxmemory/],
  ['no memory', 'redis.memory', withRedis({ maxBytes: 1_000_000 }), 'fail', /maxmemory/],
  ['no persistence', 'redis.persistence', withRedis({ persistence: 'none' }), 'warn', /appendonly/],
  ['no scripts', 'redis.scripts', withRedis({ scriptRefused: 'NOPERM' }), 'fail', /eval/],
  ['clocks 5 s apart', 'clock.skew', withRedis({ skewMs: -5_000 }), 'warn', /chrony/],
  ['clocks a minute apart', 'clock.skew', withRedis({ skewMs: 60_000 }), 'fail', /chrony/],
  ['clocks that may agree', 'clock.skew', withRedis({ skewMs: 5_000, skewErrorMs: 4_000 }), 'ok', null],
  [
    'a subject nobody registered',
    'registry.reachable',
    { subjectsMissing: { value: ['s'] } },
    'warn',
    /Register/,
  ],
])('%s: %s', (_, id, change, status, fix) => {
  const report = find(id, change)
  expect(report.status).toBe(status)
  if (fix === null) expect(report.fix).toBeNull()
  else expect(report.fix).toMatch(fix)
  expect(report.found).not.toBe('')
})

test('a server that does not answer fails its own check with 4; what depends on it is not known', () => {
  const error = new MillraceError('KAFKA_UNREACHABLE', 'no broker answered')
  const reports = judge(facts({ brokers: { error }, topics: { error }, brokerSettings: { error } }))
  expect(exitCodeOf(reports)).toBe(4)
  expect(reports.filter(({ status }) => status === 'fail').map(({ id }) => id)).toEqual(['kafka.reachable'])
  expect(reports.find(({ id }) => id === 'topics.exist')?.status).toBe('unknown')
})

test('settings this principal may not see are unknown, with what to grant; that is no failure', () => {
  const error = new MillraceError('KAFKA_UNAUTHORISED', 'reading broker settings: refused')
  const reports = judge(facts({ brokerSettings: { error } }))
  expect(exitCodeOf(reports)).toBe(0)
  const report = reports.find(({ id }) => id === 'kafka.metadata-max')
  expect(report).toMatchObject({ status: 'unknown', fix: expect.stringContaining('DescribeConfigs') })
})

test('members of several processes, named or not, are those of the service; the name of this process does not matter', () => {
  const members = (...ids: readonly string[]): Partial<Facts> => ({
    group: {
      value: {
        errorCode: 0,
        state: 'Stable',
        members: ids.map((clientId) => ({ memberId: clientId, clientId, host: '/10.0.0.9' })),
        operations: null,
      },
    },
  })
  const own = members('small', 'small@1f2e3d4c-0', 'small@host-2')
  const named = load(topology(['brokers: localhost:9092', 'brokers: localhost:9092\n  instance: host-1']))
  for (const change of [own, { ...own, plan: named }]) {
    expect(find('group.state', change)).toMatchObject({ status: 'ok', found: 'Stable, 3 members' })
  }
  expect(find('group.state', { ...members('small', 'smaller'), plan: named })).toMatchObject({
    status: 'warn',
    found: expect.stringMatching(/call themselves small: smaller at/),
  })
})

/** With the rights that docs/operating.md lists, the internal topics are not among them. */
const internalHidden: Partial<Facts> = {
  hidden: new Set([offsetsTopic, transactionsTopic]),
  hasAuthorizer: { value: null },
  topics: { value: new Map(topicNames(plan).map((name) => [name, topicOf(name)])) },
  topicSettings: { value: new Map(topicNames(plan).map((name) => [name, settingsOf(name)])) },
}

test('internal topics that are hidden are not known; the group and its positions are judged all the same', () => {
  const report = find('kafka.internal-topics', internalHidden)
  expect(report.status).toBe('unknown')
  expect(report.found).toContain(`${offsetsTopic} is hidden: grant Describe on ${offsetsTopic}`)
  expect(report.fix).toContain(
    `--operation Describe --operation DescribeConfigs --topic ${transactionsTopic}`,
  )
  expect(find('topics.unclean-election', internalHidden).status).toBe('unknown')
  expect(find('group.state', internalHidden).found).toBe('Empty, 0 members')
  expect(find('rights.group', internalHidden).status).toBe('ok')
  expect(positioned({}, 50, { ...internalHidden, ...stored(50) })).toMatchObject({ status: 'ok' })
})

test('a group that no broker coordinates is not called lost while the topic of offsets is hidden', () => {
  const nobody = { ...internalHidden, ...stored(50), group: { value: null } }
  for (const id of ['group.state', 'group.positions', 'rights.group'] as const) {
    expect(find(id, nobody)).toMatchObject({ status: 'unknown', found: expect.stringContaining('hidden') })
  }
  expect(exitCodeOf(judge(facts(nobody)))).toBe(0)
})

test('a topic that is hidden is no missing one: its rights fail, and no command makes it anew', () => {
  const value = new Map(names.filter((name) => name !== 'out').map((name) => [name, topicOf(name)]))
  const change = { hidden: new Set(['out']), topics: { value }, hasAuthorizer: { value: true } }
  expect(find('topics.exist', change)).toMatchObject({
    status: 'unknown',
    fix: expect.not.stringContaining('--create'),
  })
  expect(find('rights.topics', change)).toMatchObject({
    status: 'fail',
    fix: expect.stringContaining('--operation Write --operation Describe'),
  })
})

test('an output that is missing is made with the partitions of the source, a dead-letter topic with room for its headers', () => {
  const without = (missing: string): Partial<Facts> => ({
    topics: {
      value: new Map(names.filter((name) => name !== missing).map((name) => [name, topicOf(name)])),
    },
  })
  expect(find('topics.exist', without('out')).fix).toMatch(/--create --topic out --partitions 1$/)
  expect(find('topics.exist', without('dlq.in')).fix).toMatch(
    /--topic dlq\.in --partitions 1 --config max\.message\.bytes=1052684$/,
  )
  expect(find('topics.exist', without('in')).fix).toMatch(/--topic in --partitions …$/)
})

test('a topic that is missing fails its own check, and does not break others', () => {
  const value = new Map(names.filter((name) => name !== 'in').map((name) => [name, topicOf(name)]))
  const reports = judge(facts({ topics: { value } }))
  expect(reports.filter(({ status }) => status === 'fail').map(({ id }) => id)).toEqual(['topics.exist'])
  expect(exitCodeOf(reports)).toBe(3)
})

test('for people, what is not ok says why and how to mend it', () => {
  const text = formatReports(judge(facts(withRedis({ evictionPolicy: 'allkeys-lru' }))), 'table')
  expect(text).toMatch(/FAIL {2}redis\.eviction .*allkeys-lru\n {6}why: An evicted .*\n {6}fix: redis-cli/)
  expect(text).toMatch(/\d+ ok, 0 warn, 1 fail, 0 unknown\n$/)
})

test('docs/guarantees.md lists the checks as the table has them', () => {
  const text = readFileSync(new URL('../../../../docs/guarantees.md', import.meta.url), 'utf8')
  const rows = [...text.matchAll(/^\| (.*) \| (.*) \| `([a-z]+\.[a-z-]+)` \|$/gm)]
  expect(rows.map(([, needed, why, id]) => ({ id, needed, why }))).toEqual(
    checks.map(({ id, needed, why }) => ({ id, needed: needed.replaceAll('|', '\\|'), why })),
  )
})
