import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { loadTopology } from '../../../src/topology/load.ts'
import { TopologyError } from '../../../src/topology/problem.ts'
import type { DecideContext } from '../../../src/decide/plan.ts'
import type { Event } from '../../../src/record/event.ts'
import { file, load, problemsOf, topology } from './written.ts'

const root = resolve(import.meta.dirname, '../../..')
const optional = { model: 'optional' } as const

function event(fields: Readonly<Record<string, unknown>>): Event {
  const raw = { topic: 'in', partition: 0, offset: 0, timestamp: 0, key: null, value: null, headers: [] }
  return { id: '1', key: 'c', time: 0, fields, raw }
}

function context(part: Partial<DecideContext>): DecideContext {
  return { score: 0, scoreType: 'float32', fields: {}, values: {}, features: {}, flags: [], ...part }
}

describe('the topology of card fraud', () => {
  const loaded = loadTopology(join(root, 'topologies/card-fraud.yaml'), {}, optional)

  test('has its fifteen inputs in the order of the contract', async () => {
    const { model } = await loaded
    expect(model.inputs[0]!.features.join(' ')).toBe(
      'amount night weekend customer_count_1d customer_mean_1d customer_count_7d customer_mean_7d customer_count_30d ' +
        'customer_mean_30d terminal_count_1d terminal_risk_1d terminal_count_7d terminal_risk_7d terminal_count_30d ' +
        'terminal_risk_30d',
    )
    expect(model.score).toEqual({ output: 'probabilities', column: 1 })
  })

  test('computes its values as numbers', async () => {
    const { featuresSpec } = await loaded
    const saturdayNight = event({ amountCents: 1234, ts: Date.UTC(2026, 0, 31, 3) })
    expect(featuresSpec.values.map(({ expression }) => expression.evaluate(saturdayNight))).toEqual([
      12.34, 1, 1,
    ])
  })

  test('sums whole cents, so sums are exact', async () => {
    const { featuresSpec } = await loaded
    const mean = featuresSpec.features.find(({ name }) => name === 'customer_mean_7d')
    expect(mean?.kind === 'aggregate' && mean.value?.integer).toBe(true)
  })

  test('reads labels late and forgets none that a window can see', async () => {
    const { sources, features } = await loaded
    expect(sources[1]).toMatchObject({ role: 'state', allowedLatenessMs: null, late: 'drop-state' })
    expect(features.horizonMs).toBe(37 * 86_400_000)
  })

  test('decides by score and raises the alerts that it names', async () => {
    const { decide } = await loaded
    const decision = (score: number): string | undefined =>
      decide.outcomes.find((outcome) => outcome.test(context({ score })))?.name
    expect([0.96, 0.9, 0.1].map(decision)).toEqual(['decline', 'review', 'approve'])
    const testing = decide.rules[1]!
    const fired = { values: { amount: 51 }, features: { customer_small_before_10m: 5 } }
    expect(testing).toMatchObject({ id: 'card-testing', severity: 'medium' })
    expect(testing.test(context(fired))).toBe(true)
    expect(testing.test(context({ ...fired, flags: ['late'] }))).toBe(false)
    expect(testing.test(context({ ...fired, features: { customer_small_before_10m: 4 } }))).toBe(false)
  })

  test('has nothing left to decide at run time: no undefined anywhere, and frozen', async () => {
    const plan = await loaded
    const walk = (value: unknown, path: string): void => {
      expect(value, path).toBeDefined()
      if (typeof value !== 'object' || value === null) return
      expect(Object.isFrozen(value), path).toBe(true)
      for (const [name, member] of Object.entries(value)) walk(member, `${path}.${name}`)
    }
    expect(Object.isFrozen(plan)).toBe(true)
    for (const [name, part] of Object.entries(plan)) if (name !== 'features') walk(part, name)
  })
})

test('the topology of the bench feeds the nine columns its model was trained on', async () => {
  const env = {
    BROKER: 'b:1',
    IN: 'i',
    OUT: 'o',
    ALERT: 'a',
    GROUP: 'g',
    MODEL: '/m.onnx',
    REDIS_URL: 'redis://r:1',
  }
  const plan = await loadTopology(join(root, 'bench/topology.yaml'), env, optional)
  expect(plan.model.inputs).toEqual([
    {
      name: 'features',
      features: [
        'amount',
        'night',
        'weekend',
        'count_1d',
        'mean_1d',
        'count_7d',
        'mean_7d',
        'count_30d',
        'mean_30d',
      ],
    },
  ])
  expect(plan).toMatchObject({
    kafka: { brokers: ['b:1'], group: 'g' },
    model: { path: '/m.onnx' },
    redis: { url: 'redis://r:1' },
    decide: { reasons: 0 },
  })
  expect([plan.sources[0]!.topic, plan.sinks.predictions.topic, plan.sinks.alerts.topic]).toEqual([
    'i',
    'o',
    'a',
  ])
})

test('what is not written has the documented default', () => {
  expect(load(topology())).toMatchObject({
    kafka: {
      clientId: 'small',
      instance: null,
      group: 'small',
      sessionTimeoutMs: 6_000,
      transactionTimeoutMs: 60_000,
      ssl: false,
      sasl: null,
    },
    registryUrl: null,
    sources: [
      {
        start: 'earliest',
        outOfOrderMs: 60_000,
        allowedLatenessMs: 3_600_000,
        late: 'score',
        alignMs: 30_000,
        timeFormat: 'epochMs',
        limits: { recordMaxBytes: 1_048_576, futureMaxMs: 300_000 },
      },
      { allowedLatenessMs: null, late: 'drop-state' },
    ],
    model: {
      onMissing: 'dead-letter',
      workers: 1,
      runTimeoutMs: 30_000,
      score: { output: 'score', column: null },
    },
    batch: { targetMs: 20, rowsMax: 2048 },
    sinks: {
      predictions: {
        codec: { kind: 'json' },
        include: { features: false, values: false, watermarks: false },
      },
      deadLetterTopic: 'dlq.{topic}',
    },
    redis: { url: 'redis://127.0.0.1:6379' },
    store: {
      cacheMaxBytes: 134_217_728,
      unflushedRowsMax: 50_000,
      unflushedAgeMaxMs: 5_000,
      outageMaxMs: 604_800_000,
      onLogGone: 'refuse',
      onPartitionsAdded: 'refuse',
      onForeignOffset: 'rebuild',
    },
    limits: {
      rowsPerTransactionMax: 1000,
      queuedRowsMax: 8192,
      deadLetterShareMax: { share: 0.2, of: 1000 },
      startWaitMs: 60_000,
      drainMs: 20_000,
      stallMs: 60_000,
    },
  })
})

test('a feature without default is 0 when counting and missing when averaging an empty window', () => {
  const text = topology(
    ['where: amountCents < 500', 'where: amountCents < 500\n    default: null'],
    ['values:', 'values:\n  # more'],
    [
      'features:',
      `features:
  mean_1d: {over: customer, aggregate: mean, value: amountCents, window: 1d}
  rate_1d: {over: customer, aggregate: rate, where: amountCents > 1, window: 1d, smoothing: {weight: 2, prior: 0.1}}
  plain_1d: {over: customer, aggregate: rate, where: amountCents > 1, window: 1d}
  ratio_1d: {ratio: {of: count_1d, to: count_7d}}`,
    ],
  )
  const defaults = Object.fromEntries(
    load(text).featuresSpec.features.map((feature) => [feature.name, feature.default]),
  )
  expect(defaults).toEqual({
    mean_1d: null,
    rate_1d: 0.1,
    plain_1d: 0,
    ratio_1d: null,
    count_1d: 0,
    count_7d: 0,
    fraud_7d: 0,
    small_10m: null,
  })
})

test('a missing number is missing in a rule, whichever way it is compared', () => {
  const rule = (when: string): boolean =>
    load(topology(['features.small_10m >= 5 && amount > 50', `'${when}'`])).decide.rules[0]!.test(
      context({
        values: { amount: NaN, night: 1 },
        features: { small_10m: NaN },
        fields: { amountCents: 5 },
      }),
    )
  expect(rule('amount < 1')).toBe(false)
  expect(rule('!(amount < 1)')).toBe(false)
  expect(rule('features.small_10m != 3')).toBe(false)
  expect(rule('values.night == 1 && night == 1 && amountCents == 5')).toBe(true)
})

test('time as text, a start time, Avro and secrets are understood', () => {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-topology-'))
  try {
    writeFileSync(join(folder, 'password'), 'open sesame\n')
    const text = topology(
      [
        'brokers: localhost:9092',
        'brokers: ["a:1", "b:2, c:3"]\n  ssl: {servername: x}\n  sasl: {mechanism: plain, password: "${file:' +
          folder +
          '/password}"}',
      ],
      [
        'codec: {json: ../schemas/transaction.schema.json}',
        'codec: {avro: {subject: s, reader: ../schemas/transaction.avsc, giveUpIds: [7]}}',
      ],
      ['    time: ts\n', '    time: {field: ts}\n    start: 2026-01-31T00:00:00Z\n'],
      ['sources:', 'registry: {url: http://localhost:8081}\nsources:'],
    )
    const plan = load(text)
    expect(plan.kafka).toMatchObject({
      brokers: ['a:1', 'b:2', 'c:3'],
      ssl: { servername: 'x' },
      sasl: { mechanism: 'plain', password: 'open sesame' },
    })
    expect(plan.sources[0]).toMatchObject({
      codec: { kind: 'avro', subject: 's', giveUpIds: [7] },
      start: Date.UTC(2026, 0, 31),
    })
    expect(plan.registryUrl).toBe('http://localhost:8081')
    expect(plan.featuresSpec.values[0]!.expression.integer).toBe(false)
  } finally {
    rmSync(folder, { recursive: true })
  }
})

test('substituted text can stand for numbers, durations, booleans and parts of names', () => {
  const text = topology(
    ['topic: in', 'topic: ${env:STAGE}.in'],
    ['score: score\n', 'score: score\n  workers: ${env:WORKERS:-2}\n  runTimeout: ${env:TIMEOUT}\n'],
    ['merge: true', 'merge: "${env:MERGE}"'],
  )
  const plan = load(text, { STAGE: 'test', TIMEOUT: '5s', MERGE: 'true' })
  expect(plan.sources[0]!.topic).toBe('test.in')
  expect(plan.model).toMatchObject({ workers: 2, runTimeoutMs: 5000 })
  expect(plan.featuresSpec.entities[1]!.merge).toBe(true)
})

test('a pair key that holds the partition key needs no merge', () => {
  const text = topology(
    ['entities:', 'entities:\n  pair: {key: [customer, terminal]}'],
    ['over: customer', 'over: pair'],
  )
  expect(problemsOf(text)).toEqual([])
})

test('anchors and aliases work', () => {
  const text = topology(
    [
      'over: customer\n    aggregate: count\n    window: [1d, 7d]',
      'over: customer\n    aggregate: count\n    window: &w [1d, 7d]',
    ],
    [
      '  fraud_7d:',
      '  again_{window}: {over: customer, aggregate: count, where: amountCents > 1, window: *w}\n  fraud_7d:',
    ],
  )
  expect(load(text).features.names).toContain('again_7d')
})

describe('the model', () => {
  let folder = ''
  beforeAll(() => (folder = mkdtempSync(join(tmpdir(), 'millrace-topology-'))))
  afterAll(() => rmSync(folder, { recursive: true }))

  async function withModel(path: string): Promise<unknown> {
    const text = topology(['path: model.onnx', `path: ${path}`]).replaceAll(
      '../schemas',
      join(root, 'schemas'),
    )
    const written = join(folder, 'x.yaml')
    writeFileSync(written, text)
    return loadTopology(written, {}).then(
      (plan) => plan.model.path,
      (error: unknown) => (error instanceof TopologyError ? error.problems.map(({ path: at }) => at) : error),
    )
  }

  test('must be there, as a directory or an .onnx file beside the topology', async () => {
    writeFileSync(join(folder, 'there.onnx'), '')
    expect(await withModel('there.onnx')).toBe(join(folder, 'there.onnx'))
    expect(await withModel('.')).toBe(folder)
    expect(await withModel('gone.onnx')).toEqual(['model.path'])
    expect(await withModel('x.yaml')).toEqual(['model.path'])
  })
})

test('a file that is not there is a problem with exit code 2', async () => {
  const failure = await loadTopology('/nowhere/x.yaml', {}).catch((error: unknown) => error)
  expect(failure).toBeInstanceOf(TopologyError)
  expect(failure).toMatchObject({
    code: 'TOPOLOGY_INVALID',
    exitCode: 2,
    problems: [{ file: '/nowhere/x.yaml', line: 1 }],
  })
})

test('relative paths start at the folder of the file', () => {
  expect(load(topology()).model.path).toBe(resolve(file, '../model.onnx'))
})
