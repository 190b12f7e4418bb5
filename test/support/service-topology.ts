import { copyFile, mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { stringify } from 'yaml'
import { modelFile } from './models.ts'

/** A topology as somebody would write it, before YAML. */
export type Written = { readonly [key: string]: unknown }

export interface CardTopology {
  readonly name: string
  readonly brokers: readonly string[]
  readonly redisUrl: string
  readonly topics: CardTopics
  readonly sessionTimeout: string
  /** With labels, and features of terminals merged over all partitions. */
  readonly labels: boolean
  /** Of test/fixtures/models. */
  readonly model: string
}

export interface CardTopics {
  readonly transactions: string
  readonly labels: string
  readonly predictions: string
  readonly alerts: string
  readonly deadLetters: string
}

/** Where the alert rule of the test topology fires; the model is amount + 2 · count 10m + 3 · count 1h. */
export const alertFrom = 280

/** Windows are short, so that a few hours of events fill, pass and forget them several times. */
const customerFeatures = {
  'customer_count_{window}': { over: 'customer', aggregate: 'count', window: ['10m', '1h'] },
  'customer_mean_{window}': {
    over: 'customer',
    aggregate: 'mean',
    value: 'amountCents',
    divideBy: 100,
    window: ['10m', '1h'],
  },
  customer_last: { over: 'customer', aggregate: 'last', value: 'amountCents', window: '1h', current: false },
  customer_gap: { over: 'customer', aggregate: 'secondsSinceLast', window: '1h', current: false },
  customer_small: {
    over: 'customer',
    aggregate: 'count',
    where: 'amountCents < 500',
    window: '10m',
    edges: '[)',
    current: false,
  },
}

const terminalFeatures = {
  'terminal_count_{window}': {
    over: 'terminal',
    aggregate: 'count',
    window: ['1d', '7d'],
    delay: '7d',
  },
  'terminal_fraud_{window}': {
    over: 'terminal',
    from: 'labels',
    aggregate: 'count',
    where: 'fraud',
    window: ['1d', '7d'],
    delay: '7d',
  },
  'terminal_risk_{window}': {
    ratio: { of: 'terminal_fraud_{window}', to: 'terminal_count_{window}' },
    window: ['1d', '7d'],
    default: 0,
  },
}

export function cardTopology(card: CardTopology): Written {
  const { topics } = card
  return {
    version: 1,
    name: card.name,
    kafka: {
      brokers: card.brokers.join(','),
      sessionTimeout: card.sessionTimeout,
      transactionTimeout: '20s',
    },
    sources: {
      transactions: {
        role: 'score',
        topic: topics.transactions,
        codec: { json: 'transaction.schema.json' },
        id: 'id',
        key: 'customer',
        time: 'ts',
        outOfOrder: '1m',
        allowedLateness: '10m',
        late: 'score',
        align: '20s',
      },
      ...(card.labels ? { labels: labelSource(topics) } : {}),
    },
    entities: {
      customer: { key: 'customer' },
      ...(card.labels ? { terminal: { key: 'terminal', merge: true } } : {}),
    },
    values: { amount: 'amountCents / 100', riskTier: 'tier' },
    features: { ...customerFeatures, ...(card.labels ? terminalFeatures : {}) },
    model: {
      path: card.model,
      inputs: { features: ['amount', 'customer_count_10m', 'customer_count_1h'] },
      score: 'score',
    },
    decide: {
      outcome: [{ decline: `score >= ${alertFrom}` }, { approve: 'true' }],
      alerts: { high: { when: `score >= ${alertFrom}`, severity: 'high' } },
    },
    sinks: {
      predictions: { topic: topics.predictions, include: ['features', 'values'] },
      alerts: { topic: topics.alerts },
      deadLetters: { topic: 'dlq.{topic}' },
    },
    store: { redis: card.redisUrl },
    limits: { rowsPerTransactionMax: 200, startWait: '20s', drain: '20s' },
  }
}

function labelSource({ labels }: CardTopics): Written {
  return {
    role: 'state',
    topic: labels,
    codec: { json: 'label.schema.json' },
    id: 'id',
    key: 'terminal',
    time: 'ts',
    outOfOrder: '3h', // a label is as late as its transaction
    allowedLateness: 'horizon',
  }
}

const schemas = {
  'transaction.schema.json': {
    type: 'object',
    properties: {
      id: { type: 'string' },
      customer: { type: 'string' },
      terminal: { type: 'string' },
      amountCents: { type: 'integer' },
      tier: { type: 'integer' },
      ts: { type: 'integer' },
    },
    required: ['id', 'customer', 'terminal', 'amountCents', 'tier', 'ts'],
  },
  'label.schema.json': {
    type: 'object',
    properties: {
      id: { type: 'string' },
      terminal: { type: 'string' },
      fraud: { type: 'boolean' },
      ts: { type: 'integer' },
    },
    required: ['id', 'terminal', 'fraud', 'ts'],
  },
}

/** Writes the topology with its schemas and model into `dir`; returns the path of the topology file. */
export async function writeTopology(dir: string, topology: Written): Promise<string> {
  await mkdir(dir, { recursive: true })
  for (const [name, schema] of Object.entries(schemas)) {
    await writeFile(join(dir, name), JSON.stringify(schema))
  }
  for (const name of ['linear.onnx', 'lookup.onnx', 'slow.onnx', 'log.onnx'])
    await copyFile(modelFile(name), join(dir, name))
  const file = join(dir, 'topology.yaml')
  await writeFile(file, stringify(topology))
  return file
}

/** `change` laid over `base`, group by group; null removes. */
export function changed(base: Written, change: Written): Written {
  const result: Record<string, unknown> = { ...base }
  for (const [key, value] of Object.entries(change)) {
    const before = result[key]
    if (value === null) delete result[key]
    else if (isGroup(before) && isGroup(value)) result[key] = changed(before, value)
    else result[key] = value
  }
  return result
}

function isGroup(value: unknown): value is Written {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
