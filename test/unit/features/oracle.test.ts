import fc from 'fast-check'
import { expect, test } from 'vitest'
import { aggregateNames, aggregateOf } from '../../../src/features/aggregates/table.ts'
import type { FeatureSpec, FeaturesSpec, WindowEdges } from '../../../src/features/spec.ts'
import { aggregateFeature, amount, entities, featuresSpec, field, flag } from '../../support/feature-specs.ts'
import { FeatureStreams } from '../../support/feature-streams.ts'
import type { Scenario, ScenarioRow, Step } from '../../support/feature-streams.ts'
import { agrees } from '../../support/rounding.ts'

const inputs = ['transactions', 'transactions', 'labels', 'labels']

const expressions = [amount, field('fraction')]
const predicates = [null, flag('night'), flag('fraud')]

const edges = fc.constantFrom<WindowEdges>('(]', '[)', '[]', '()')

const windowed = fc.record({
  aggregate: fc.constantFrom(...aggregateNames),
  over: fc.constantFrom(...entities.map((entity) => entity.name)),
  from: fc.constantFrom('transactions', 'transactions', 'labels'),
  expression: fc.constantFrom(...expressions),
  where: fc.constantFrom(...predicates),
  // Several windows of one definition, in any order, as a list in the topology gives them.
  windows: fc.array(fc.oneof(fc.integer({ min: 1, max: 8 }), fc.integer({ min: 9, max: 60 })), {
    minLength: 1,
    maxLength: 3,
    size: 'max',
  }),
  delayMs: fc.constantFrom(0, 0, 0, 1, 7, 20),
  edges,
  current: fc.boolean(),
  divideBy: fc.constantFrom(1, 100),
  default: fc.constantFrom(0, null, -1),
  settings: fc.record({
    smoothing: fc.record({ weight: fc.constantFrom(0, 5), prior: fc.constant(0.25) }),
    estimate: fc.constantFrom('sample', 'population'),
    q: fc.constantFrom(0, 0.1, 0.5, 0.75, 1),
    halfLifeMs: fc.constantFrom(1, 7, 100),
    perMs: fc.constantFrom(1, 1_000),
    n: fc.constantFrom(1, 2, 5),
  }),
})

const spec: fc.Arbitrary<FeaturesSpec> = fc
  .record({
    drawn: fc.array(windowed, { minLength: 1, maxLength: 4, size: 'max' }),
    ratioDefault: fc.constantFrom(0, null),
    eventsPerEntityMax: fc.constantFrom(1, 2, 3, 5, 10_000, 10_000),
  })
  .map(({ drawn, ratioDefault, eventsPerEntityMax }) => {
    const features = drawn.flatMap(({ expression, aggregate, windows, ...rest }, i): FeatureSpec[] =>
      windows.map((windowMs, w) => {
        const one = { ...rest, aggregate, windowMs, name: `feature${i}.${w}` }
        const { value, where, source } = aggregateOf(aggregate)
        return aggregateFeature({
          ...one,
          from: source === 'scored' ? 'transactions' : one.from,
          value: value === 'none' ? null : expression,
          where: where === 'needed' ? (one.where ?? flag('night')) : one.where,
        })
      }),
    )
    const first: FeatureSpec = {
      kind: 'ratio',
      name: 'second ratio',
      of: 'ratio',
      to: 'amount',
      default: ratioDefault,
    }
    const second: FeatureSpec = {
      kind: 'ratio',
      name: 'ratio',
      of: 'feature0.0',
      to: `feature${drawn.length - 1}.0`,
      default: ratioDefault,
    }
    return featuresSpec([first, ...features, second], {
      values: [{ name: 'amount', expression: amount }],
      eventsPerEntityMax,
    })
  })

const input = fc.constantFrom(0, 0, 0, 1, 2, 3)

// Few entities, few distinct times, so that ties, boundaries and shared entities are the rule.
const move = fc.oneof(
  {
    weight: 14,
    arbitrary: fc.record({
      kind: fc.constant('event' as const),
      input,
      advance: fc.oneof(
        { weight: 14, arbitrary: fc.integer({ min: 0, max: 3 }) },
        { weight: 2, arbitrary: fc.integer({ min: -60, max: 0 }) },
        { weight: 1, arbitrary: fc.integer({ min: 10, max: 60 }) },
      ),
      fields: fc.record({
        customer: fc.constantFrom('a', 'a', 'a', 'a', 'b', null),
        terminal: fc.constantFrom('x', 'x', 'x', 'xy', 7),
        amount: fc.constantFrom(1, 250, 99_999, 0, null),
        fraction: fc.oneof(
          fc.double({ min: 0.001, max: 1e6, noNaN: true }),
          fc.constantFrom(null, Infinity, NaN),
        ),
        night: fc.boolean(),
        fraud: fc.boolean(),
      }),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('flush' as const),
      input,
      behind: fc.constantFrom(0, 0, 1, 4),
      append: fc.boolean(),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('takeover' as const), input }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('trim' as const), input }) },
)

// Sized by hand: the default keeps streams at about five steps, in which nearly every window is empty.
const steps: fc.Arbitrary<Step[]> = fc
  .array(move, { minLength: 10, maxLength: 80, size: 'max' })
  .map((moves) => {
    let time = 1_000
    return moves.map((one): Step => {
      if (one.kind !== 'event') return one
      const at = time + one.advance
      if (one.advance > 0) time = at
      return { kind: 'event', input: one.input, time: at, fields: one.fields }
    })
  })

const scenario: fc.Arbitrary<Scenario> = fc.record({
  spec,
  inputs: fc.constant(inputs),
  steps,
  outOfOrderMs: fc.constantFrom(0, 5),
  allowedLatenessMs: fc.constantFrom(0, 10, 50),
  late: fc.constantFrom('score', 'drop-state', 'dead-letter'),
})

function expectSame(spec: FeaturesSpec, { logged, actual, expected, ...row }: ScenarioRow): void {
  const found = (name: string): number | null => actual.get(name)!
  for (const [name, number] of expected) {
    if (agrees(spec, name, found, number)) continue
    const { offset } = logged.event.raw
    expect({ name, offset, number: found(name) }).toEqual({ name, offset, number })
  }
  expect(row.actualCapped).toBe(row.expectedCapped)
}

test('rows equal the definition through ties, late events, delays, caps, trims, flushes and takeovers', () => {
  fc.assert(
    fc.property(scenario, (drawn) => {
      const rows = new FeatureStreams(drawn).run()
      for (const row of rows) expectSame(drawn.spec, row)
    }),
    { numRuns: Number(process.env['MILLRACE_PROPERTY_RUNS'] ?? 400) },
  )
}, 60_000)
