import fc from 'fast-check'
import { expect, test } from 'vitest'
import { compileFeatures } from '../../../src/features/compile.ts'
import { replayFeatures, type ReplayLog } from '../../../src/pipeline/replay-features.ts'
import { WriteTimes } from '../../../src/pipeline/write-times.ts'
import type { Prediction } from '../../../src/record/prediction.ts'
import type { Plan } from '../../../src/topology/plan.ts'
import { decode } from '../../simulation/feed.ts'
import type { LoggedInput } from '../../support/card-world.ts'
import { placeOf, positionOf, type Outputs } from '../../support/evidence.ts'
import { aggregateFeature, featuresSpec, flag } from '../../support/feature-specs.ts'
import { alignmentProblems } from '../../support/judge-aligned.ts'
import { fold } from '../../support/judge-features.ts'
import { sourcePlan } from '../decode/fixtures.ts'

const hour = 3_600_000
const begin = Date.UTC(2026, 0, 1)

/** Labels two hours late, and payments of other partitions as of an hour ago. */
const features = [
  aggregateFeature({
    name: 'risk',
    over: 'terminal',
    from: 'labels',
    where: flag('fraud'),
    windowMs: 10 * hour,
    delayMs: 2 * hour,
  }),
  aggregateFeature({ name: 'now', over: 'terminal', from: 'labels', windowMs: 10 * hour }),
  aggregateFeature({ name: 'busy', over: 'terminal', windowMs: 5 * hour, delayMs: hour }),
]

function planOf(labelDisorderMs: number | null): Plan {
  const spec = featuresSpec(features)
  const common = { keyField: 'customer', timeField: 'time', outOfOrderMs: hour / 2 }
  const sources = [
    sourcePlan({
      ...common,
      name: 'transactions',
      topic: 'transactions',
      disorderMaxMs: hour / 2,
      allowedLatenessMs: hour,
    }),
    sourcePlan({
      ...common,
      name: 'labels',
      topic: 'labels',
      role: 'state',
      late: 'drop-state',
      disorderMaxMs: labelDisorderMs,
      allowedLatenessMs: null,
    }),
  ]
  return { sources, featuresSpec: spec, features: compileFeatures(spec) } as unknown as Plan
}

interface Drawn {
  readonly source: LoggedInput['source']
  readonly partition: number
  /** Half hours. */
  readonly time: number
  readonly terminal: string
  /** How much of each partition the prediction says that it has seen. */
  readonly seen: readonly number[]
}

const drawn: fc.Arbitrary<Drawn> = fc.record({
  source: fc.constantFrom('transactions', 'labels'),
  partition: fc.nat(1),
  time: fc.nat(40),
  terminal: fc.constantFrom('t', 'u'),
  seen: fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { minLength: 4, maxLength: 4 }),
})

/** Written one after the other, a second between them. */
function logged(all: readonly Drawn[]): LoggedInput[] {
  const ends = new Map<string, number>()
  return all.map(({ source, partition, time, terminal }, at) => {
    const input = placeOf({ topic: source, partition })
    const offset = ends.get(input) ?? 0
    ends.set(input, offset + 1)
    const fields = {
      id: `${input}-${offset}`,
      customer: 'c',
      terminal,
      fraud: true,
      time: begin + (time * hour) / 2,
    }
    return {
      source,
      topic: source,
      partition,
      offset,
      timestampMs: begin + at * 1_000,
      key: 'c',
      value: JSON.stringify(fields),
      becomes: source === 'labels' ? 'state' : 'prediction',
      event: { id: fields.id, key: 'c', time: fields.time, fields },
      writtenAfter: at,
    }
  })
}

const inputs = [
  ['transactions', 0],
  ['transactions', 1],
  ['labels', 0],
  ['labels', 1],
] as const

function logsOf(input: readonly LoggedInput[]): ReplayLog[] {
  return inputs.map(([topic, partition]) => {
    const records = input
      .filter((one) => one.topic === topic && one.partition === partition)
      .map(({ offset, timestampMs, value }) => ({
        topic,
        partition,
        offset,
        timestamp: timestampMs,
        key: null,
        value: Buffer.from(value ?? ''),
        headers: [],
      }))
    let at = 0
    return {
      input: { source: topic, topic, partition },
      read: () => Promise.resolve(records.slice(at, (at += 3))),
      rewind: () => (at = 0),
    }
  })
}

/** By position of the event, `feature input` of what the replay says that its prediction lacks. */
async function told(
  plan: Plan,
  input: readonly LoggedInput[],
  all: readonly Drawn[],
): Promise<{ lacks: string[]; predictions: Prediction[] }> {
  const decoder = { prepare: () => Promise.resolve(), decode }
  const decoders = new Map([
    ['transactions', decoder],
    ['labels', decoder],
  ])
  const lacks: string[] = []
  const predictions: Prediction[] = []
  const rows = replayFeatures({ plan, decoders, logs: logsOf(input), tellsLacks: true }, AbortSignal.any([]))
  for await (const row of rows) {
    if ('rejected' in row) throw new Error(row.message)
    const { topic, partition, offset } = row.event.raw
    const at = input.findIndex((one) => positionOf(one) === positionOf({ topic, partition, offset }))
    const watermarks = Object.fromEntries(
      inputs.map(([name, of], i) => {
        const end = input.filter((one) => one.topic === name && one.partition === of).length
        return [`${name}:${of}`, Math.round(all[at]!.seen[i]! * end)]
      }),
    )
    const prediction = { position: { topic, partition, offset }, watermarks, flags: row.flags }
    predictions.push(prediction as unknown as Prediction)
    if (row.flags.includes('late')) continue
    for (const { feature, input: of, held, needed } of row.lacks(prediction)) {
      expect(held).toBe(watermarks[of])
      expect(needed).toBeGreaterThan(held)
      lacks.push(`${positionOf(prediction.position)} ${feature}`)
    }
  }
  return { lacks: [...new Set(lacks)].toSorted(), predictions }
}

test('what a prediction lacks is what the referee says, whichever windows, orders and partitions there are', async () => {
  let lacking = 0
  await fc.assert(
    fc.asyncProperty(
      fc.array(drawn, { minLength: 5, maxLength: 40 }),
      fc.constantFrom(null, hour / 2, 2 * hour),
      async (all, disorder) => {
        const plan = planOf(disorder)
        const input = logged(all)
        const { lacks, predictions } = await told(plan, input, all)
        const outputs = { predictions: predictions.map((value) => ({ value })) } as unknown as Outputs
        const history = fold(input, plan, () => false)
        const problems = alignmentProblems(plan, input, history, outputs, {})
        const judged = problems.map((problem) => /^I10: (\S+ \S+) /.exec(problem)![1]!)
        expect(lacks).toEqual([...new Set(judged)].toSorted())
        lacking += lacks.length
      },
    ),
    { numRuns: 300 },
  )
  expect(lacking).toBeGreaterThan(100)
})

const label = (time: number, more: Partial<Drawn> = {}): Drawn => {
  return { source: 'labels', partition: 0, time, terminal: 't', seen: [0, 0, 0, 0], ...more }
}
const payment = (time: number, seen: readonly number[]): Drawn => {
  return { source: 'transactions', partition: 0, time, terminal: 't', seen }
}

test('a record that was written after the event need not have been read', async () => {
  const before = [label(20), payment(30, [0, 0, 0, 0])]
  const after = before.toReversed()
  const lacks = async (all: readonly Drawn[]): Promise<string[]> =>
    (await told(planOf(null), logged(all), all)).lacks
  expect(await lacks(before)).toEqual(['transactions:0:0 risk'])
  expect(await lacks(after)).toEqual([])
})

test('a record stood in the log no earlier than all before it, whatever its own timestamp says', () => {
  const times = new WriteTimes()
  times.note(3, 100, 0, true)
  times.note(5, 900, 0, true)
  times.note(6, 200, 0, true)
  times.note(8, 950, 0, false)
  expect([3, 5, 6, 8, 4, 9].map((offset) => times.stoodAt(offset))).toEqual([
    100,
    900,
    900,
    Infinity,
    Infinity,
    Infinity,
  ])
})

test('write times of what no window reaches are forgotten, and only those', () => {
  const times = new WriteTimes()
  for (let offset = 0; offset < 20_000; offset++) times.note(offset, offset, offset, true)
  times.forgetUntil(9_999)
  expect([0, 4_000].map((offset) => times.stoodAt(offset))).toEqual([Infinity, Infinity])
  for (const offset of [10_000, 15_000, 19_999]) expect(times.stoodAt(offset)).toBe(offset)
})
