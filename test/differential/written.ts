import type { FeatureSpec, FeaturesSpec } from '../../src/features/spec.ts'
import type { DrawnSource, DrawnTopology } from './topology.ts'
import { scored } from './topology.ts'

export interface WrittenFor {
  /** Also the prefix of all topics. */
  readonly name: string
  readonly brokers: readonly string[]
  readonly redisUrl: string
  readonly sessionTimeout: string
}

export function topicOf({ name }: Pick<WrittenFor, 'name'>, source: string): string {
  return `${name}.${source}`
}

/** The topology as somebody would write it; beside it lie `event.schema.json` and `linear.onnx`. */
export function writtenTopology(topology: DrawnTopology, servers: WrittenFor): object {
  const { spec, sources } = topology
  const { name, brokers, redisUrl, sessionTimeout } = servers
  const used = new Set(spec.features.flatMap((feature) => (feature.kind === 'ratio' ? [] : [feature.over])))
  const entities = spec.entities.filter((entity) => used.has(entity.name))
  return {
    version: 1,
    name,
    kafka: { brokers: brokers.join(','), sessionTimeout, transactionTimeout: '20s' },
    sources: Object.fromEntries(
      sources.map((source) => [source.name, writtenSource(source, topicOf(servers, source.name))]),
    ),
    entities: Object.fromEntries(
      entities.map(({ name: entity, keys, merge }) => [entity, { key: keys, merge }]),
    ),
    values: Object.fromEntries(spec.values.map(({ name: value, expression }) => [value, expression.text])),
    features: Object.fromEntries(spec.features.map((feature) => [feature.name, writtenFeature(feature)])),
    model: { path: 'linear.onnx', inputs: { features: ['paid', 'part', 'again'] }, score: 'score' },
    decide: { outcome: [{ approve: 'true' }] },
    sinks: {
      predictions: { topic: topicOf(servers, 'predictions'), include: ['features', 'values'] },
      alerts: { topic: topicOf(servers, 'alerts') },
      deadLetters: { topic: 'dlq.{topic}' },
    },
    store: { redis: redisUrl },
    limits: {
      eventsPerEntityMax: spec.eventsPerEntityMax,
      rowsPerTransactionMax: topology.rowsPerTransactionMax,
      startWait: '20s',
      drain: '20s',
    },
  }
}

function writtenSource({ name, outOfOrderMs, allowedLatenessMs, late }: DrawnSource, topic: string): object {
  const common = {
    topic,
    codec: { json: 'event.schema.json' },
    id: 'id',
    key: 'customer',
    time: 'ts',
    ...(outOfOrderMs === null ? {} : { outOfOrder: `${outOfOrderMs}ms` }),
    allowedLateness: allowedLatenessMs === null ? 'horizon' : `${allowedLatenessMs}ms`,
  }
  return name === scored ? { role: 'score', ...common, late, align: '20s' } : { role: 'state', ...common }
}

function writtenFeature(feature: FeatureSpec): object {
  if (feature.kind === 'ratio') {
    return { ratio: { of: feature.of, to: feature.to }, default: feature.default }
  }
  const { over, from, windowMs, delayMs, edges, current, where } = feature
  const common = {
    over,
    from,
    window: `${windowMs}ms`,
    delay: `${delayMs}ms`,
    edges,
    current,
    default: feature.default,
    ...(where === null ? {} : { where: where.text }),
  }
  const { aggregate, value, divideBy, settings } = feature
  const { halfLifeMs, perMs, ...others } = settings
  return {
    aggregate,
    ...common,
    ...others,
    ...(halfLifeMs === undefined ? {} : { halfLife: `${halfLifeMs}ms` }),
    ...(perMs === undefined ? {} : { per: `${perMs}ms` }),
    ...(value === null ? {} : { value: value.text }),
    ...(divideBy === 1 ? {} : { divideBy }),
  }
}

/** Of the events of all sources. */
export const eventSchema = {
  type: 'object',
  properties: {
    id: { type: 'string' },
    customer: { type: 'string' },
    terminal: { type: 'string' },
    country: { type: 'string' },
    amount: { type: 'integer' },
    quarters: { type: 'number' },
    fraud: { type: 'boolean' },
    night: { type: 'boolean' },
    ts: { type: 'integer' },
  },
  required: ['id', 'customer', 'terminal', 'country', 'amount', 'quarters', 'fraud', 'night', 'ts'],
}

/** Only the sources that some feature reads: others are refused. */
export function withReadSources(topology: DrawnTopology): DrawnTopology {
  const reads = (spec: FeaturesSpec, source: string): boolean =>
    spec.features.some((feature) => feature.kind !== 'ratio' && feature.from === source)
  const sources = topology.sources.filter(({ name }) => name === scored || reads(topology.spec, name))
  return { ...topology, sources }
}
