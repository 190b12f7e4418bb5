/**
 * One table for every error this program raises by itself. docs/errors.md is checked against it.
 * `reaction` is what the pipeline does: retry in order, make a dead letter, hand the partition over
 * (drop its memory and take it over again), or stop the process.
 */
export type Reaction = 'retry' | 'deadLetter' | 'handOver' | 'stop'

interface ErrorEntry {
  readonly reaction: Reaction
  /** Exit code when it ends a command: 1 failure, 2 usage, 3 assertion, 4 unreachable, 5 not authorised, 75 temporary. */
  readonly exitCode: 1 | 2 | 3 | 4 | 5 | 75
  readonly meaning: string
  readonly remedy: string
}

export const errorTable = {
  TOPOLOGY_INVALID: {
    reaction: 'stop',
    exitCode: 2,
    meaning: 'The topology file has problems; all are listed with file, line and path.',
    remedy: 'Correct the listed lines and run `millrace validate FILE`.',
  },
  USAGE: {
    reaction: 'stop',
    exitCode: 2,
    meaning: 'The command line is wrong.',
    remedy: 'See `millrace COMMAND --help`.',
  },
  KAFKA_UNREACHABLE: {
    reaction: 'retry',
    exitCode: 4,
    meaning: 'No Kafka broker answers.',
    remedy: 'Check `kafka.brokers` and that the broker runs; locally: `millrace dev up`.',
  },
  KAFKA_UNAUTHORISED: {
    reaction: 'stop',
    exitCode: 5,
    meaning: 'Kafka refuses the credentials or the operation.',
    remedy: 'Check `kafka.sasl` and the ACLs of topics, group and transactional ids.',
  },
  KAFKA_TOPIC_MISSING: {
    reaction: 'stop',
    exitCode: 2,
    meaning: 'A topic the topology names does not exist.',
    remedy: 'Create it, for development with `millrace topics create FILE`.',
  },
  KAFKA_TOPIC_GONE: {
    reaction: 'retry',
    exitCode: 2,
    meaning: 'A source topic disappeared while it was served.',
    remedy:
      'Create it again: what is in it then counts as a new log. Without it the process ends after half a minute (KAFKA_TOPIC_MISSING).',
  },
  KAFKA_TOPIC_UNSETTLED: {
    reaction: 'retry',
    exitCode: 75,
    meaning: 'The brokers do not agree on the id of a source topic: one of them is behind.',
    remedy: 'Nothing to do, if it passes; otherwise look for a broker that is cut off from the controllers.',
  },
  KAFKA_TOPIC_COMPACTED: {
    reaction: 'stop',
    exitCode: 2,
    meaning: 'A source topic is compacted: it cannot be replayed, so state could not be rebuilt.',
    remedy: 'Use a topic with cleanup.policy=delete as source.',
  },
  KAFKA_TOPIC_FORGETS: {
    reaction: 'stop',
    exitCode: 2,
    meaning:
      'The topic that remembers replayed dead letters deletes records, or has deleted some, so a letter could be replayed twice.',
    remedy:
      'Set cleanup.policy=delete, retention.ms=-1 and retention.bytes=-1 on the topic named. If it has deleted records: look at the sources for `millrace.replay.id` to learn what was replayed, delete the topic and create it anew, and replay only what was not (`--from`, `--id`).',
  },
  KAFKA_READ_INCOMPLETE: {
    reaction: 'stop',
    exitCode: 75,
    meaning: 'A command could not read the partitions named to their end in time; it has read all others.',
    remedy:
      'Run the command again: what was replayed is not replayed twice. If it stays so, look for partitions without a leader (kafka-topics.sh --describe --unavailable-partitions), open transactions (kafka-transactions.sh find-hanging) and slow brokers.',
  },
  KAFKA_RECORD_TOO_LARGE: {
    reaction: 'stop',
    exitCode: 1,
    meaning:
      'A topic refuses for its size what cannot be made smaller: the stub of a dead letter, or a record that `dlq replay` writes. Larger outputs become dead letters (OUTPUT), larger dead letters stubs.',
    remedy:
      'Raise max.message.bytes of the topic named (dead-letter topics need the size of the source plus headers).',
  },
  KAFKA_LOG_DAMAGED: {
    reaction: 'stop',
    exitCode: 1,
    meaning:
      'A broker answers, again and again, with bytes in which no record batch begins, so what follows cannot be found.',
    remedy:
      'Look at the disks of the broker (kafka-dump-log.sh shows the segment). A batch whose bounds are known is passed with a dead letter (UNREADABLE); this one has none. To pass it, reset the group to behind it, with `store.onForeignOffset: rebuild`.',
  },
  KAFKA_CONSUMER_CRASHED: {
    reaction: 'stop',
    exitCode: 1,
    meaning: 'The Kafka consumer stopped for good.',
    remedy: 'The process ends with code 1 so that a supervisor restarts it; the cause is in the log.',
  },
  TRANSACTION_FENCED: {
    reaction: 'handOver',
    exitCode: 75,
    meaning: 'Another owner claimed this partition.',
    remedy: 'Nothing to do: the partition is dropped and taken over again only while still assigned.',
  },
  TRANSACTION_NOT_COMMITTED: {
    reaction: 'handOver',
    exitCode: 75,
    meaning: 'A transaction ended in anything but an acknowledged commit.',
    remedy: 'Nothing to do: the producer is dropped, the position read again, the slice redone.',
  },
  OFFSET_FOREIGN: {
    reaction: 'stop',
    exitCode: 1,
    meaning: 'The committed offset was not written by this service, or its log is another one.',
    remedy:
      'If that was intended, set `store.onForeignOffset: rebuild`: it goes on from that offset (of a topic created again: from its start), with windows rebuilt from the log. Otherwise reset the group to where it was.',
  },
  OFFSET_BELOW_LOG: {
    reaction: 'stop',
    exitCode: 1,
    meaning: 'Records after the committed offset were deleted by retention.',
    remedy: 'Set `store.onLogGone: accept-gap` to go on with flagged predictions, and raise retention.ms.',
  },
  PARTITIONS_ADDED: {
    reaction: 'stop',
    exitCode: 1,
    meaning:
      'Partitions were added to a source topic, so keys have moved to other partitions, where features without merge do not see their past.',
    remedy:
      'Set `store.onPartitionsAdded: accept` to go on with flagged predictions, or write `merge: true` for the entities, or move to a new topic (docs/operating.md).',
  },
  TOPIC_CHANGED: {
    reaction: 'handOver',
    exitCode: 75,
    meaning: 'A source topic was deleted and created again, or got more partitions, while it was served.',
    remedy:
      'Nothing to do: the partition is dropped and taken over again, as `store.onForeignOffset` and `store.onPartitionsAdded` say.',
  },
  OFFSET_LOST: {
    reaction: 'stop',
    exitCode: 1,
    meaning:
      'The service remembers this partition, but the group has no committed offset: deleted, or expired.',
    remedy:
      'Reset the group (kafka-consumer-groups.sh --reset-offsets) to behind the last prediction of the partition, with `store.onForeignOffset: rebuild`; or delete the namespace in Redis to begin anew at `start`.',
  },
  COMMIT_LOST: {
    reaction: 'stop',
    exitCode: 1,
    meaning:
      'The committed offset is below what Redis holds, or below what was acknowledged to this process.',
    remedy:
      'Kafka lost a commit. Check min.insync.replicas, and that the brokers are not 4.3.1 (KAFKA-20734); then delete the namespace in Redis to rebuild.',
  },
  STATE_MISMATCH: {
    reaction: 'handOver',
    exitCode: 75,
    meaning:
      'A watermark in Redis is not the one this owner wrote (another owner, or Redis went back in time).',
    remedy: 'Nothing to do: the partition is dropped and taken over again.',
  },
  STATE_FORMAT: {
    reaction: 'stop',
    exitCode: 1,
    meaning: 'Stored feature state is damaged or of a foreign format.',
    remedy: 'Delete the namespace in Redis; the state is rebuilt from the source log.',
  },
  REDIS_UNREACHABLE: {
    reaction: 'retry',
    exitCode: 4,
    meaning: 'Redis does not answer.',
    remedy: 'Check `store.redis` and that Redis runs; the service waits in order and goes on by itself.',
  },
  REDIS_UNAUTHORISED: {
    reaction: 'stop',
    exitCode: 5,
    meaning: 'Redis refuses the credentials or a command.',
    remedy:
      'Check user and password in `store.redis`, and the ACL (GET, SET, APPEND, HGET, HSET, HGETALL, PEXPIRE, EVAL, EVALSHA, INFO; on a cluster also CLUSTER).',
  },
  REDIS_FULL: {
    reaction: 'retry',
    exitCode: 4,
    meaning: 'Redis has reached `maxmemory` and refuses writes.',
    remedy:
      'Raise `maxmemory`, or free memory (old namespaces: docs/operating.md). The service waits in order and goes on by itself.',
  },
  REDIS_MODE: {
    reaction: 'stop',
    exitCode: 2,
    meaning: 'Redis runs in another mode (one server, Sentinel, Cluster) than its address says.',
    remedy:
      'Write `redis://`, `redis+sentinel://…/master` or `redis+cluster://` in `store.redis`, as the message says.',
  },
  REDIS_EVICTION: {
    reaction: 'stop',
    exitCode: 2,
    meaning:
      'Redis may evict keys (maxmemory-policy is not noeviction), so windows could vanish: refused at start; while it runs the service is not ready, and stops once keys were evicted.',
    remedy:
      'Set `maxmemory-policy noeviction` in Redis (CONFIG SET, and in redis.conf), and start again: what was evicted is rebuilt from the log.',
  },
  REGISTRY_UNREACHABLE: {
    reaction: 'retry',
    exitCode: 4,
    meaning: 'The schema registry does not answer.',
    remedy: 'Check `registry.url`; locally `millrace dev up --registry`.',
  },
  REGISTRY_UNAUTHORISED: {
    reaction: 'stop',
    exitCode: 5,
    meaning: 'The schema registry refuses the credentials or the request.',
    remedy:
      'Check user and password in `registry.url`, and that the user may read schemas by id and by subject.',
  },
  SCHEMA_UNKNOWN: {
    reaction: 'retry',
    exitCode: 4,
    meaning: 'A record names a schema id that the registry does not know (yet).',
    remedy: 'Register the schema, or list the id under `giveUpIds` of the codec to dead-letter such records.',
  },
  MODEL_INVALID: {
    reaction: 'stop',
    exitCode: 2,
    meaning: 'The model cannot be used as the topology says.',
    remedy: 'The message names the mismatch and the fix.',
  },
  MODEL_RUN_FAILED: {
    reaction: 'deadLetter',
    exitCode: 1,
    meaning: 'The model failed on a row.',
    remedy: 'The row is found by bisection and dead-lettered with reason INFERENCE.',
  },
  MODEL_RUN_LOST: {
    reaction: 'deadLetter',
    exitCode: 1,
    meaning:
      'With `model.isolation: process`: the model process crashed over a run, or was ended because it hung.',
    remedy:
      'The rows are scored one by one; one that is lost twice alone is dead-lettered with reason INFERENCE. Check the model.',
  },
  MODEL_PROCESS_LOST: {
    reaction: 'stop',
    exitCode: 1,
    meaning:
      'Model processes end one after another without having answered a run, or one does not become ready within two minutes.',
    remedy:
      'Check memory limits, the load of the machine and the model; the last reason is in the message, what it printed stands before it in the log.',
  },
  MODEL_HANG: {
    reaction: 'stop',
    exitCode: 1,
    meaning: 'A model run did not end within its time limit.',
    remedy:
      'Check the model; raise `model.runTimeout` if such runs are normal. With `model.isolation: process` only the model is ended.',
  },
  RECORD_POISON: {
    reaction: 'deadLetter',
    exitCode: 1,
    meaning: 'Processes ended or hung again and again over the same records, without progress.',
    remedy:
      'Nothing to do: the records are run one by one, and one that does it alone becomes a dead letter with reason POISON. Look at the log of the processes that ended.',
  },
  POISON_LIMIT: {
    reaction: 'stop',
    exitCode: 1,
    meaning: 'One more record ends the process, but too many were quarantined for it already.',
    remedy:
      'Look for the cause in the model, the memory limit or the machine rather than in the records; the record is tried again at the next start.',
  },
  DEAD_LETTER_SHARE: {
    reaction: 'stop',
    exitCode: 1,
    meaning: 'Too large a share of recent records became dead letters.',
    remedy:
      'Look at the dead-letter topic; correct the schema or the decoder, or raise `limits.deadLetterShareMax` to let them go. A restart alone begins with the same count.',
  },
  DRAIN_EXCEEDED: {
    reaction: 'stop',
    exitCode: 1,
    meaning:
      'The service was asked to stop and could not finish in time; the message says what was still open. Nothing is lost or doubled: the next owner goes on from the committed positions.',
    remedy:
      'Mend what the partitions waited for (Redis, Kafka, the model), or raise `limits.drain` and the grace period of the supervisor.',
  },
  PROCESS_STALLED: {
    reaction: 'stop',
    exitCode: 1,
    meaning:
      'Nothing moved in a process for `limits.stall`: something computes without end, or the machine is far too busy. The process was killed by itself (SIGKILL, code 137); the line names the record under work.',
    remedy:
      'A supervisor (or the parent of `--processes`) starts it again; a record that does it again and again becomes a dead letter with reason POISON. Look at that record and at the expressions and schema that read it.',
  },
  OUTPUT_UNWRITABLE: {
    reaction: 'stop',
    exitCode: 1,
    meaning:
      'A file that a command writes could not be written to its end; what was there before is unchanged.',
    remedy: 'Look at the reason in the message: space on the disk, rights, a folder that went away.',
  },
  STACK_UNAVAILABLE: {
    reaction: 'stop',
    exitCode: 4,
    meaning: 'The local stack cannot be started.',
    remedy: 'The message names what to install, or how to point at an existing Kafka and Redis.',
  },
  INTERNAL: {
    reaction: 'stop',
    exitCode: 1,
    meaning: 'A broken assumption inside the program.',
    remedy: 'Please report it with the log lines around it.',
  },
} as const satisfies Record<string, ErrorEntry>

export type ErrorCode = keyof typeof errorTable

/** An error of this program: what happened and where; the code names the reaction and the remedy. */
export class MillraceError extends Error {
  readonly code: ErrorCode
  constructor(code: ErrorCode, message: string, options?: { cause?: unknown }) {
    super(message, options)
    this.name = 'MillraceError'
    this.code = code
  }
  get reaction(): Reaction {
    return errorTable[this.code].reaction
  }
  get exitCode(): number {
    return errorTable[this.code].exitCode
  }
  get remedy(): string {
    return errorTable[this.code].remedy
  }
}
