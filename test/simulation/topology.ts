import { compileFeatures } from '../../src/features/compile.ts'
import type { CompiledFeatures, PartLog } from '../../src/features/compiled.ts'
import type { FeatureSpec, FeaturesSpec } from '../../src/features/spec.ts'
import type { SourcePlan } from '../../src/decode/plan.ts'
import type { InputPartition } from '../../src/record/input.ts'
import type { Plan } from '../../src/topology/plan.ts'
import { aggregateFeature, amount, entities, featuresSpec, rateFeature } from '../support/feature-specs.ts'
import { flag } from '../support/feature-specs.ts'
import type { Scheduler } from './scheduler.ts'

export const transactions = 'transactions'
export const labels = 'labels'

export const inputs: readonly InputPartition[] = [
  { source: transactions, topic: transactions, partition: 0 },
  { source: transactions, topic: transactions, partition: 1 },
  { source: labels, topic: labels, partition: 0 },
]

/** Amounts on which something goes wrong behind the decoder. */
export const trouble = { modelFails: 66, tooLarge: 77 }

/** A prediction with a higher score raises an alert. */
export const alertAbove = 150

const featuresOf = ({ terminalDelayMs }: Settings): readonly FeatureSpec[] => [
  aggregateFeature({ name: 'count2s', windowMs: 2_000 }),
  aggregateFeature({ name: 'sum6s', aggregate: 'sum', value: amount, windowMs: 6_000 }),
  aggregateFeature({
    name: 'meanBefore',
    aggregate: 'mean',
    value: amount,
    windowMs: 4_000,
    current: false,
    default: null,
  }),
  aggregateFeature({
    name: 'terminalSum4s',
    over: 'terminal',
    aggregate: 'sum',
    value: amount,
    windowMs: 4_000,
    delayMs: terminalDelayMs,
  }),
  rateFeature({
    name: 'terminalRisk',
    over: 'terminal',
    from: labels,
    where: flag('fraud'),
    windowMs: 4_000,
    delayMs: 2_000,
    smoothing: { weight: 2, prior: 0.25 },
    default: 0,
  }),
  { kind: 'ratio', name: 'share', of: 'amount', to: 'sum6s', default: 0 },
]

export const modelInputs = [
  'amount',
  'count2s',
  'sum6s',
  'meanBefore',
  'terminalSum4s',
  'terminalRisk',
  'share',
]
/** What stands in for a mean over nothing. */
export const missingMean = -1

/** What differs from run to run. */
export interface Settings {
  readonly buckets: number
  readonly late: SourcePlan['late']
  readonly cacheMaxBytes: number
  readonly rowsPerTransactionMax: number
  readonly unflushedRowsMax: number
  readonly unflushedAgeMaxMs: number
  readonly outageMaxMs: number
  readonly alignMs: number
  /** Delay of the feature over the other transactions of a terminal: above 0 the partitions wait for each other. */
  readonly terminalDelayMs: number
  /** Parts pretend to be long, so that flushes append. */
  readonly appends: boolean
  readonly orderedReplies: boolean
  readonly reasons: boolean
}

export function drawSettings(scheduler: Scheduler): Settings {
  return {
    buckets: scheduler.pick([1, 1, 2]),
    late: scheduler.pick(['score', 'drop-state', 'dead-letter'] as const),
    cacheMaxBytes: scheduler.pick([1e9, 1e9, 9_000, 4_000, 0]),
    rowsPerTransactionMax: scheduler.pick([1, 3, 8, 30]),
    unflushedRowsMax: scheduler.pick([5, 40, 10_000]),
    unflushedAgeMaxMs: scheduler.pick([600, 10_000]),
    outageMaxMs: scheduler.pick([86_400_000, 86_400_000, 4_000]),
    alignMs: scheduler.pick([0, 700, 3_000]),
    terminalDelayMs: scheduler.pick([0, 0, 1_500]),
    appends: scheduler.chance(0.6),
    orderedReplies: scheduler.chance(0.7),
    reasons: scheduler.chance(0.3),
  }
}

export function specOf(settings: Settings): FeaturesSpec {
  return featuresSpec(featuresOf(settings), {
    entities: entities.filter(({ name }) => name !== 'pair'),
    values: [{ name: 'amount', expression: amount }],
  })
}

export function planOf(settings: Settings): Plan {
  const featuresSpec = specOf(settings)
  const compiled = compileFeatures(featuresSpec)
  return {
    name: 'simulated',
    file: 'simulated.yaml',
    kafka: {
      brokers: [],
      clientId: 'simulated',
      group: 'simulated',
      sessionTimeoutMs: 0,
      transactionTimeoutMs: 0,
      ssl: false,
      sasl: null,
    },
    registryUrl: null,
    sources: [source(transactions, 'score', settings), source(labels, 'state', settings)],
    featuresSpec,
    features: settings.appends ? withLongParts(compiled) : compiled,
    model: {
      path: '',
      inputs: [{ name: 'x', features: modelInputs }],
      score: { output: 'score', column: null },
      onMissing: 'dead-letter',
      workers: 1,
      runTimeoutMs: 1_000,
      vectorHash: '',
    },
    batch: { targetMs: 50, rowsMax: 1_000 },
    decide: {
      outcomes: [{ name: 'review', test: ({ score }) => score > alertAbove }],
      rules: [
        { id: 'high', severity: 'high', test: ({ score }) => score > alertAbove },
        {
          id: 'odd',
          severity: 'low',
          test: ({ score, features }) => score > alertAbove && features['count2s'] === 1,
        },
      ],
      reasons: settings.reasons ? 2 : 0,
    },
    sinks: {
      predictions: {
        topic: 'predictions',
        codec: { kind: 'json' },
        include: { features: true, values: true, watermarks: true },
      },
      alerts: { topic: 'alerts', codec: { kind: 'json' } },
      deadLetterTopic: 'dlq.{topic}',
    },
    redis: { url: '' },
    store: {
      cacheMaxBytes: settings.cacheMaxBytes,
      unflushedRowsMax: settings.unflushedRowsMax,
      unflushedAgeMaxMs: settings.unflushedAgeMaxMs,
      outageMaxMs: settings.outageMaxMs,
      onLogGone: 'refuse',
      onForeignOffset: 'refuse',
    },
    limits: {
      rowsPerTransactionMax: settings.rowsPerTransactionMax,
      queuedRowsMax: 1_000,
      deadLetterShareMax: { share: 1, of: 100 },
      startWaitMs: 0,
      drainMs: 0,
    },
    stateHash: 'simulated',
  }
}

export const outOfOrderMs = 500
export const allowedLatenessMs = 2_000

function source(name: string, role: SourcePlan['role'], { late, alignMs }: Settings): SourcePlan {
  return {
    name,
    role,
    topic: name,
    codec: { kind: 'json', schema: {}, schemaPath: '' },
    idField: 'id',
    keyField: 'customer',
    timeField: 'time',
    timeFormat: 'epochMs',
    start: 'earliest',
    outOfOrderMs,
    allowedLatenessMs: role === 'score' ? allowedLatenessMs : null,
    late: role === 'score' ? late : 'drop-state',
    alignMs,
    limits: { recordMaxBytes: 1_000, futureMaxMs: 1e12 },
  }
}

/** Only parts of hundreds of events are appended to; these say that they are. */
function withLongParts(compiled: CompiledFeatures): CompiledFeatures {
  const long = (part: PartLog): PartLog => Object.defineProperty(part, 'length', { value: 1_000 })
  return {
    ...compiled,
    newPart: (layout) => long(compiled.newPart(layout)),
    decode: (layout, bytes) => long(compiled.decode(layout, bytes)),
  }
}
