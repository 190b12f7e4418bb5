import type { Decoder } from '../../src/decode/decoder.ts'
import { memoryScorer } from '../../src/model/memory-scorer.ts'
import type { Outlet, Shared } from '../../src/pipeline/partition-context.ts'
import { inputName, type InputPartition } from '../../src/record/input.ts'
import type { OutputKind, OutputRecord } from '../../src/record/output.ts'
import type { Prediction } from '../../src/record/prediction.ts'
import type { RawRecord } from '../../src/record/raw-record.ts'
import type { Reject } from '../../src/record/event.ts'
import type { Plan } from '../../src/topology/plan.ts'
import type { Host } from '../simulation/host.ts'
import type { Kafka } from '../simulation/kafka.ts'
import { simulatedStore, type Redis } from '../simulation/redis.ts'
import { simulatedTopics } from '../simulation/topic-port.ts'
import { simulatedTransactions } from '../simulation/transaction-port.ts'
import type { Wire } from '../simulation/wire.ts'
import type { DecodedRecord } from './log.ts'

/** An output with what it was made of, instead of bytes. */
export interface MadeOutput extends OutputRecord {
  readonly made: Prediction | Reject
}

export interface ProcessParts {
  readonly wire: Wire
  readonly host: Host
  readonly kafka: Kafka
  readonly redis: Redis
  readonly plan: Plan
  readonly inputs: readonly InputPartition[]
  readonly depth: number
  readonly newIdentity: () => string
  readonly violated: (what: string) => void
}

/** What the partition tasks of one process share: the real pipeline behind the simulation's servers. */
export function sharedOf(parts: ProcessParts): Shared {
  const { wire, host, kafka, redis, plan, inputs, violated } = parts
  const note = (...what: readonly unknown[]): void => wire.trace.add(wire.timeline.nowMs, host.name, ...what)
  const topics = Map.groupBy(inputs, ({ topic }) => topic)
  return {
    plan,
    topics: simulatedTopics({ wire, host, kafka, inputs: [...inputs], ids: true }),
    store: simulatedStore({ wire, host, redis, ordered: true }),
    transactions: simulatedTransactions({ wire, host, kafka, violated }),
    // an amount that is missing is no reason for a dead letter here
    scorer: memoryScorer({ width: 1, score: () => 1, missing: new Map([['paid', 0]]) }),
    batching: {
      hasRoom: true,
      room: () => Promise.resolve(),
      score: (_, n) => Promise.resolve({ scores: new Float64Array(n).fill(1), failures: null }),
    },
    outlet,
    clock: host.clock,
    observer: {
      status: (input, status, detail) => note(inputName(input), status, detail),
      taken: () => undefined,
      committed: ({ input, records }) => note(inputName(input), 'committed', records),
      transactionFailed: () => undefined,
      flushed: (input, offset, changes) => {
        if (changes > 0) note(inputName(input), 'flushed to', offset)
      },
      begun: () => undefined,
      expressionFailed: () => undefined,
      rewound: () => wire.trace.count('watermark mismatch'),
      trouble: (input, error) => note(inputName(input), 'trouble:', error),
    },
    clusterId: 'differential',
    partitionCounts: new Map([...topics].map(([topic, list]) => [topic, list.length])),
    newIdentity: parts.newIdentity,
    depth: parts.depth,
  }
}

/** Records carry what they decode to. */
export const decoder: Decoder = {
  prepare: () => Promise.resolve(),
  decode: (raw) => ({ ...(raw as DecodedRecord).decoded, raw }),
}

const outlet: Outlet = {
  prediction: (made, raw) => record('prediction', raw, made),
  alert: () => {
    throw new Error('no rule, so no alert')
  },
  deadLetter: (made) => record('dead-letter', made.raw, made),
}

function record(kind: OutputKind, { partition }: RawRecord, made: MadeOutput['made']): MadeOutput {
  return { kind, topic: kind, partition, key: null, value: null, headers: undefined, made }
}
