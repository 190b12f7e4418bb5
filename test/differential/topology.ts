import type {
  AggregateSpec,
  EntitySpec,
  EventExpression,
  EventPredicate,
  FeatureSpec,
  FeaturesSpec,
  WindowEdges,
} from '../../src/features/spec.ts'
import { aggregateNames, aggregateOf } from '../../src/features/aggregates/table.ts'
import type { LatePolicy } from '../../src/features/lateness.ts'
import { amount, field, flag } from '../support/feature-specs.ts'
import type { Dice } from '../simulation/dice.ts'

export const scored = 'tx'

export interface DrawnSource {
  /** Also the name of its topic. */
  readonly name: string
  readonly partitions: number
  /** outOfOrder as written; null: a state source that does not say. */
  readonly outOfOrderMs: number | null
  /** null: horizon. */
  readonly allowedLatenessMs: number | null
  readonly late: LatePolicy
}

/** A topology, and how its processes work. */
export interface DrawnTopology {
  /** Event times are multiples of a quarter of it, so that edges and ties are met. */
  readonly unitMs: number
  readonly sources: readonly DrawnSource[]
  readonly spec: FeaturesSpec
  readonly alignMs: number
  readonly buckets: number
  readonly cacheMaxBytes: number
  readonly rowsPerTransactionMax: number
  readonly depth: number
  readonly processes: number
}

const entities: readonly EntitySpec[] = [
  { name: 'customer', keys: ['customer'], merge: false },
  { name: 'pair', keys: ['customer', 'terminal'], merge: false },
  { name: 'terminal', keys: ['terminal'], merge: true },
  { name: 'place', keys: ['terminal', 'country'], merge: true },
  // the key of the partitions, merged all the same
  { name: 'everywhere', keys: ['customer'], merge: true },
]

export function drawTopology(dice: Dice): DrawnTopology {
  const unitMs = dice.pick([200, 1_000, 60_000, 3_600_000, 86_400_000])
  const sources = drawSources(dice, unitMs)
  return {
    unitMs,
    sources,
    spec: drawSpec(dice, unitMs, sources),
    alignMs: dice.pick([0, 300, 2_000, 20_000, 20_000]),
    buckets: dice.pick([1, 1, 1, 3]),
    cacheMaxBytes: dice.pick([1e9, 1e9, 4_000, 0]),
    rowsPerTransactionMax: dice.pick([1, 4, 30, 200]),
    depth: dice.pick([1, 2, 3]),
    processes: dice.pick([1, 2]),
  }
}

function drawSources(dice: Dice, unitMs: number): readonly DrawnSource[] {
  const states = dice.pick([['labels'], ['labels'], ['labels', 'notes']])
  return [
    {
      name: scored,
      partitions: dice.pick([1, 2, 2, 3]),
      outOfOrderMs: dice.pick([0, unitMs, 2 * unitMs]),
      allowedLatenessMs: dice.pick([0, unitMs, 3 * unitMs, 20 * unitMs]),
      late: dice.pick(['score', 'score', 'drop-state', 'dead-letter'] as const),
    },
    ...states.map((name) => ({
      name,
      partitions: dice.pick([1, 1, 2, 3]),
      outOfOrderMs: dice.pick([null, null, 0, unitMs, 4 * unitMs]),
      allowedLatenessMs: null,
      late: 'drop-state' as const,
    })),
  ]
}

function drawSpec(dice: Dice, unitMs: number, sources: readonly DrawnSource[]): FeaturesSpec {
  const windowed = Array.from({ length: dice.between(2, 6) }, (_, i) =>
    drawWindowed(dice, `f${i}`, unitMs, sources),
  )
  const twins = windowed.filter(() => dice.chance(0.3)).map((feature) => undelayed(feature))
  const names = ['paid', ...[...windowed, ...twins].map(({ name }) => name)]
  const ratios = Array.from({ length: dice.below(3) }, (_, i): FeatureSpec => {
    const [of, to] = [dice.pick(names), dice.pick(names)]
    return { kind: 'ratio', name: `r${i}`, of, to, default: dice.pick([null, 0]) }
  })
  return {
    entities,
    scored,
    values: [
      { name: 'paid', expression: amount },
      { name: 'part', expression: field('quarters') },
      { name: 'again', expression: amount },
    ],
    features: [...windowed, ...twins, ...ratios],
    eventsPerEntityMax: dice.pick([10_000, 10_000, 10_000, 3, 8]),
  }
}

/** The same feature without delay, over the same events. */
function undelayed(feature: AggregateSpec): AggregateSpec {
  return { ...feature, name: `${feature.name}now`, delayMs: 0 }
}

/** In error at 13, which changes no number. */
const large: EventPredicate = {
  text: 'amount > 20 || [0][amount == 13 ? 1 : 0] > 0',
  test: ({ fields }, failures) => {
    if (fields['amount'] === 13) failures?.failed('where', 'index outside a list')
    return Number(fields['amount']) > 20
  },
}
const wheres = [flag('fraud'), large, flag('night')]
/** Quarters: their sums are exact, in whatever order. */
const values: readonly EventExpression[] = [amount, field('quarters')]
const edges: readonly WindowEdges[] = ['(]', '(]', '[)', '[]', '()']

function drawWindowed(
  dice: Dice,
  name: string,
  unitMs: number,
  sources: readonly DrawnSource[],
): AggregateSpec {
  const source = dice.pick(sources)
  const over = dice.pick(entities)
  const window = {
    name,
    over: over.name,
    from: source.name,
    windowMs: unitMs * dice.pick([1, 3, 8, 40]),
    delayMs: drawDelayMs(dice, unitMs, source),
    edges: dice.pick(edges),
    current: dice.chance(0.6),
    default: dice.pick([null, 0, 7]),
  }
  const aggregate = dice.pick(['count', 'count', 'sum', 'last', ...aggregateNames] as const)
  const { value, where, divided, settings, source: needed } = aggregateOf(aggregate)
  const all = {
    smoothing: { weight: dice.pick([0, 2]), prior: 0.25 },
    estimate: dice.pick(['sample', 'population'] as const),
    q: dice.pick([0, 0.25, 0.9]),
    halfLifeMs: unitMs * dice.pick([1, 4]),
    perMs: unitMs,
    n: dice.pick([1, 2, 4]),
  }
  return {
    kind: 'aggregate',
    ...window,
    ...(needed === 'scored' ? { from: scored, delayMs: 0 } : {}),
    aggregate,
    value: value !== 'none' ? dice.pick(values) : null,
    where: where === 'needed' || dice.chance(0.4) ? dice.pick(wheres) : null,
    divideBy: divided ? dice.pick([1, 4]) : 1,
    settings: {
      ...(settings.smoothing && { smoothing: all.smoothing }),
      ...(settings.estimate && { estimate: all.estimate }),
      ...(settings.q && { q: all.q }),
      ...(settings.halfLife && { halfLifeMs: all.halfLifeMs }),
      ...(settings.per && { perMs: all.perMs }),
      ...(settings.n && { n: all.n }),
    },
  }
}

/** 0, or at least outOfOrder, as the topology's check asks of what other partitions feed. */
function drawDelayMs(dice: Dice, unitMs: number, { outOfOrderMs }: DrawnSource): number {
  const least = outOfOrderMs ?? 0
  return dice.pick([0, 0, least, least + unitMs / 4, least + unitMs, least + 3 * unitMs, least + 10 * unitMs])
}

/** Only some features, with what their ratios read. */
export function withOnly(topology: DrawnTopology, kept: readonly string[] | undefined): DrawnTopology {
  if (kept === undefined) return topology
  const { spec } = topology
  const names = new Set(kept)
  for (const feature of spec.features) {
    if (feature.kind !== 'ratio' || !names.has(feature.name)) continue
    names.add(feature.of).add(feature.to)
  }
  return { ...topology, spec: { ...spec, features: spec.features.filter(({ name }) => names.has(name)) } }
}
