import type { Event, FieldValue } from '../../src/record/event.ts'
import type {
  AggregateSpec,
  EventExpression,
  EventPredicate,
  FeatureSpec,
  FeaturesSpec,
} from '../../src/features/spec.ts'

/** Specs and events written down by hand, without a topology file. */
export function field(name: string, options: { integer?: boolean } = {}): EventExpression {
  return {
    text: name,
    integer: options.integer ?? false,
    evaluate: (event) => {
      const value = event.fields[name]
      return typeof value === 'number' ? value : null
    },
  }
}

export function flag(name: string): EventPredicate {
  return { text: name, test: (event) => event.fields[name] === true }
}

export const amount = field('amount', { integer: true })

export function aggregateFeature(parts: Partial<AggregateSpec> & { name: string }): AggregateSpec {
  return {
    kind: 'aggregate',
    over: 'customer',
    from: 'transactions',
    aggregate: 'count',
    value: null,
    where: null,
    divideBy: 1,
    settings: {},
    default: 0,
    windowMs: 10,
    delayMs: 0,
    edges: '(]',
    current: true,
    ...parts,
  }
}

export function rateFeature(parts: Partial<AggregateSpec> & { name: string }): AggregateSpec {
  return aggregateFeature({
    aggregate: 'rate',
    where: flag('night'),
    settings: { smoothing: { weight: 0, prior: 0 } },
    ...parts,
  })
}

/** Settings for whatever an aggregate takes; it ignores the others. */
export const someSettings: AggregateSpec['settings'] = {
  smoothing: { weight: 5, prior: 0.25 },
  estimate: 'sample',
  q: 0.9,
  halfLifeMs: 10,
  perMs: 1_000,
  n: 2,
}

export const entities: FeaturesSpec['entities'] = [
  { name: 'customer', keys: ['customer'], merge: false },
  { name: 'terminal', keys: ['terminal'], merge: true },
  { name: 'pair', keys: ['customer', 'terminal'], merge: false },
]

export function featuresSpec(
  features: readonly FeatureSpec[],
  rest: Partial<FeaturesSpec> = {},
): FeaturesSpec {
  return { entities, scored: 'transactions', values: [], features, eventsPerEntityMax: 10_000, ...rest }
}

export function eventAt(
  time: number,
  offset: number,
  fields: Readonly<Record<string, FieldValue>> = {},
  input: { topic?: string; partition?: number } = {},
): Event {
  const { topic = 'transactions', partition = 0 } = input
  return {
    id: `${topic}-${partition}-${offset}`,
    key: 'c',
    time,
    fields: { customer: 'c', terminal: 't', amount: 1, ...fields },
    raw: { topic, partition, offset, timestamp: time, key: null, value: null, headers: [] },
  }
}
