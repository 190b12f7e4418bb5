import { metadataMaxBytes } from '../../pipeline/metadata.ts'
import { visibleSpanMs } from '../../pipeline/partition-context.ts'
import type { Settings } from '../../kafka/inspect.ts'
import type { DescribedTopic } from '../../kafka/inspect-codec.ts'
import { deadLetterTopic } from '../../sink/sink.ts'
import { replayTopicOf } from '../dead-letters/dead-letter.ts'
import { offsetsTopic, topicNames, transactionsTopic, type Fact, type Facts } from './facts.ts'
import { fail, ok, unknown, warn, worst, type CheckId, type Finding } from './table.ts'
import { deadLetterHeaderBytesMax } from '../topics.ts'

export type Judge = (facts: Facts) => Finding

/** Thrown by `known`; the runner makes an `unknown` of it. */
export class NotKnown extends Error {
  readonly reason: Error & { readonly code: string }
  constructor(reason: Error & { readonly code: string }) {
    super(reason.message)
    this.reason = reason
  }
}

export function known<T>(fact: Fact<T>): T {
  if ('error' in fact) throw new NotKnown(fact.error)
  return fact.value
}

const replicasWanted = 3
const inSyncWanted = 2
const minuteMs = 60_000

export const kafkaJudges = {
  'kafka.reachable': ({ brokers }) => {
    const found = known(brokers)
    return ok(
      `${found.length} broker${found.length === 1 ? '' : 's'}: ${found.map(({ address }) => address).join(', ')}`,
    )
  },

  'kafka.version': ({ brokers }) => {
    const found = known(brokers)
    const releases = [...new Set(found.map(({ release }) => release ?? 'unknown'))].join(', ')
    if (found.some(({ release }) => release === '4.3')) {
      return warn(
        `the brokers are ${releases}`,
        'Run 4.2.x, or a release in which KAFKA-20734 is mended; until then avoid moments without a leader: 3 replicas, controlled shutdown.',
      )
    }
    if (found.some(({ release }) => release === null || release.startsWith('newer'))) {
      return unknown(`the brokers are ${releases}; millrace was not tested on these`)
    }
    return ok(`the brokers are ${releases}`)
  },

  'kafka.transaction-timeout': ({ plan, brokerSettings }) => {
    const max = smallest(brokerSettings, 'transaction.max.timeout.ms')
    const wanted = plan.kafka.transactionTimeoutMs
    const found = `kafka.transactionTimeout ${wanted} ms, brokers take up to ${max} ms`
    if (wanted <= max) return ok(found)
    return fail(
      found,
      `Set kafka.transactionTimeout to ${max}ms or less, or raise transaction.max.timeout.ms of the brokers.`,
    )
  },

  'kafka.session-timeout': ({ plan, brokerSettings }) => {
    const [min, max] = [
      largest(brokerSettings, 'group.min.session.timeout.ms'),
      smallest(brokerSettings, 'group.max.session.timeout.ms'),
    ]
    const wanted = plan.kafka.sessionTimeoutMs
    const found = `kafka.sessionTimeout ${wanted} ms, brokers take ${min} to ${max} ms`
    if (wanted >= min && wanted <= max) return ok(found)
    return fail(found, `Set kafka.sessionTimeout between ${min}ms and ${max}ms.`)
  },

  'kafka.internal-topics': (facts) => {
    const names = [offsetsTopic, transactionsTopic]
    return worst(
      names.map((name) => durability(facts, name, true)),
      'both have enough replicas, in sync',
    )
  },

  'kafka.offsets-retention': ({ plan, brokerSettings }) => {
    const minutes = smallest(brokerSettings, 'offsets.retention.minutes')
    const wanted = Math.ceil(plan.store.outageMaxMs / minuteMs)
    const found = `offsets are kept ${minutes} minutes without members, store.outageMax is ${wanted} minutes`
    if (minutes >= wanted) return ok(found)
    return warn(found, `Set offsets.retention.minutes=${wanted} (or more) on all brokers.`)
  },

  'kafka.metadata-max': ({ brokerSettings }) => {
    const bytes = smallest(brokerSettings, 'offset.metadata.max.bytes')
    if (bytes >= metadataMaxBytes) return ok(`brokers take ${bytes} bytes`)
    return fail(
      `brokers take ${bytes} bytes, ${metadataMaxBytes} are needed`,
      'Set offset.metadata.max.bytes=4096 on all brokers.',
    )
  },

  'topics.exist': (facts) => {
    const { plan, topics, hidden } = facts
    return worst(
      neededTopics(plan).map((topic) => {
        if (known(topics).has(topic)) return ok(topic)
        if (hidden.has(topic)) return hiddenTopic(topic)
        return fail(`${topic} is missing`, creation(facts, topic))
      }),
      `all ${neededTopics(plan).length} are there`,
    )
  },

  'topics.partitions': ({ plan, topics }) => {
    const count = (topic: string): number | undefined => known(topics).get(topic)?.partitions.length
    const scored = plan.sources.find(({ role }) => role === 'score')?.topic ?? ''
    const wanted = count(scored)
    if (wanted === undefined) return unknown(`${scored} does not exist`)
    const { predictions, alerts } = plan.sinks
    const outputs = [predictions.topic, alerts.topic, deadLetterTopic(plan.sinks, scored)]
    const other = outputs.filter((topic) => count(topic) !== undefined && count(topic) !== wanted)
    if (other.length === 0) return ok(`${scored} and its outputs have ${wanted}`)
    return warn(
      `${scored} has ${wanted}, ${other.map((topic) => `${topic} has ${count(topic)}`).join(', ')}`,
      `Create outputs with ${wanted} partitions (kafka-topics.sh --alter --partitions ${wanted} adds some).`,
    )
  },

  'topics.durability': (facts) => {
    const names = topicNames(facts.plan).filter((topic) => known(facts.topics).has(topic))
    return worst(
      names.map((name) => durability(facts, name, false)),
      'all have enough replicas, in sync',
    )
  },

  'topics.unclean-election': (facts) => {
    const names = [...topicNames(facts.plan), offsetsTopic, transactionsTopic]
    return worst(
      names.map((topic) => {
        if (facts.hidden.has(topic)) return hiddenTopic(topic)
        if (setting(facts, topic, 'unclean.leader.election.enable') !== 'true') return ok(topic)
        return fail(`on for ${topic}`, alter(topic, 'unclean.leader.election.enable=false'))
      }),
      'off for all topics',
    )
  },

  'topics.compaction': (facts) =>
    worst(
      sourcesOf(facts).map((topic) => {
        const policy = setting(facts, topic, 'cleanup.policy') ?? 'delete'
        if (!policy.split(',').includes('compact')) return ok(policy)
        return fail(
          `${topic} has cleanup.policy=${policy}`,
          `${alter(topic, 'cleanup.policy=delete')} (what compaction removed stays gone: better read another topic)`,
        )
      }),
      'no source is compacted',
    ),

  'topics.retention': (facts) => {
    const visibleMs = visibleSpanMs(facts.plan)
    const wantedMs = visibleMs + facts.plan.store.outageMaxMs
    return worst(
      sourcesOf(facts).map((topic) => retention(facts, topic, visibleMs, wantedMs)),
      `at least ${days(wantedMs)} days everywhere`,
    )
  },

  'topics.future-times': (facts) =>
    worst(
      sourcesOf(facts).map((topic) => {
        const name = 'message.timestamp.after.max.ms'
        const text = setting(facts, topic, name)
        // Then the broker writes the timestamps.
        const isAppendTime = setting(facts, topic, 'message.timestamp.type') === 'LogAppendTime'
        if (text === undefined || isAppendTime || Number(text) <= aheadMaxMs) return ok(topic)
        return warn(
          `${topic} takes records with timestamps in the future (${name}=${text})`,
          alter(topic, `${name}=${aheadMaxMs}`),
        )
      }),
      'records from the future are refused by the brokers',
    ),

  'topics.dead-letter-size': (facts) =>
    worst(
      sourcesOf(facts).map((topic) => {
        const name = deadLetterTopic(facts.plan.sinks, topic)
        const [source, letters] = [bytesMax(facts, topic), bytesMax(facts, name)]
        if (source === null || letters === null) return ok('missing: see topics.exist')
        const wanted = source + deadLetterHeaderBytesMax
        if (letters >= wanted) return ok(String(letters))
        return warn(
          `${name} takes ${letters} bytes, ${topic} takes ${source}`,
          alter(name, `max.message.bytes=${wanted}`),
        )
      }),
      'dead letters of the largest records fit',
    ),

  'topics.replays': (facts) => {
    const topic = replayTopicOf(facts.plan)
    if (facts.hidden.has(topic)) return hiddenTopic(topic)
    const settings = 'cleanup.policy=delete,retention.ms=-1,retention.bytes=-1'
    if (!known(facts.topics).has(topic)) {
      const flags = settings.split(',').map((one) => `--config ${one}`)
      return warn(
        `${topic} does not exist`,
        `kafka-topics.sh --bootstrap-server … --create --topic ${topic} --partitions 1 ${flags.join(' ')}`,
      )
    }
    const wrong = settings.split(',').filter((one) => {
      const [name = '', value] = one.split('=')
      return setting(facts, topic, name) !== value
    })
    if (wrong.length > 0) return warn(`${topic} may delete records`, alter(topic, wrong.join(',')))
    const starts = [...(known(facts.ranges).get(topic) ?? [])].filter(([, { start }]) => start > 0)
    if (starts.length === 0) return ok(`${topic} keeps everything`)
    return warn(
      `${starts.map(([partition, { start }]) => `${topic}:${partition} begins at offset ${start}`).join(', ')}: it has forgotten what was replayed`,
      'See KAFKA_TOPIC_FORGETS in docs/errors.md.',
    )
  },
} satisfies Partial<Record<CheckId, Judge>>

/** Kafka's default since 4.0. */
const aheadMaxMs = 3_600_000

/** As many partitions as the scored source, and room for dead letters: the broker's defaults are another topic's. */
function creation(facts: Facts, topic: string): string {
  const { plan, topics } = facts
  const scored = plan.sources.find(({ role }) => role === 'score')?.topic ?? ''
  const isSource = plan.sources.some((source) => source.topic === topic)
  const partitions = isSource ? '…' : (known(topics).get(scored)?.partitions.length ?? '…')
  const failed = plan.sources.find((source) => deadLetterTopic(plan.sinks, source.topic) === topic)
  const bytes =
    failed === undefined || !('value' in facts.topicSettings) ? null : bytesMax(facts, failed.topic)
  const size = bytes === null ? '' : ` --config max.message.bytes=${bytes + deadLetterHeaderBytesMax}`
  return `kafka-topics.sh --bootstrap-server … --create --topic ${topic} --partitions ${partitions}${size}`
}

function neededTopics(plan: Facts['plan']): readonly string[] {
  return topicNames(plan).filter((topic) => topic !== replayTopicOf(plan))
}

function sourcesOf({ plan, topics }: Facts): readonly string[] {
  return plan.sources.map(({ topic }) => topic).filter((topic) => known(topics).has(topic))
}

/** Undefined when the topic does not exist. */
function setting({ topicSettings }: Facts, topic: string, name: string): string | undefined {
  return known(topicSettings).get(topic)?.get(name)
}

function bytesMax(facts: Facts, topic: string): number | null {
  const text = setting(facts, topic, 'max.message.bytes')
  return text === undefined ? null : Number(text)
}

function numbers(settings: Fact<readonly Settings[]>, name: string): readonly number[] {
  const found = known(settings).flatMap((one) => (one.has(name) ? [Number(one.get(name))] : []))
  if (found.length === 0) {
    const reason = Object.assign(new Error(`the brokers do not tell ${name}`), { code: 'NOT_TOLD' })
    throw new NotKnown(reason)
  }
  return found
}

export function smallest(settings: Fact<readonly Settings[]>, name: string): number {
  return Math.min(...numbers(settings, name))
}

function largest(settings: Fact<readonly Settings[]>, name: string): number {
  return Math.max(...numbers(settings, name))
}

function alter(topic: string, config: string): string {
  return `kafka-configs.sh --bootstrap-server … --alter --topic ${topic} --add-config ${config}`
}

/** It may be there or not. */
export function hiddenTopic(topic: string): Finding {
  return unknown(
    `${topic} is hidden: grant Describe on ${topic}`,
    `kafka-acls.sh --bootstrap-server … --add --allow-principal User:… --operation Describe --operation DescribeConfigs --topic ${topic}`,
  )
}

function durability(facts: Facts, topic: string, internal: boolean): Finding {
  if (facts.hidden.has(topic)) return hiddenTopic(topic)
  const described = known(facts.topics).get(topic)
  if (described === undefined) return unknown(`${topic} does not exist yet: it is made with its first use`)
  const { partitions } = described
  const leaderless = partitions.filter(({ leader }) => leader < 0).map(({ partition }) => partition)
  if (leaderless.length > 0) {
    return fail(
      `${topic}: no leader for ${partitionsText(leaderless)}: they are neither read nor written`,
      'Start the brokers that hold them (kafka-topics.sh --describe --unavailable-partitions).',
    )
  }
  const replicas = Math.min(...partitions.map((one) => one.replicas))
  const behind = outOfSync(described)
  const inSync = Number(setting(facts, topic, 'min.insync.replicas') ?? 1)
  const short = partitions.filter((one) => one.inSync < inSync).map(({ partition }) => partition)
  if (short.length > 0) {
    return fail(
      `${topic}: fewer replicas in sync than min.insync.replicas=${inSync} in ${partitionsText(short)}: they refuse writes`,
      replicas < inSync
        ? `kafka-reassign-partitions.sh with 3 replicas for ${topic}, or ${alter(topic, `min.insync.replicas=${replicas}`)}`
        : 'Start the brokers that are down (kafka-topics.sh --describe --under-min-isr-partitions).',
    )
  }
  if (replicas < replicasWanted) {
    const brokers = 'value' in facts.brokers ? facts.brokers.value.length : 0
    const setup = internal
      ? 'offsets.topic.replication.factor=3 and transaction.state.log.replication.factor=3 before the first use; later kafka-reassign-partitions.sh'
      : `kafka-reassign-partitions.sh with 3 replicas for ${topic}`
    const few = brokers < replicasWanted ? ` (the cluster has ${brokers}: run three brokers first)` : ''
    return warn(`${topic} has ${replicas} replica${replicas === 1 ? '' : 's'}`, `${setup}${few}`)
  }
  if (inSync < inSyncWanted) {
    return warn(`${topic} has min.insync.replicas=${inSync}`, alter(topic, 'min.insync.replicas=2'))
  }
  if (behind > 0) {
    return warn(
      `${topic}: ${behind} partitions have replicas that are behind`,
      'Look at the brokers that are down or slow.',
    )
  }
  return ok(topic)
}

const partitionsToldMax = 8

function partitionsText(partitions: readonly number[]): string {
  const told = partitions.slice(0, partitionsToldMax).join(', ')
  const more = partitions.length - partitionsToldMax
  return `partition ${told}${more > 0 ? ` and ${more} more` : ''}`
}

function outOfSync({ partitions }: DescribedTopic): number {
  return partitions.filter(({ replicas, inSync }) => inSync < replicas).length
}

function retention(facts: Facts, topic: string, visibleMs: number, wantedMs: number): Finding {
  const keptMs = Number(setting(facts, topic, 'retention.ms') ?? -1)
  const keptBytes = Number(setting(facts, topic, 'retention.bytes') ?? -1)
  const fix = alter(topic, `retention.ms=${wantedMs}`)
  if (keptMs >= 0 && keptMs < visibleMs) {
    return fail(
      `${topic} keeps ${days(keptMs)} days, its windows see ${days(visibleMs)} days: a lost Redis could not be rebuilt`,
      fix,
    )
  }
  if (keptMs >= 0 && keptMs < wantedMs) {
    return warn(
      `${topic} keeps ${days(keptMs)} days; windows, lateness and store.outageMax together are ${days(wantedMs)} days`,
      fix,
    )
  }
  if (keptBytes >= 0) {
    return warn(
      `${topic} has retention.bytes=${keptBytes}: it may delete records sooner than retention.ms says`,
      alter(topic, 'retention.bytes=-1'),
    )
  }
  return ok(topic)
}

function days(ms: number): string {
  return (ms / 86_400_000).toFixed(1).replace(/\.0$/, '')
}
