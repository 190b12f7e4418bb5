/** One fault of exactly-once.md, "Faults the suite must inject". */
export interface Fault {
  readonly id: string
  readonly kind: string
  readonly fault: string
  /** Tests that show it, besides the scenarios that name its id: `file: name of the test` (or its beginning). */
  readonly tests?: readonly string[]
}

const service = 'test/integration/service'

export const faults: readonly Fault[] = [
  ...kind('crash', {
    'crash-anywhere': 'at a random moment',
    'crash-claim': 'after the claim',
    'crash-position': 'after reading c',
    'crash-replay': 'in re-apply',
    'crash-load': 'after the load',
    'crash-scoring': 'while scoring',
    'crash-send': 'after the first send',
    'crash-offsets': 'after the offsets were sent',
    'crash-before-commit': 'before EndTxn reaches the broker',
    'crash-commit': 'EndTxn sent, before its reply',
    'crash-before-flush': 'after the reply, before the flush',
    'crash-between-buckets': 'between the flushes of two buckets',
    'crash-in-script': 'inside a script',
    'crash-revoke': 'in revoke, and in drain',
  }),
  ...kind('zombie', {
    'zombie-send': 'SIGSTOP before the send',
    'zombie-commit': 'SIGSTOP before the commit',
    'zombie-flush': 'SIGSTOP after the commit, before the flush',
    'zombie-late-claim': 'a zombie that claims late',
    'zombie-late-flush': "a flush that lands after the new owner's",
  }),
  ...kind('network', {
    'late-produce': 'Produce after an abort or a re-claim',
    'late-offsets': 'TxnOffsetCommit after an abort or a re-claim',
    'late-end': 'EndTxn after a re-claim',
    'lost-reply': 'the reply is lost, the request was done',
    reset: 'connections reset',
    'black-hole': 'black hole',
    'half-open': 'half-open connections',
    slow: 'slow connections',
    'leader-move': 'leader move during a send',
    'transaction-timeout': 'transaction timeout of a sole owner',
  }),
  ...kind('rebalance', {
    'rebalance-slice': 'in the middle of a slice',
    'rebalance-replay': 'in the middle of re-apply',
    'rebalance-twice': 'twice in a row',
    'rebalance-storm': 'a storm of them',
    'rebalance-idle': "an idle partition with a dead owner's open transaction",
  }),
  ...kind('broker', {
    'broker-one': 'kill -9 and clean bounce of the only broker',
    'broker-stall': 'the broker stands still',
    'broker-leader': 'kill -9 and clean bounce of a leader (3 brokers)',
    'broker-coordinator': 'kill -9 and clean bounce of group and transaction coordinators (3 brokers)',
  }),
  ...kind('redis', {
    'redis-kill': 'kill -9',
    'redis-stall': 'SIGSTOP',
    'redis-flushall': 'FLUSHALL',
    'redis-old': 'old snapshot',
    'redis-failover': 'Sentinel failover that loses acknowledged writes',
    'redis-oom': 'out of memory',
    'redis-torn': 'a script that stops half-way',
    'redis-w-lost': 'W lost alone',
    'redis-slots': 'Cluster: slots move',
    'redis-cluster-failover': 'Cluster: a master fails over and loses acknowledged writes',
    'redis-between': 'lost between commit and flush',
    'redis-takeover': 'lost during a takeover',
  }),
  ...kind('log', {
    'log-reset': [
      'offset reset by an operator',
      `${service}/group-offsets.test.ts: a reset under a live service is refused by Kafka`,
      `${service}/other-positions.test.ts: an offset moved by another tool is refused, or served from there`,
    ],
    'log-below': [
      'c below log start',
      `${service}/other-positions.test.ts: records deleted before they were read`,
    ],
    'log-beyond': ['c beyond log end', `${service}/group-offsets.test.ts: an offset beyond the log end`],
    'log-seek': [
      'a position below log start under a live owner',
      `${service}/log-positions.test.ts: records deleted under a live owner`,
    ],
    'log-recreated': [
      'topic deleted and recreated under a live owner',
      `${service}/topics.test.ts: a topic that is deleted and created again under a live owner`,
    ],
    'log-expired': [
      'group offsets expired',
      `${service}/group-offsets.test.ts: a group whose offsets are gone`,
    ],
    'log-partitions': [
      'partitions added',
      `${service}/topics.test.ts: added partitions are read from their start`,
    ],
    'log-compacted': [
      'compaction',
      `${service}/refusals.test.ts: a compacted source topic is refused`,
      `${service}/topics.test.ts: a source that becomes compacted`,
    ],
    'log-latest': [
      'first start with `latest` and a crash before the first commit',
      `${service}/log-positions.test.ts: a first start at the end of the log is pinned`,
    ],
  }),
  ...kind('time', {
    'time-late': 'late events around a rebuild start',
    'time-bulk': 'bulk upload after an outage',
    'time-outage': 'an outage longer than the margin',
    'time-labels': 'labels slower than transactions',
  }),
  ...kind('input', {
    'input-avro': ['truncated Avro', `${service}/avro.test.ts: Avro in by any writer schema`],
    'input-schema-id': [
      'unknown schema id, registered later',
      'test/unit/decode/writer-schemas.test.ts: waits while the registry is or says',
    ],
    'input-json': 'bad JSON',
    'input-nan': 'NaN',
    'input-key': 'missing key',
    'input-tombstone': 'tombstone',
    'input-large': '900 kB record (brokers refuse more than 1 MB)',
    'input-times': 'negative and far-future times',
    'input-duplicates': 'duplicate ids',
  }),
  ...kind('model', {
    'model-throws': 'throws on a row',
    'model-nan': 'returns NaN',
    'model-shape': ['wrong shape', 'test/unit/model/refused-models.test.ts: one score for the batch'],
    'model-hangs': ['hangs', `${service}/poison.test.ts: a row that hangs the process becomes a dead letter`],
    'model-worker': [
      'kills the worker',
      `${service}/poison.test.ts: with the model in a process of its own, the service survives`,
      `${service}/poison.test.ts: with the model in a process of its own, a native crash costs its row alone`,
    ],
    'model-process': [
      'kills the process',
      `${service}/poison.test.ts: a row on which the native code of the model crashes becomes a dead letter`,
    ],
  }),
]

/** Texts by id; or the text and tests that show it. */
function kind(
  name: string,
  texts: Readonly<Record<string, string | readonly [string, ...string[]]>>,
): Fault[] {
  return Object.entries(texts).map(([id, text]) => {
    if (typeof text === 'string') return { id, kind: name, fault: text }
    const [fault, ...tests] = text
    return { id, kind: name, fault, tests }
  })
}
