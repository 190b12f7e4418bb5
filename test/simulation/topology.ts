import { compileFeatures } from '../../src/features/compile.ts'
import type { CompiledFeatures, PartLog } from '../../src/features/compiled.ts'
import type { FeatureSpec, FeaturesSpec } from '../../src/features/spec.ts'
import type { SourcePlan } from '../../src/decode/plan.ts'
import type { InputPartition } from '../../src/record/input.ts'
import type { Plan } from '../../src/topology/plan.ts'
import { aggregateFeature, amount, entities, featuresSpec, rateFeature } from '../support/feature-specs.ts'
import { flag } from '../support/feature-specs.ts'
import type { Dice } from './dice.ts'

export const transactions = 'transactions'
export const labels = 'labels'

export const inputs: readonly InputPartition[] = [
  { source: transactions, topic: transactions, partition: 0 },
  { source: transactions, topic: transactions, partition: 1 },
  { source: labels, topic: labels, partition: 0 },
]

/** Amounts on which something goes wrong behind the decoder. */
export const trouble = { modelFails: 66, tooLarge: 77 }
/** An amount that kills the process that scores it. */
export const killerAmount = 88

/** A prediction with a higher score raises an alert. */
export const alertAbove = 150

const featuresOf = (settings: Settings): readonly FeatureSpec[] =>
  settings.merged ? allFeatures(settings) : allFeatures(settings).filter(isOwn)

const isOwn = (feature: FeatureSpec): boolean => feature.kind === 'ratio' || feature.over !== 'terminal'

const allFeatures = ({ terminalDelayMs }: Settings): readonly FeatureSpec[] => [
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
    settings: { smoothing: { weight: 2, prior: 0.25 } },
    default: 0,
  }),
  { kind: 'ratio', name: 'share', of: 'amount', to: 'sum6s', default: 0 },
]

export function modelInputs(settings: Settings): readonly string[] {
  return ['amount', ...featuresOf(settings).map(({ name }) => name)]
}
/** What stands in for a mean over nothing. */
export const missingMean = -1

/** What differs from run to run. */
export interface Settings {
  readonly inputs: readonly InputPartition[]
  /** Whether some features read what other partitions store. */
  readonly merged: boolean
  readonly buckets: number
  readonly late: SourcePlan['late']
  readonly start: 'earliest' | 'latest'
  readonly onForeignOffset: 'rebuild' | 'refuse'
  readonly onLogGone: 'refuse' | 'accept-gap'
  readonly cacheMaxBytes: number
  readonly rowsPerTransactionMax: number
  readonly unflushedRowsMax: number
  readonly unflushedAgeMaxMs: number
  readonly outageMaxMs: number
  readonly alignMs: number
  /** Delay of the feature over the other transactions of a terminal: above 0 the partitions wait for each other. */
  readonly terminalDelayMs: number
  /** Labels may be in any order: only their end tells that all were read. */
  readonly unorderedLabels: boolean
  /** Parts pretend to be long, so that flushes append. */
  readonly appends: boolean
  readonly orderedReplies: boolean
  readonly reasons: boolean
  readonly transactionTimeoutMs: number
  /** Brokers tell the ids of topics. */
  readonly topicIds: boolean
  /** One record kills whoever scores it. */
  readonly killer: boolean
  /** Nothing arrives for as long, and then the rest as if no time had passed. */
  readonly lullMs: number
  /** What may go wrong in the world besides what always may. */
  readonly troubles: readonly string[]
}

/** Each of these goes wrong in some of the runs only: they change what the others can reach. */
const rareTroubles = [
  'retention',
  'retention above the position',
  'retention too short',
  'offset set by an operator',
  'offset beyond the end',
  'topic recreated',
  'group offsets lost',
  'outage',
  'quarantine',
]

export function drawSettings(dice: Dice): Settings {
  return {
    inputs,
    merged: true,
    buckets: dice.pick([1, 1, 2, 3, 5]),
    late: dice.pick(['score', 'drop-state', 'dead-letter'] as const),
    start: dice.pick(['earliest', 'earliest', 'earliest', 'latest'] as const),
    onForeignOffset: dice.pick(['rebuild', 'refuse'] as const),
    onLogGone: dice.pick(['refuse', 'accept-gap'] as const),
    cacheMaxBytes: dice.pick([1e9, 1e9, 9_000, 4_000, 0]),
    rowsPerTransactionMax: dice.pick([1, 3, 8, 30]),
    unflushedRowsMax: dice.pick([5, 40, 10_000]),
    unflushedAgeMaxMs: dice.pick([600, 10_000]),
    outageMaxMs: dice.pick([86_400_000, 86_400_000, 8_000]),
    alignMs: dice.pick([0, 700, 3_000]),
    terminalDelayMs: dice.pick([0, 0, 1_500]),
    unorderedLabels: dice.chance(0.6),
    appends: dice.chance(0.6),
    orderedReplies: dice.chance(0.7),
    reasons: dice.chance(0.3),
    transactionTimeoutMs: dice.pick([1_500, 1_500, 600_000]),
    topicIds: dice.chance(0.5),
    killer: dice.chance(0.08),
    lullMs: dice.pick([0, 0, 0, 0, 9_000, 25_000]),
    troubles: dice.chance(0.5) ? [] : [dice.pick(rareTroubles), dice.pick(rareTroubles)],
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
      instance: null,
      group: 'simulated',
      sessionTimeoutMs: 0,
      transactionTimeoutMs: 0,
      ssl: false,
      sasl: null,
    },
    registryUrl: null,
    sources: [source(transactions, 'score', settings), source(labels, 'state', settings)],
    labelSources: [],
    featuresSpec,
    features: settings.appends ? withLongParts(compiled) : compiled,
    model: {
      path: '',
      inputs: [{ name: 'x', features: modelInputs(settings) }],
      score: { output: 'score', column: null },
      onMissing: 'dead-letter',
      workers: 1,
      isolation: 'thread',
      runTimeoutMs: 1_000,
      vectorHash: '',
      definitions: {},
    },
    batch: { targetMs: 50, rowsMax: 1_000 },
    decide: {
      outcomes: [{ name: 'review', test: ({ score }) => score > alertAbove }],
      rules: [
        { id: 'high', severity: 'high', follows: 'up', test: ({ score }) => score > alertAbove },
        {
          id: 'odd',
          severity: 'low',
          follows: 'up',
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
      onLogGone: settings.onLogGone,
      onForeignOffset: settings.onForeignOffset,
      onPartitionsAdded: 'refuse',
    },
    limits: {
      rowsPerTransactionMax: settings.rowsPerTransactionMax,
      queuedRowsMax: 1_000,
      deadLetterShareMax: { share: 1, of: 100 },
      startWaitMs: 0,
      drainMs: 0,
      stallMs: 60_000,
    },
    expressions: { onError: 'missing' },
    warnings: [],
    stateHash: 'simulated',
  }
}

export const outOfOrderMs = 500
export const allowedLatenessMs = 2_000
/** Furthest any window looks back, for transactions and for labels, ms. */
export const horizonMs = 6_000

function source(name: string, role: SourcePlan['role'], settings: Settings): SourcePlan {
  const { late, alignMs, start } = settings
  return {
    name,
    role,
    topic: name,
    codec: { kind: 'json', schema: {}, schemaPath: '' },
    idField: 'id',
    keyField: 'customer',
    timeField: 'time',
    timeFormat: 'epochMs',
    start: role === 'score' ? start : 'earliest',
    outOfOrderMs,
    disorderMaxMs: role === 'state' && settings.unorderedLabels ? null : outOfOrderMs,
    allowedLatenessMs: role === 'score' ? allowedLatenessMs : null,
    late: role === 'score' ? late : 'drop-state',
    alignMs,
    limits: { recordMaxBytes: 1_000, futureMaxMs: 1_000 },
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
