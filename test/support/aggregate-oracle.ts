/** Every aggregate by its definition, over the events of one window; shares no code with src/features. */
import type { Event } from '../../src/record/event.ts'
import type { AggregateSpec } from '../../src/features/spec.ts'
import { exactExcess, exactSlope, exactVariance } from './exact-moments.ts'

/** What an aggregate may look at. */
interface Window {
  /** All events of the window, oldest first. */
  readonly events: readonly Event[]
  /** Those that satisfy `where`. */
  readonly matching: readonly Event[]
  /** Of the matching ones that have a value, in the same order. */
  readonly values: readonly number[]
  readonly times: readonly number[]
  /** The scored event. */
  readonly at: Event
  readonly feature: AggregateSpec
}

/** Null: nothing, so that the default stands. */
type Definition = (window: Window) => number | null

const definitions: Readonly<Record<AggregateSpec['aggregate'], Definition>> = {
  count: ({ matching }) => matching.length || null,
  sum: ({ values, feature }) => (values.length === 0 ? null : total(values) / feature.divideBy),
  mean: ({ values, feature }) =>
    values.length === 0 ? null : total(values) / values.length / feature.divideBy,
  min: ({ values, feature }) =>
    values.length === 0 ? null : values.toSorted((a, b) => a - b)[0]! / feature.divideBy,
  max: ({ values, feature }) =>
    values.length === 0 ? null : values.toSorted((a, b) => b - a)[0]! / feature.divideBy,
  range: ({ values, feature }) => {
    const sorted = values.toSorted((a, b) => a - b)
    return values.length === 0 ? null : (sorted.at(-1)! - sorted[0]!) / feature.divideBy
  },
  variance: ({ values, feature }) => {
    const variance = spread(values, feature)
    return variance === null ? null : variance / feature.divideBy ** 2
  },
  std: ({ values, feature }) => {
    const variance = spread(values, feature)
    return variance === null ? null : Math.sqrt(variance) / feature.divideBy
  },
  zscore: ({ values, feature, at }) => {
    const [x, variance] = [present(feature.value!.evaluate(at)), spread(values, feature)]
    return x === null || !variance ? null : exactExcess(x, values) / Math.sqrt(variance)
  },
  median: ({ values, feature }) => {
    const sorted = values.toSorted((a, b) => a - b)
    const middle = sorted.slice(Math.ceil(sorted.length / 2) - 1, Math.floor(sorted.length / 2) + 1)
    return values.length === 0 ? null : total(middle) / middle.length / feature.divideBy
  },
  quantile: ({ values, feature: { settings, divideBy } }) => {
    if (values.length === 0) return null
    const sorted = values.toSorted((a, b) => a - b)
    const place = settings.q! * (values.length - 1)
    const [low, high] = [sorted[Math.floor(place)]!, sorted[Math.ceil(place)]!]
    const share = place % 1
    return (low * (1 - share) + high * share) / divideBy
  },
  distinct: ({ values }) => values.filter((value, i) => values.indexOf(value) === i).length || null,
  mode: ({ values, feature }) => (values.length === 0 ? null : most(values) / feature.divideBy),
  modeShare: ({ values }) => (values.length === 0 ? null : times(values, most(values)) / values.length),
  rate: ({ matching, events, feature }) => {
    const { weight, prior } = feature.settings.smoothing!
    return events.length === 0 ? null : (matching.length + weight * prior) / (events.length + weight)
  },
  first: ({ values, feature }) => (values.length === 0 ? null : values[0]! / feature.divideBy),
  last: ({ values, feature }) => (values.length === 0 ? null : values.at(-1)! / feature.divideBy),
  nthLast: ({ values, feature: { settings, divideBy } }) => {
    const value = values.at(-settings.n!)
    return value === undefined ? null : value / divideBy
  },
  secondsSinceFirst: ({ matching, at }) =>
    matching.length === 0 ? null : (at.time - matching[0]!.time) / 1000,
  secondsSinceLast: ({ matching, at }) =>
    matching.length === 0 ? null : (at.time - matching.at(-1)!.time) / 1000,
  gapMean: ({ matching }) => {
    const gaps = gapsOf(matching)
    return gaps.length === 0 ? null : total(gaps) / gaps.length / 1000
  },
  gapStd: ({ matching, feature }) => {
    const variance = spread(gapsOf(matching), feature)
    return variance === null ? null : Math.sqrt(variance) / 1000
  },
  trend: ({ values, times: at, feature: { settings, divideBy } }) => {
    const slope = values.length < 2 ? null : exactSlope(at, values)
    return slope === null ? null : (slope * settings.perMs!) / divideBy
  },
  ewma: ({ values, feature, ...window }) => {
    const weights = weightsOf(window.times, feature, window.at)
    const weighted = values.map((value, i) => value * weights[i]!)
    return values.length === 0 ? null : total(weighted) / total(weights) / feature.divideBy
  },
  decayedSum: ({ values, feature, ...window }) => {
    const weights = weightsOf(window.times, feature, window.at)
    return values.length === 0
      ? null
      : total(values.map((value, i) => value * weights[i]!)) / feature.divideBy
  },
  decayedCount: ({ matching, feature, at }) => {
    const ages = matching.map(({ time }) => time)
    return matching.length === 0 ? null : total(weightsOf(ages, feature, at))
  },
  streak: ({ events, matching }) => {
    if (events.length === 0) return null
    const misses = events.map((event) => !matching.includes(event))
    return events.length - 1 - misses.lastIndexOf(true)
  },
  countSince: ({ events, matching }) => {
    const latest = matching.at(-1)
    return latest === undefined ? null : events.length - 1 - events.lastIndexOf(latest)
  },
}

/** Those whose last digits depend on how they are computed. */
const rounded: ReadonlySet<string> = new Set([
  'mean',
  'variance',
  'std',
  'zscore',
  'median',
  'quantile',
  'gapMean',
  'gapStd',
  'trend',
  'ewma',
  'decayedSum',
  'decayedCount',
])

/** Sums of fractions and what is divided from sums may differ by rounding; everything else is exact. */
export function isRoundedAggregate({ aggregate, value }: AggregateSpec): boolean {
  return rounded.has(aggregate) || (aggregate === 'sum' && value?.integer !== true)
}

/** Near enough for one that is rounded: differences around 0 are those of numbers up to 10^6. */
export function isClose(actual: number | null, expected: number | null): boolean {
  if (actual === null || expected === null) return actual === expected
  return Math.abs(actual - expected) <= 1e-9 * Math.abs(expected) + 1e-7
}

export function aggregateByDefinition(
  feature: AggregateSpec,
  events: readonly Event[],
  at: Event,
): number | null {
  const matching = events.filter((event) => feature.where === null || feature.where.test(event))
  const valued = matching.filter((event) => present(feature.value?.evaluate(event) ?? null) !== null)
  const values = valued.map((event) => feature.value!.evaluate(event)!)
  const times = valued.map(({ time }) => time)
  return definitions[feature.aggregate]({ events, matching, values, times, at, feature }) ?? feature.default
}

export function present(value: number | null): number | null {
  return value === null || !Number.isFinite(value) ? null : value
}

function total(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0)
}

function spread(values: readonly number[], { settings }: AggregateSpec): number | null {
  const freedom = settings.estimate === 'population' ? values.length : values.length - 1
  return freedom < 1 ? null : exactVariance(values, freedom)
}

function times(values: readonly number[], wanted: number): number {
  return values.filter((value) => value === wanted).length
}

/** The most frequent one; of several the one that comes last. */
function most(values: readonly number[]): number {
  const largest = Math.max(...values.map((value) => times(values, value)))
  return values.findLast((value) => times(values, value) === largest)!
}

function gapsOf(events: readonly Event[]): number[] {
  return events.slice(1).map(({ time }, i) => time - events[i]!.time)
}

function weightsOf(times: readonly number[], { settings, delayMs }: AggregateSpec, at: Event): number[] {
  return times.map((time) => 0.5 ** ((at.time - delayMs - time) / settings.halfLifeMs!))
}
