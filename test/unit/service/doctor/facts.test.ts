import { expect, test } from 'vitest'
import type { DescribedTopic } from '../../../../src/kafka/inspect-codec.ts'
import type { KafkaInspector } from '../../../../src/kafka/inspect.ts'
import {
  askKafka,
  gatherFacts,
  offsetsTopic,
  topicNames,
  transactionsTopic,
  type Questions,
} from '../../../../src/service/doctor/facts.ts'
import { quietLog } from '../../../../src/telemetry/log.ts'
import { manualClock } from '../../../../src/time/manual-clock.ts'
import { load, topology } from '../../topology/written.ts'

const plan = load(topology())
const parts = { plan, clock: manualClock(), log: quietLog }
const admin = {
  clusterId: () => Promise.resolve('cluster'),
  topicLives: () => Promise.resolve(new Map()),
}

function topicsOf(names: readonly string[]): ReadonlyMap<string, DescribedTopic> {
  return new Map(names.map((topic) => [topic, { errorCode: 0, topic, partitions: [], operations: null }]))
}

/** A broker with the topics of the topology and a group that has committed 50 everywhere. */
function inspector(change: Partial<KafkaInspector> = {}): KafkaInspector {
  return {
    brokers: () => Promise.resolve([]),
    brokerSettings: () => Promise.resolve(new Map()),
    topics: () => Promise.resolve({ found: topicsOf(topicNames(plan)), hidden: new Set() }),
    topicSettings: () => Promise.resolve(new Map()),
    group: () => Promise.resolve({ errorCode: 0, state: 'Stable', members: [], operations: null }),
    offsets: () => Promise.resolve(new Map([[0, { offset: 50, metadata: '' }]])),
    logRanges: () => Promise.resolve(new Map()),
    heldBack: () => Promise.resolve([]),
    sample: () => Promise.resolve([]),
    mayDescribeTransaction: () => Promise.resolve(true),
    hasAuthorizer: () => Promise.resolve(null),
    close: () => Promise.resolve(),
    ...change,
  }
}

/** What the servers answer, with `change` instead. */
function questions(change: Partial<Questions> = {}): Questions {
  return {
    kafka: () => askKafka(parts, inspector(), admin),
    redis: () => Promise.resolve({ redis: { value: { masters: [] } }, watermarks: { value: [] } }),
    model: () => Promise.resolve('m/1'),
    subjects: () => Promise.resolve(null),
    ...change,
  }
}

const going = new AbortController().signal

test('watermarks are read before positions: a service that commits meanwhile has not lost a commit', async () => {
  const steps: string[] = []
  const redis = async () => {
    await Promise.resolve()
    steps.push('watermarks are read')
    return questions().redis()
  }
  const kafka = () => {
    steps.push('positions are asked for')
    return questions().kafka()
  }
  await gatherFacts(parts, going, questions({ redis, kafka }))
  expect(steps).toEqual(['watermarks are read', 'positions are asked for'])
})

test('a model or a registry that takes too long is called by its own name, not by that of Kafka', async () => {
  const clock = manualClock()
  const forever = () => new Promise<never>(() => undefined)
  const gathering = gatherFacts({ ...parts, clock }, going, questions({ model: forever, subjects: forever }))
  await clock.advance(15_000)
  const { model, subjectsMissing } = await gathering
  expect(model).toMatchObject({ error: { code: 'MODEL_HANG', message: expect.stringContaining('15000 ms') } })
  expect(subjectsMissing).toMatchObject({ error: { code: 'REGISTRY_UNREACHABLE' } })
})

test('an error without a code is that of the server that was asked', async () => {
  const broken = () => Promise.reject(new Error('broken'))
  const facts = await gatherFacts(parts, going, questions({ model: broken, subjects: broken }))
  expect(facts.model).toMatchObject({
    error: { code: 'MODEL_INVALID', message: 'loading the model: broken' },
  })
  expect(facts.subjectsMissing).toMatchObject({ error: { code: 'REGISTRY_UNREACHABLE' } })
})

const never = (): Promise<never> => Promise.reject(new Error('would create the topic'))

test('the group and its offsets are asked for when the topic of offsets is hidden', async () => {
  const hidden = new Set([offsetsTopic, transactionsTopic])
  const topics = () => Promise.resolve({ found: topicsOf(topicNames(plan)), hidden })
  const facts = await askKafka(parts, inspector({ topics }), admin)
  expect(facts.hidden).toEqual(hidden)
  expect(facts.group).toMatchObject({ value: { state: 'Stable' } })
  const committed = new Map([[0, { offset: 50, metadata: '' }]])
  expect(facts.positions).toEqual({ value: new Map(['in', 'labels'].map((topic) => [topic, committed])) })
})

test('where nobody joined a group, nothing is asked that would create the topic of offsets', async () => {
  const facts = await askKafka(parts, inspector({ group: never, offsets: never }), admin)
  expect(facts.group).toEqual({ value: null })
  expect(facts.positions).toEqual({ value: new Map(['in', 'labels'].map((topic) => [topic, new Map()])) })
})

test('a group without a coordinator is not known, nor are its positions', async () => {
  const found = topicsOf([...topicNames(plan), offsetsTopic])
  const topics = () => Promise.resolve({ found, hidden: new Set<string>() })
  const facts = await askKafka(parts, inspector({ topics, group: () => Promise.resolve(null) }), admin)
  expect(facts.group).toMatchObject({ error: { code: 'KAFKA_UNREACHABLE' } })
  expect(facts.positions).toBe(facts.group)
})
