import { memoryScorer } from '../../src/model/memory-scorer.ts'
import type { Outlet, Shared } from '../../src/pipeline/partition-context.ts'
import { inputName } from '../../src/record/input.ts'
import type { OutputKind } from '../../src/record/output.ts'
import type { RawRecord } from '../../src/record/raw-record.ts'
import type { Host } from './host.ts'
import type { Kafka } from './kafka.ts'
import { scoreOf, type SimulatedOutput } from './output-check.ts'
import { simulatedStore, type Redis } from './redis.ts'
import { killerAmount, missingMean, modelInputs, planOf, trouble, type Settings } from './topology.ts'
import { simulatedTopics } from './topic-port.ts'
import { simulatedTransactions } from './transaction-port.ts'
import type { Wire } from './wire.ts'

export interface ProcessParts {
  readonly wire: Wire
  readonly host: Host
  readonly kafka: Kafka
  readonly redis: Redis
  readonly settings: Settings
  readonly depth: number
  /** Identities of incarnations and builds. */
  readonly newIdentity: () => string
  readonly violated: (what: string) => void
}

/** What the partition tasks of one simulated process share: the real pipeline behind simulated ports. */
export function sharedOf(parts: ProcessParts): Shared {
  const { wire, host, kafka, redis, settings, violated } = parts
  const { trace, timeline } = wire
  const dice = timeline.dice(`${host.name} room`)
  const columns = modelInputs(settings)
  const note = (...what: readonly unknown[]): void => trace.add(timeline.nowMs, host.name, ...what)
  return {
    plan: planOf(settings),
    topics: simulatedTopics({ wire, host, kafka, inputs: settings.inputs, ids: settings.topicIds }),
    store: simulatedStore({ wire, host, redis, ordered: settings.orderedReplies }),
    transactions: simulatedTransactions({ wire, host, kafka, violated }),
    scorer: memoryScorer({
      width: columns.length,
      score: scoreOf,
      missing: new Map([['meanBefore', missingMean]]),
      baseline: new Map(columns.map((input) => [input, 1])),
    }),
    batching: {
      get hasRoom() {
        return !dice.chance(0.03)
      },
      room: (signal) => host.clock.sleep(dice.between(1, 300), signal),
      score: (rows, n, signal) => {
        if (kills(rows, n, columns.length)) {
          trace.count('killer')
          host.crash()
        }
        const effect = (): ReturnType<typeof scoreRows> => scoreRows(rows, n, columns.length)
        return wire.call({ host, what: 'score', detail: n, effect, signal })
      },
    },
    outlet,
    clock: host.clock,
    observer: {
      status: (input, status, detail) => {
        note(inputName(input), status, detail)
        trace.count(detail.startsWith('rebuilding') ? 'rebuild' : status)
      },
      taken: () => undefined,
      committed: ({ input, records, flagged, rejects, alerts }) => {
        note(inputName(input), 'committed', records)
        for (const flag of flagged.keys()) trace.count(`flag ${flag}`)
        for (const { reason } of rejects) trace.count(`dead letter ${reason}`)
        if (alerts.length > 0) trace.count('alert')
      },
      transactionFailed: () => undefined,
      flushed: (input, offset, changes) => {
        if (changes > 0) note(inputName(input), 'flushed to', offset)
      },
      begun: () => undefined,
      expressionFailed: (_input, place, message) => trace.count(`expression ${place}: ${message}`),
      rewound: () => trace.count('watermark mismatch'),
      trouble: (input, error) => note(inputName(input), 'trouble:', error),
    },
    clusterId: 'simulated',
    partitionCounts: new Map(
      [...Map.groupBy(settings.inputs, ({ topic }) => topic)].map(([topic, list]) => [topic, list.length]),
    ),
    newIdentity: parts.newIdentity,
    depth: parts.depth,
  }
}

function kills(rows: Float32Array, n: number, width: number): boolean {
  return Array.from({ length: n }, (_, i) => rows[i * width]).includes(killerAmount)
}

function scoreRows(
  rows: Float32Array,
  n: number,
  width: number,
): { scores: Float64Array; failures: Map<number, string> | null } {
  const scores = Float64Array.from({ length: n }, (_, i) =>
    scoreOf(rows.subarray(i * width, (i + 1) * width)),
  )
  const failures = new Map<number, string>()
  for (let i = 0; i < n; i++) if (rows[i * width] === trouble.modelFails) failures.set(i, 'an odd amount')
  return { scores, failures: failures.size === 0 ? null : failures }
}

const outlet: Outlet = {
  prediction: (made, raw) => {
    if (made.values?.['amount'] !== trouble.tooLarge) return record('prediction', raw, made)
    return { rejected: true, reason: 'OVERSIZE', stage: 'sink', message: 'too large', raw }
  },
  alert: (made, raw) => record('alert', raw, made),
  deadLetter: (made) => record('dead-letter', made.raw, made),
}

function record(kind: OutputKind, { partition }: RawRecord, made: SimulatedOutput['made']): SimulatedOutput {
  return { kind, topic: kind, partition, key: null, value: null, headers: undefined, made }
}
