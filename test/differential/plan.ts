import type { SourcePlan } from '../../src/decode/plan.ts'
import { compileFeatures } from '../../src/features/compile.ts'
import type { Plan } from '../../src/topology/plan.ts'
import type { DrawnSource, DrawnTopology } from './topology.ts'
import { scored } from './topology.ts'

const defaultOutOfOrderMs = 60_000

/** As the topology file of these definitions would be compiled. */
export function planOf(topology: DrawnTopology): Plan {
  const { spec, sources } = topology
  return {
    name: 'differential',
    file: 'differential.yaml',
    kafka: {
      brokers: [],
      clientId: 'differential',
      instance: null,
      group: 'differential',
      sessionTimeoutMs: 0,
      transactionTimeoutMs: 0,
      ssl: false,
      sasl: null,
    },
    registryUrl: null,
    sources: sources.map((source) => sourcePlan(source, topology.alignMs)),
    featuresSpec: spec,
    features: compileFeatures(spec),
    model: {
      path: '',
      inputs: [{ name: 'x', features: ['paid'] }],
      score: { output: 'score', column: null },
      onMissing: 'dead-letter',
      workers: 1,
      isolation: 'thread',
      runTimeoutMs: 1_000,
      vectorHash: '',
      definitions: {},
    },
    batch: { targetMs: 50, rowsMax: 1_000 },
    decide: { outcomes: [], rules: [], reasons: 0 },
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
      cacheMaxBytes: topology.cacheMaxBytes,
      unflushedRowsMax: 10_000,
      unflushedAgeMaxMs: 10_000,
      outageMaxMs: 86_400_000,
      onLogGone: 'refuse',
      onForeignOffset: 'refuse',
      onPartitionsAdded: 'refuse',
    },
    limits: {
      rowsPerTransactionMax: topology.rowsPerTransactionMax,
      queuedRowsMax: 1_000,
      deadLetterShareMax: { share: 1, of: 100 },
      startWaitMs: 0,
      drainMs: 0,
      stallMs: 60_000,
    },
    expressions: { onError: 'missing' },
    warnings: [],
    labelSources: [],
    stateHash: 'differential',
  }
}

function sourcePlan(source: DrawnSource, alignMs: number): SourcePlan {
  const { name, outOfOrderMs, allowedLatenessMs, late } = source
  return {
    name,
    role: name === scored ? 'score' : 'state',
    topic: name,
    codec: { kind: 'json', schema: {}, schemaPath: '' },
    idField: 'id',
    keyField: 'customer',
    timeField: 'time',
    timeFormat: 'epochMs',
    start: 'earliest',
    outOfOrderMs: outOfOrderMs ?? defaultOutOfOrderMs,
    disorderMaxMs: outOfOrderMs,
    allowedLatenessMs,
    late,
    alignMs,
    limits: { recordMaxBytes: 1_000, futureMaxMs: 1_000 },
  }
}
