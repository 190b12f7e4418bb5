import { expect, test } from 'vitest'
import type { FeatureSpec } from '../../../src/features/spec.ts'
import { compileFeatures } from '../../../src/features/compile.ts'
import { replayFeatures, type ReplayLog } from '../../../src/pipeline/replay-features.ts'
import type { RawRecord } from '../../../src/record/raw-record.ts'
import type { Plan } from '../../../src/topology/plan.ts'
import { sourcePlan } from '../decode/fixtures.ts'
import { aggregateFeature, featuresSpec, flag } from '../../support/feature-specs.ts'
import { decode } from '../../simulation/feed.ts'

const hour = 3_600_000
const begin = Date.UTC(2026, 0, 1)

/** One record; `at` is when it was written. */
interface Written {
  readonly time: number
  readonly at: number
  readonly fields?: Readonly<Record<string, unknown>>
}

function planOf(features: readonly FeatureSpec[], eventsPerEntityMax = 10_000): Plan {
  const spec = featuresSpec(features, {
    eventsPerEntityMax,
    entities: [
      { name: 'account', keys: ['account'], merge: false },
      { name: 'shop', keys: ['shop'], merge: true },
    ],
  })
  const ordered = { keyField: 'account', timeField: 'time', outOfOrderMs: 60_000 }
  return {
    sources: [
      sourcePlan({ ...ordered, name: 'transactions', topic: 'transactions' }),
      sourcePlan({
        ...ordered,
        name: 'labels',
        topic: 'labels',
        role: 'state',
        late: 'drop-state',
        disorderMaxMs: null,
        allowedLatenessMs: null,
      }),
    ],
    featuresSpec: spec,
    features: compileFeatures(spec),
  } as unknown as Plan
}

function logOf(source: string, partition: number, written: readonly Written[]): ReplayLog {
  const records = written.map(({ time, at, fields = {} }, offset): RawRecord => {
    const event = {
      id: `${source}${partition}-${offset}`,
      customer: 'c',
      account: 'a',
      shop: 's',
      fraud: true,
      time,
      ...fields,
    }
    const value = Buffer.from(JSON.stringify(event))
    return { topic: source, partition, offset, timestamp: at, key: null, value, headers: [] }
  })
  let position = 0
  return {
    input: { source, topic: source, partition },
    read: () => Promise.resolve(records.slice(position, (position += 3))),
    rewind: () => (position = 0),
  }
}

/** Feature values of each scored event, by id. */
async function rows(plan: Plan, logs: readonly ReplayLog[]): Promise<Record<string, number[]>> {
  const decoder = { prepare: () => Promise.resolve(), decode }
  const decoders = new Map([
    ['transactions', decoder],
    ['labels', decoder],
  ])
  const found: Record<string, number[]> = {}
  const signal = new AbortController().signal
  for await (const result of replayFeatures({ plan, decoders, logs }, signal)) {
    if ('rejected' in result) throw new Error(result.message)
    found[result.event.id] = [...result.row.numbers, ...result.flags.map(() => NaN)]
  }
  return found
}

const labelled = aggregateFeature({
  name: 'd_cnt',
  over: 'account',
  from: 'labels',
  where: flag('fraud'),
  windowMs: 30 * 24 * hour,
  delayMs: hour,
})
const undelayed = aggregateFeature({ ...labelled, name: 'd_now', delayMs: 0 })

/** Twelve events half an hour behind the full hours, and labels of every other full hour. */
const events = (at: (i: number) => number): Written[] =>
  Array.from({ length: 12 }, (_, i) => ({ time: begin + i * hour + hour / 2, at: at(i) }))
const labels = (at: (i: number) => number): Written[] =>
  Array.from({ length: 6 }, (_, i) => ({ time: begin + 2 * i * hour, at: at(i) }))

test('a window over labels is what its definition says, whichever was uploaded first', async () => {
  const plan = planOf([labelled])
  const right = [0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6]
  const orders: Readonly<Record<string, readonly [number, number]>> = {
    'events first': [0, 1],
    'labels first': [1, 0],
  }
  for (const [order, [ofEvents, ofLabels]] of Object.entries(orders)) {
    const logs = [
      logOf(
        'transactions',
        0,
        events((i) => ofEvents * 1_000 + i),
      ),
      logOf(
        'labels',
        0,
        labels((i) => ofLabels * 1_000 + i),
      ),
    ]
    expect(Object.values(await rows(plan, logs)).flat(), order).toEqual(right)
  }
})

test('labels in any order and in any partition count where their time says', async () => {
  const logs = [
    logOf(
      'transactions',
      0,
      events((i) => i),
    ),
    logOf(
      'labels',
      0,
      labels((i) => i)
        .toReversed()
        .slice(0, 3),
    ),
    logOf(
      'labels',
      1,
      labels((i) => i)
        .toReversed()
        .slice(3),
    ),
  ]
  const found = await rows(planOf([labelled]), logs)
  expect(Object.values(found).flat()).toEqual([0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6])
})

test('a feature without delay sees labels as they were published; beside it the delayed one is as it is alone', async () => {
  const logs = [
    logOf(
      'transactions',
      0,
      events((i) => begin + i * hour + hour / 2),
    ),
    logOf(
      'labels',
      0,
      labels((i) => begin + 2 * i * hour + 5 * hour),
    ),
  ]
  const found = Object.values(await rows(planOf([labelled, undelayed]), logs))
  expect(found.map(([delayed]) => delayed)).toEqual([0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6])
  expect(found.map(([, now]) => now)).toEqual([0, 0, 0, 0, 0, 1, 1, 2, 2, 3, 3, 4])
})

test('scored partitions that were uploaded one after the other see each other in event time', async () => {
  const merged = aggregateFeature({ name: 'n', over: 'shop', windowMs: 30 * 24 * hour })
  const delayed = aggregateFeature({ ...merged, name: 'n_1h', delayMs: hour })
  const at = (minute: number, i: number): Written => ({ time: begin + minute * 60_000, at: i })
  const logs = [
    logOf('transactions', 0, [at(0, 1), at(60, 2), at(130, 3)]),
    logOf('transactions', 1, [at(30, 10), at(90, 11), at(120, 12)]),
  ]
  expect(await rows(planOf([merged, delayed]), logs)).toEqual({
    'transactions0-0': [1, 0],
    'transactions1-0': [2, 0],
    'transactions0-1': [3, 1],
    'transactions1-1': [4, 2],
    'transactions1-2': [5, 3],
    'transactions0-2': [6, 3],
  })
})

test('labels that are read ahead neither hide nor flag what an event sees', async () => {
  const many = (count: number): Written[] =>
    Array.from({ length: count }, (_, i) => ({ time: begin + i * hour, at: i }))
  const logs = [logOf('transactions', 0, [{ time: begin + 4 * hour, at: 0 }]), logOf('labels', 0, many(100))]
  expect(await rows(planOf([labelled], 5), logs)).toEqual({ 'transactions0-0': [4] })
})

test('dead letters come in their place, and the rest goes on', async () => {
  const log = logOf(
    'transactions',
    0,
    events((i) => i),
  )
  const broken: ReplayLog = {
    ...log,
    read: async (signal) =>
      (await log.read(signal)).map((raw) => (raw.offset === 4 ? { ...raw, value: Buffer.from('{') } : raw)),
  }
  const decoders = new Map([['transactions', { prepare: () => Promise.resolve(), decode }]])
  const found: string[] = []
  for await (const result of replayFeatures(
    { plan: planOf([labelled]), decoders, logs: [broken] },
    new AbortController().signal,
  )) {
    found.push(
      'rejected' in result ? `${result.reason} ${result.raw.offset}` : String(result.event.raw.offset),
    )
  }
  expect(found).toEqual(['0', '1', '2', '3', 'DECODE 4', '5', '6', '7', '8', '9', '10', '11'])
})
