import type { DescribedTopic } from '../../../../src/kafka/inspect-codec.ts'
import { encodeMetadata, type CommitMetadata } from '../../../../src/pipeline/metadata.ts'
import type { RedisServerFacts } from '../../../../src/redis/inspect.ts'
import { judge } from '../../../../src/service/doctor/doctor.ts'
import {
  offsetsTopic,
  topicNames,
  transactionsTopic,
  type Facts,
} from '../../../../src/service/doctor/facts.ts'
import type { CheckId, Report } from '../../../../src/service/doctor/table.ts'
import { load, topology } from '../../topology/written.ts'

/** The facts of a cluster as it should be, and changes to it. */
export const plan = load(topology())
export const names = [...topicNames(plan), offsetsTopic, transactionsTopic]
export const everything = new Set(['Read', 'Write', 'Describe', 'DescribeConfigs'])

export function topicOf(topic: string, change: Partial<DescribedTopic> = {}): DescribedTopic {
  const partitions = [{ partition: 0, leader: 1, replicas: 3, inSync: 3 }]
  return { errorCode: 0, topic, partitions, operations: everything, ...change }
}

export function settingsOf(topic: string, change: Record<string, string> = {}): ReadonlyMap<string, string> {
  return new Map(
    Object.entries({
      'cleanup.policy': 'delete',
      'retention.ms': '-1',
      'retention.bytes': '-1',
      'min.insync.replicas': '2',
      'unclean.leader.election.enable': 'false',
      'message.timestamp.after.max.ms': '3600000',
      'max.message.bytes': topic.startsWith('dlq.') ? '1100000' : '1048588',
      ...change,
    }),
  )
}

export const brokerSettings = {
  'transaction.max.timeout.ms': '900000',
  'group.min.session.timeout.ms': '6000',
  'group.max.session.timeout.ms': '1800000',
  'offsets.retention.minutes': '10080',
  'offset.metadata.max.bytes': '4096',
}

export const server: RedisServerFacts = {
  address: '10.0.0.1:6379',
  version: '7.0.15',
  mode: 'standalone',
  role: 'master',
  evictionPolicy: 'noeviction',
  usedBytes: 1_000_000,
  maxBytes: 0,
  persistence: 'append-only file',
  replicas: 0,
  skewMs: 3,
  skewErrorMs: 1,
  scriptRefused: null,
}

/** A cluster as it should be. */
export function facts(change: Partial<Facts> = {}): Facts {
  const sources = plan.sources.map(({ topic }) => topic)
  return {
    plan,
    nowMs: 0,
    brokers: { value: [1, 2, 3].map((nodeId) => ({ nodeId, address: `b${nodeId}:9092`, release: '4.2' })) },
    brokerSettings: { value: [new Map(Object.entries(brokerSettings))] },
    topics: { value: new Map(names.map((name) => [name, topicOf(name)])) },
    hidden: new Set(),
    topicSettings: { value: new Map(names.map((name) => [name, settingsOf(name)])) },
    clusterId: { value: 'cluster' },
    lives: { value: new Map(sources.map((name) => [name, { id: 'id1', partitions: 1 }])) },
    group: { value: { errorCode: 0, state: 'Empty', members: [], operations: everything } },
    positions: { value: new Map(sources.map((name) => [name, new Map()])) },
    ranges: { value: new Map(sources.map((name) => [name, new Map([[0, { start: 0, end: 100 }]])])) },
    heldBack: { value: [] },
    samples: { value: [] },
    mayDescribeTransactions: { value: true },
    hasAuthorizer: { value: false },
    redis: { value: { masters: [server] } },
    watermarks: { value: [new Map()] },
    model: { value: 'm/1' },
    subjectsMissing: { value: null },
    ...change,
  }
}

export function find(id: CheckId, change: Partial<Facts>): Report {
  return judge(facts(change)).find((one) => one.id === id)!
}

export const withTopic = (name: string, change: Partial<DescribedTopic>): Partial<Facts> => ({
  topics: { value: new Map(names.map((one) => [one, topicOf(one, one === name ? change : {})])) },
})
export const withSettings = (name: string, change: Record<string, string>): Partial<Facts> => ({
  topicSettings: { value: new Map(names.map((one) => [one, settingsOf(one, one === name ? change : {})])) },
})
export const withBroker = (change: Record<string, string>): Partial<Facts> => ({
  brokerSettings: { value: [new Map(Object.entries({ ...brokerSettings, ...change }))] },
})
export const withRedis = (change: Partial<RedisServerFacts>): Partial<Facts> => ({
  redis: { value: { masters: [server, { ...server, address: '10.0.0.2:6379', ...change }] } },
})
export const metadata: CommitMetadata = {
  incarnation: 'aaaa.id1',
  stateHash: plan.stateHash,
  clusterId: 'cluster',
  offset: 50,
  last: null,
  maxTime: 1_000,
  start: 0,
  base: 0,
  anchors: [],
  quarantine: [],
  gapUntil: null,
  partitions: { first: 1, accepted: 1 },
}

export function positioned(change: Partial<CommitMetadata>, offset = 50, more: Partial<Facts> = {}): Report {
  const committed = { offset, metadata: encodeMetadata({ ...metadata, ...change }) }
  const positions = new Map([
    ['in', new Map([[0, committed]])],
    ['labels', new Map()],
  ])
  return find('group.positions', { positions: { value: positions }, ...more })
}

export function stored(offset: number): Partial<Facts> {
  const text = JSON.stringify([1, 'aaaa.id1', 'bbbb', offset, 1_000, 0, 0, null])
  return { watermarks: { value: [new Map([['in:0', text]])] } }
}
