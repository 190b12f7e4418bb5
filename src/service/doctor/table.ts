/** What `millrace doctor` looks at: the one list, also of docs/guarantees.md. */
export const checks = [
  {
    id: 'kafka.reachable',
    needed: 'A broker answers and takes the credentials.',
    why: 'Nothing works without.',
  },
  {
    id: 'kafka.version',
    needed: 'Not Kafka 4.3.x; developed and tested on 4.2.0.',
    why: '4.3.1 can lose commits that it acknowledged (KAFKA-20734): records come a second time.',
  },
  {
    id: 'kafka.transaction-timeout',
    needed: '`kafka.transactionTimeout` ≤ `transaction.max.timeout.ms` of the brokers.',
    why: 'Brokers refuse a longer one, so no partition could be claimed.',
  },
  {
    id: 'kafka.session-timeout',
    needed: '`group.min.session.timeout.ms` ≤ `kafka.sessionTimeout` ≤ `group.max.session.timeout.ms`.',
    why: 'Brokers refuse other ones, so no process could join the group.',
  },
  {
    id: 'kafka.internal-topics',
    needed:
      '`__consumer_offsets` and `__transaction_state`: 3 replicas, `min.insync.replicas` 2, all in sync, no unclean leader election.',
    why: 'They hold what was committed. Losing a broker must not lose that.',
  },
  {
    id: 'kafka.offsets-retention',
    needed: '`offsets.retention.minutes` ≥ `store.outageMax`.',
    why: 'After that long without members the offsets of a group are deleted, and the service refuses to guess (OFFSET_LOST).',
  },
  {
    id: 'kafka.metadata-max',
    needed: '`offset.metadata.max.bytes` ≥ 3072 (default 4096).',
    why: 'Each commit carries up to 3 KB of metadata; a broker that takes less refuses it.',
  },
  {
    id: 'topics.exist',
    needed: 'Sources, outputs and dead-letter topics exist.',
    why: '`run` creates nothing and stops when one is missing.',
  },
  {
    id: 'topics.partitions',
    needed: 'Outputs have as many partitions as the scored source.',
    why: 'Then an output stays in its input’s partition, in its order. Else the key decides.',
  },
  {
    id: 'topics.durability',
    needed: 'All topics: 3 replicas, `min.insync.replicas` 2, all in sync.',
    why: 'What was acknowledged must survive the loss of a broker: outputs, and the log that windows are rebuilt from.',
  },
  {
    id: 'topics.unclean-election',
    needed: '`unclean.leader.election.enable=false`.',
    why: 'A replica that is behind would become leader and acknowledged records would be gone.',
  },
  {
    id: 'topics.compaction',
    needed: 'Sources: `cleanup.policy=delete`.',
    why: 'A compacted log cannot be replayed, so windows could not be rebuilt. Refused at start.',
  },
  {
    id: 'topics.retention',
    needed:
      'Sources: `retention.ms` ≥ longest window with its delay + lateness + `store.outageMax`; no `retention.bytes`.',
    why: 'Windows are rebuilt from the log when Redis lost them.',
  },
  {
    id: 'topics.dead-letter-size',
    needed: 'Dead-letter topics: `max.message.bytes` ≥ that of the source + 4 KB.',
    why: 'A dead letter is its record and headers. Of one that does not fit only a stub is written.',
  },
  {
    id: 'topics.replays',
    needed: 'The topic of `millrace dlq replay` exists and deletes nothing.',
    why: 'It remembers which dead letters were replayed. `run` does without it.',
  },
  {
    id: 'topics.open-transactions',
    needed: 'No producer keeps a transaction on a source open for long.',
    why: 'Nothing behind its first record can be read before it ends, and no metric of the producer says so.',
  },
  {
    id: 'records.decode',
    needed:
      'Sampled records of the sources decode, fit their schema, and have the key that the topology names.',
    why: 'Others become dead letters; at more than `limits.deadLetterShareMax` the service stops.',
  },
  {
    id: 'records.time',
    needed: 'Event times are in the unit that the topology says.',
    why: 'Seconds that are read as milliseconds make a window of an hour one of 41 days.',
  },
  {
    id: 'records.order',
    needed: 'Sampled events are out of order by no more than `outOfOrder` and `allowedLateness`.',
    why: 'These decide which events are late, and how long merged windows keep what such events still see.',
  },
  {
    id: 'records.label-age',
    needed: 'Features that read another source have a `delay` that its records need to arrive.',
    why: 'With a shorter one, training knows what serving cannot know yet.',
  },
  {
    id: 'group.state',
    needed: 'The group has no members but processes of this service.',
    why: 'Other members take partitions and do not serve them.',
  },
  {
    id: 'group.positions',
    needed: 'A start finds each committed position its own, inside the log, and Redis not ahead of it.',
    why: 'Else the service begins a new incarnation, rebuilds, or refuses, as `store.on…` says.',
  },
  {
    id: 'rights.topics',
    needed: 'Read on sources, Write on outputs and dead-letter topics; Describe and DescribeConfigs on all.',
    why: 'Without, the service ends with KAFKA_UNAUTHORISED.',
  },
  {
    id: 'rights.group',
    needed: 'Read and Describe on the group.',
    why: 'Without, no process can join, nor commit.',
  },
  {
    id: 'rights.transactions',
    needed: 'Write and Describe on transactional ids with prefix `NAME|GROUP|`.',
    why: 'Without, no partition can be claimed.',
  },
  {
    id: 'redis.reachable',
    needed: 'Redis answers and takes the credentials.',
    why: 'Partitions wait until it does.',
  },
  {
    id: 'redis.mode',
    needed: '`store.redis` says what the server is: one server, Sentinel, or Cluster; all are masters.',
    why: 'Keys are spread differently. Refused at start.',
  },
  {
    id: 'redis.version',
    needed: 'Redis 6.2 or newer; tested on 7.0.',
    why: 'Older ones were not tried.',
  },
  {
    id: 'redis.eviction',
    needed: '`maxmemory-policy noeviction`.',
    why: 'An evicted window would read as an empty one. Refused at start; while it runs the service is not ready.',
  },
  {
    id: 'redis.memory',
    needed: 'A fifth of `maxmemory` is free.',
    why: 'A full Redis refuses writes, and partitions pause.',
  },
  {
    id: 'redis.persistence',
    needed: 'Optional: append-only file or snapshots.',
    why: 'Not needed for correctness. Without, a restart of Redis costs a rebuild of all windows from the log.',
  },
  {
    id: 'redis.scripts',
    needed: '`EVAL` with `HGETALL` is allowed. (Which writes are, shows only when they are made.)',
    why: 'All state is read and written by scripts.',
  },
  {
    id: 'clock.skew',
    needed: 'Clocks of this machine and of Redis within 2 s. (Brokers do not tell theirs.)',
    why: 'Processes compare wall times of each other: how old the news of a partition is, and how long an outage was.',
  },
  {
    id: 'model.files',
    needed:
      'The model loads, fits the topology, scores its golden rows, and scores a row alike alone and beside others.',
    why: 'Refused at start (`millrace validate` tells before).',
  },
  {
    id: 'registry.reachable',
    needed: 'The schema registry answers and knows the subjects.',
    why: 'Records whose schema is not known wait for it.',
  },
] as const satisfies readonly { readonly id: string; readonly needed: string; readonly why: string }[]

export type CheckId = (typeof checks)[number]['id']

export type CheckStatus = 'ok' | 'warn' | 'fail' | 'unknown'

/** What a check found. */
export interface Finding {
  readonly status: CheckStatus
  readonly found: string
  /** Command or setting that mends it; null when nothing is to be done. */
  readonly fix: string | null
}

export interface Report extends Finding {
  readonly id: CheckId
  readonly why: string
}

export function ok(found: string): Finding {
  return { status: 'ok', found, fix: null }
}

export function warn(found: string, fix: string): Finding {
  return { status: 'warn', found, fix }
}

export function fail(found: string, fix: string): Finding {
  return { status: 'fail', found, fix }
}

export function unknown(found: string, fix: string | null = null): Finding {
  return { status: 'unknown', found, fix }
}

const severity: Readonly<Record<CheckStatus, number>> = { ok: 0, unknown: 1, warn: 2, fail: 3 }
/** Of many things that are wrong in the same way, so many are told. */
const toldMax = 8

/** The worst of several findings, with what was found of that kind; `fine` when all are ok. */
export function worst(findings: readonly Finding[], fine: string): Finding {
  const status = findings.reduce<CheckStatus>(
    (most, one) => (severity[one.status] > severity[most] ? one.status : most),
    'ok',
  )
  if (status === 'ok') return ok(fine)
  const some = findings.filter((one) => one.status === status)
  const told = some.slice(0, toldMax).map(({ found }) => found)
  if (some.length > toldMax) told.push(`… ${some.length - toldMax} more`)
  const fixes = [...new Set(some.flatMap(({ fix }) => (fix === null ? [] : [fix])))]
  return {
    status,
    found: told.join('; '),
    fix: fixes.length === 0 ? null : fixes.slice(0, toldMax).join('\n'),
  }
}
