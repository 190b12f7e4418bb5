/**
 * Microseconds that a row of the features stage takes, by topology and length of the part: `bench` is what
 * bench/topology.yaml reads (count and mean over three windows), the others are one aggregate over three windows.
 *
 *     node bench/micro/features.ts [--against OTHER/src] [NAME …]
 *
 * With --against the same is measured with the features stage of another checkout, in turns, and the ratio printed
 * (this ÷ other): on a busy machine only the ratio means something.
 */
import { resolve } from 'node:path'
import { parseArgs } from 'node:util'
import type { compileFeatures } from '../../src/features/compile.ts'
import type { CompiledFeatures } from '../../src/features/compiled.ts'
import { aggregateNames, aggregateOf } from '../../src/features/aggregates/table.ts'
import type { AggregateSpec, FeaturesSpec } from '../../src/features/spec.ts'
import type { Event } from '../../src/record/event.ts'

const dayMs = 86_400_000
const windowsMs = [dayMs, 7 * dayMs, 30 * dayMs]
/** Events in the longest window. */
const lengths = [10, 58, 1_000, 10_000]
// Short rounds, many of them: what else runs on the machine hits both sides alike.
const roundMs = 20
const rounds = 25

const amount = {
  text: 'amount',
  integer: true,
  evaluate: ({ fields }: Event) => fields['amount'] as number,
}
const night = { text: 'night', test: ({ fields }: Event) => fields['night'] === true }

function featuresOf(aggregate: AggregateSpec['aggregate']): AggregateSpec[] {
  const { value, where } = aggregateOf(aggregate)
  return windowsMs.map((windowMs) => ({
    kind: 'aggregate',
    name: `${aggregate}_${windowMs}`,
    over: 'customer',
    from: 'transactions',
    aggregate,
    value: value === 'none' ? null : amount,
    where: where === 'needed' ? night : null,
    divideBy: 1,
    settings: { q: 0.9, halfLifeMs: dayMs, perMs: 1_000, n: 2 },
    default: null,
    windowMs,
    delayMs: 0,
    edges: '(]',
    current: true,
  }))
}

function specOf(name: string): FeaturesSpec {
  const aggregates = name === 'bench' ? (['count', 'mean'] as const) : [name as AggregateSpec['aggregate']]
  return {
    entities: [{ name: 'customer', keys: ['customer'], merge: false }],
    scored: 'transactions',
    values: [],
    features: aggregates.flatMap(featuresOf),
    eventsPerEntityMax: 100_000,
  }
}

/** Computes the row of the newest of `length` events spread over the longest window. */
function rowReader(features: CompiledFeatures, length: number): () => void {
  const layout = features.layouts[0]!
  const part = features.newPart(layout)
  const eventAt = (offset: number): Event => ({
    id: '',
    key: '',
    time: Math.round((offset * 30 * dayMs) / length),
    fields: { customer: 'c', amount: (offset * 7919) % 10_007, night: offset % 3 === 0 },
    raw: { topic: '', partition: 0, offset, timestamp: 0, key: null, value: null, headers: [] },
  })
  for (let offset = 0; offset < length; offset++) features.insert(layout, part, eventAt(offset))
  const newest = eventAt(length - 1)
  const view = { own: () => part, foreign: () => [] }
  return () => void features.row(newest, view)
}

/** Microseconds of CPU per call, over about roundMs. */
function timed(run: () => void): number {
  const begin = process.threadCpuUsage().user
  let calls = 0
  let spent = 0
  while (spent < roundMs * 1_000) {
    for (let i = 0; i < 100; i++) run()
    calls += 100
    spent = process.threadCpuUsage().user - begin
  }
  return spent / calls
}

function median(numbers: readonly number[]): number {
  return numbers.toSorted((a, b) => a - b)[numbers.length >> 1]!
}

async function compilerOf(src: string): Promise<typeof compileFeatures> {
  const path = resolve(src, 'features/compile.ts')
  return ((await import(path)) as { compileFeatures: typeof compileFeatures }).compileFeatures
}

const { values: options, positionals } = parseArgs({
  options: { against: { type: 'string' } },
  allowPositionals: true,
})
const compile = await compilerOf(resolve(import.meta.dirname, '../../src'))
const other = options.against === undefined ? null : await compilerOf(options.against)
const names = positionals.length > 0 ? positionals : ['bench', ...aggregateNames]
console.log(
  `us of CPU per row, median of ${rounds} rounds of ${roundMs} ms, three windows; columns: events in the longest`,
)
console.log(['', ...lengths].map((cell) => String(cell).padStart(18)).join(''))
for (const name of names) {
  const cells = lengths.map((length) => {
    const mine = rowReader(compile(specOf(name)), length)
    const theirs = other === null ? null : rowReader(other(specOf(name)), length)
    const [took, ratios]: [number[], number[]] = [[], []]
    for (let round = 0; round < rounds; round++) {
      const first = round % 2 === 0
      const before = theirs !== null && first ? timed(theirs) : 0
      const own = timed(mine)
      const after = theirs !== null && !first ? timed(theirs) : 0
      took.push(own)
      ratios.push(own / (before + after))
    }
    const us = median(took).toFixed(2)
    return theirs === null ? us : `${us} (x${median(ratios).toFixed(2)})`
  })
  console.log([name, ...cells].map((cell) => cell.padStart(18)).join(''))
}
