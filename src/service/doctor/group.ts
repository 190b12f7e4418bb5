import { MillraceError } from '../../errors.ts'
import type { SourcePlan } from '../../decode/plan.ts'
import type { Watermarks } from '../../features/store.ts'
import type { CommittedOffset } from '../../kafka/inspect.ts'
import { clientIdBase } from '../../kafka/plan.ts'
import type { Operations } from '../../kafka/inspect-codec.ts'
import { parseMetadata } from '../../pipeline/metadata.ts'
import { visibleSpanMs } from '../../pipeline/partition-context.ts'
import { leastKnown, slowestReader } from '../../pipeline/peers.ts'
import { keysMustStay, mergedLayouts } from '../../pipeline/takeover-facts.ts'
import { planTakeover } from '../../pipeline/takeover-plan.ts'
import type { TakeoverFacts, TakeoverPolicy } from '../../pipeline/takeover-types.ts'
import { parseWatermark } from '../../pipeline/watermark.ts'
import { newIdentity, offsetsTopic, topicNames, type Facts } from './facts.ts'
import { hiddenTopic, known, type Judge } from './kafka.ts'
import { replayTopicOf } from '../dead-letters/dead-letter.ts'
import { fail, ok, unknown, warn, worst, type CheckId, type Finding } from './table.ts'

export const groupJudges = {
  'group.state': ({ plan, group, hidden }) => {
    const found = known(group)
    const name = plan.kafka.group
    if (found === null && hidden.has(offsetsTopic)) return hiddenTopic(offsetsTopic)
    if (found === null || found.state === '' || found.state === 'Dead')
      return ok(`group ${name} does not exist yet`)
    const count = `${found.members.length} member${found.members.length === 1 ? '' : 's'}`
    // Named processes, and those of `--processes`, are `base@name`.
    const base = clientIdBase(plan.kafka)
    const others = found.members.filter(
      ({ clientId }) => clientId !== base && !clientId.startsWith(`${base}@`),
    )
    if (others.length > 0) {
      return warn(
        `${count}, and not all call themselves ${base}: ${others.map(({ clientId, host }) => `${clientId} at ${host}`).join(', ')}`,
        `Give other programs another group; with them ${name} does not serve all partitions.`,
      )
    }
    if (/Rebalance/.test(found.state)) {
      return warn(
        `${count}, ${found.state}`,
        'Look again in a minute; if it stays so, a member joins and leaves all the time.',
      )
    }
    return ok(`${found.state}, ${count}`)
  },

  'group.positions': (facts) => {
    if (known(facts.group) === null && facts.hidden.has(offsetsTopic)) return hiddenTopic(offsetsTopic)
    const findings = facts.plan.sources.flatMap((source) => judgeSource(facts, source))
    const begun = [...known(facts.positions).values()].reduce((sum, one) => sum + one.size, 0)
    return worst(
      findings,
      begun === 0 ? 'nothing is committed yet' : `${begun} partitions would go on where they were`,
    )
  },

  'rights.topics': (facts) => {
    if (known(facts.hasAuthorizer) === false) return ok('no authorizer: everybody may do everything')
    const sources = new Set(facts.plan.sources.map(({ topic }) => topic))
    const names = topicNames(facts.plan).filter((topic) => topic !== replayTopicOf(facts.plan))
    return worst(
      names.map((topic) => {
        const wanted = [sources.has(topic) ? 'Read' : 'Write', 'Describe', 'DescribeConfigs']
        if (facts.hidden.has(topic)) return lacks(new Set(), wanted, `--topic ${topic}`, topic)
        const described = known(facts.topics).get(topic)
        if (described === undefined) return unknown(`${topic} does not exist`)
        return lacks(described.operations, wanted, `--topic ${topic}`, topic)
      }),
      'all that is needed',
    )
  },

  'rights.group': (facts) => {
    if (known(facts.hasAuthorizer) === false) return ok('no authorizer: everybody may do everything')
    const { group } = facts.plan.kafka
    if ('error' in facts.group && facts.group.error.code === 'KAFKA_UNAUTHORISED') {
      return lacks(new Set(), groupWanted, `--group ${group}`, group)
    }
    const found = known(facts.group)
    if (found === null) {
      if (facts.hidden.has(offsetsTopic)) return hiddenTopic(offsetsTopic)
      return unknown(`nobody ever joined a group on this cluster`)
    }
    return lacks(found.operations, groupWanted, `--group ${group}`, group)
  },

  'rights.transactions': (facts) => {
    if (known(facts.hasAuthorizer) === false) return ok('no authorizer: everybody may do everything')
    const { name, kafka } = facts.plan
    const prefix = `${name}|${kafka.group}|`
    const grant = `kafka-acls.sh --bootstrap-server … --add --allow-principal User:… --operation Write --operation Describe --transactional-id '${prefix}' --resource-pattern-type prefixed`
    if (!known(facts.mayDescribeTransactions))
      return fail(`ids with prefix ${prefix} may not even be described`, grant)
    return unknown(
      `ids with prefix ${prefix} may be described; whether they may be written shows only with a transaction`,
      `If \`run\` ends with KAFKA_UNAUTHORISED: ${grant}`,
    )
  },
} satisfies Partial<Record<CheckId, Judge>>

const groupWanted = ['Read', 'Describe'] as const

function lacks(operations: Operations, wanted: readonly string[], resource: string, name: string): Finding {
  if (operations === null) return unknown(`${name}: the broker does not say`)
  const missing = wanted.filter((operation) => !operations.has(operation))
  if (missing.length === 0) return ok(name)
  const flags = missing.map((operation) => `--operation ${operation}`).join(' ')
  return fail(
    `${name}: not ${missing.join(', ')}`,
    `kafka-acls.sh --bootstrap-server … --add --allow-principal User:… ${flags} ${resource}`,
  )
}

/** What a start would make of each partition, decided by the code that does it. */
function judgeSource(facts: Facts, source: SourcePlan): readonly Finding[] {
  const life = known(facts.lives).get(source.topic)
  const ranges = known(facts.ranges).get(source.topic)
  if (life === undefined || ranges === undefined) return []
  return [...ranges.keys()].map((partition) =>
    judgePartition(takeoverFacts(facts, source, partition), facts, source),
  )
}

function judgePartition(takeover: TakeoverFacts, facts: Facts, source: SourcePlan): Finding {
  const { name } = takeover
  try {
    const plan = planTakeover(takeover, policyOf(facts, source))
    switch (plan.kind) {
      case 'again':
        return fail(
          `${name}: ${plan.reason}: Kafka lost a commit, or a process is about to finish one`,
          'If it stays so while no process runs: see COMMIT_LOST in docs/errors.md.',
        )
      case 'pin':
        if (takeover.committed === null) return ok(plan.reason)
        return warn(
          `${name}: ${plan.reason}`,
          'If that is not what you want, put the offset back (kafka-consumer-groups.sh --reset-offsets) before you start, or set store.onForeignOffset: refuse.',
        )
      case 'serve': {
        const records = plan.metadata.offset - plan.replayFrom.offset
        if (!plan.rebuilds) return ok(name)
        return warn(
          `${name}: Redis has no windows for this definition; a start reads ${records} records again, from offset ${plan.replayFrom.offset} on`,
          'Nothing to do: predictions wait for it. Do not lower the retention meanwhile.',
        )
      }
    }
  } catch (error) {
    if (!(error instanceof MillraceError)) throw error
    if (error.code === 'OFFSET_BELOW_LOG' && isAllRead(takeover))
      return warn(
        `${error.message}. Whether a start stops at it is not known here: it goes by the times of the records that are left`,
        error.remedy,
      )
    return fail(`${error.code}: ${error.message}`, error.remedy)
  }
}

/** What was deleted had been read. */
function isAllRead({ committed, log }: TakeoverFacts): boolean {
  return committed !== null && committed.offset >= log.start
}

function takeoverFacts(facts: Facts, source: SourcePlan, partition: number): TakeoverFacts {
  const { topic } = source
  const name = `${topic}:${partition}`
  const positions: ReadonlyMap<number, CommittedOffset> = known(facts.positions).get(topic) ?? new Map()
  const buckets = known(facts.watermarks)
  const siblings = [...positions].flatMap(([other, { metadata }]) => {
    const parsed = other === partition ? null : parseMetadata(metadata)
    return parsed === null ? [] : [parsed]
  })
  const remembered = buckets.flatMap((bucket) =>
    [...bucket].flatMap(([input, text]) => {
      const watermark = input.startsWith(`${topic}:`) ? parseWatermark(text) : null
      return watermark === null ? [] : [watermark.incarnation]
    }),
  )
  const storesMerged = mergedLayouts(facts.plan, source).length > 0
  return {
    name,
    partition,
    topic: known(facts.lives).get(topic) ?? { id: null, partitions: 0 },
    siblings,
    remembered,
    committed: positions.get(partition) ?? null,
    log: known(facts.ranges).get(topic)?.get(partition) ?? { start: 0, end: 0 },
    watermarks: buckets.map((bucket) => bucket.get(name) ?? null),
    slowestReaderTime: storesMerged ? readerTime(facts, buckets) : Infinity,
    oldestTimestamp: null,
    trimmedFor: null,
    nowMs: facts.nowMs,
    clusterId: known(facts.clusterId),
    foreignLog: null,
    acknowledged: null,
  }
}

/** As `readFacts` has it: what a rebuild of merged windows has to reach back to. */
function readerTime(facts: Facts, buckets: readonly Watermarks[]): number | null {
  const counts = new Map([...known(facts.lives)].map(([topic, { partitions }]) => [topic, partitions]))
  return slowestReader(facts.plan, counts, leastKnown(buckets), facts.nowMs)
}

function policyOf({ plan }: Facts, source: SourcePlan): TakeoverPolicy {
  const { store, stateHash } = plan
  return {
    start: typeof source.start === 'string' ? source.start : { offset: 0 },
    stateHash,
    onForeignOffset: store.onForeignOffset,
    onLogGone: store.onLogGone,
    onPartitionsAdded: store.onPartitionsAdded,
    keysMustStay: keysMustStay(plan, source),
    outageMaxMs: store.outageMaxMs,
    visibleSpanMs: visibleSpanMs(plan),
    futureMaxMs: source.limits.futureMaxMs,
    newIdentity,
  }
}
