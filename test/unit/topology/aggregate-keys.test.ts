import { expect, test } from 'vitest'
import { aggregateHint } from '../../../src/features/aggregates/hints.ts'
import { settingKeys } from '../../../src/features/aggregates/aggregate.ts'
import { aggregateNames, aggregateOf } from '../../../src/features/aggregates/table.ts'
import type { AggregateName } from '../../../src/features/aggregates/table.ts'
import type { AggregateSpec } from '../../../src/features/spec.ts'
import { describePlan } from '../../../src/topology/describe.ts'
import { load, problemsOf, topology } from './written.ts'

const written: Readonly<Record<string, string>> = {
  smoothing: '{weight: 10, prior: 0.1}',
  estimate: 'population',
  q: '0.9',
  halfLife: '1h',
  per: '1h',
  n: '2',
}

/** `small_10m` of the topology, as other features. */
function withFeatures(features: Readonly<Record<string, readonly string[]>>): string {
  const from =
    'small_10m:\n    over: customer\n    aggregate: count\n    where: amountCents < 500\n    window: 10m\n'
  const entries = Object.entries(features).map(
    ([name, lines]) => `${name}: {${['over: customer', 'window: 10m', ...lines].join(', ')}}`,
  )
  return topology([from, `${entries.join('\n  ')}\n`], ['features.small_10m >= 5 && ', ''])
}

function withFeature(aggregate: string, ...lines: readonly string[]): string {
  return withFeatures({ small_10m: [`aggregate: ${aggregate}`, ...lines] })
}

/** What it must have, and what it may have besides. */
function linesOf(name: AggregateName, isAll: boolean): string[] {
  const { value, where, divided, settings } = aggregateOf(name)
  return [
    ...(value !== 'none' ? ['value: amountCents'] : []),
    ...(where === 'needed' || isAll ? ['where: amountCents > 5'] : []),
    ...(divided && isAll ? ['divideBy: 100'] : []),
    ...settingKeys
      .filter((key) => settings[key] === 'needed' || (settings[key] !== undefined && isAll))
      .map((key) => `${key}: ${written[key]}`),
  ]
}

function featureOf(text: string): AggregateSpec {
  const feature = load(text).featuresSpec.features.find(({ name }) => name === 'small_10m')
  if (feature?.kind !== 'aggregate') throw new Error('no aggregate')
  return feature
}

test('every aggregate is accepted with what it needs, and with all it takes', () => {
  const features = aggregateNames.flatMap((name) =>
    [false, true].map(
      (isAll) => [`${name}_${isAll}`, [`aggregate: ${name}`, ...linesOf(name, isAll)]] as const,
    ),
  )
  expect(problemsOf(withFeatures(Object.fromEntries(features)))).toEqual([])
})

test('every aggregate is refused without any one of the lines it needs, and says which', () => {
  const features = aggregateNames.flatMap((name) => {
    const lines = linesOf(name, false)
    return lines.map((line, i) => {
      const rest = lines.filter((other) => other !== line)
      return [`${name}_${i}`, [`aggregate: ${name}`, ...rest]] as const
    })
  })
  const problems = problemsOf(withFeatures(Object.fromEntries(features)))
  expect(problems.map(({ path }) => path)).toEqual(features.map(([name]) => `features.${name}.aggregate`))
  for (const { path, message, suggestion } of problems) {
    expect(message).toMatch(new RegExp(`^${path.split(/[._]/)[1]} needs `))
    expect(suggestion).toMatch(/^Add \w+: /)
  }
})

test('every aggregate refuses the keys that it does not take, and says which take them', () => {
  const lines = aggregateNames.map((name) => {
    const others = settingKeys.filter((key) => aggregateOf(name).settings[key] === undefined)
    return [`aggregate: ${name}`, ...linesOf(name, false), ...others.map((key) => `${key}: ${written[key]}`)]
  })
  const features = Object.fromEntries(aggregateNames.map((name, i) => [`${name}_x`, lines[i]!]))
  const problems = problemsOf(withFeatures(features))
  for (const name of aggregateNames) {
    for (const key of settingKeys) {
      const problem = problems.find(({ path }) => path === `features.${name}_x.${key}`)
      if (aggregateOf(name).settings[key] !== undefined) expect(problem).toBe(undefined)
      else expect(problem?.message).toBe(`${name} takes no ${key}.`)
    }
  }
  expect(problems.every(({ suggestion }) => suggestion.includes('or write aggregate: '))).toBe(true)
})

test('an alias names one aggregate, and none is a name of another', () => {
  const aliases = aggregateNames.flatMap((name) => aggregateOf(name).aliases)
  expect(aliases.length).toBe(new Set(aliases).size)
  const names: ReadonlySet<string> = new Set(aggregateNames.map((name) => name.toLowerCase()))
  expect(aliases.filter((alias) => names.has(alias) || alias !== alias.toLowerCase())).toEqual([])
  for (const name of aggregateNames) {
    for (const alias of aggregateOf(name).aliases) expect(aggregateHint(alias)).toContain(`Write ${name}.`)
  }
})

test('a name in other letters is answered with the name', () => {
  expect(aggregateHint('modeshare')).toContain('Write modeShare.')
})

test('zscore leaves the event out of its window unless the topology says otherwise', () => {
  expect(featureOf(withFeature('zscore', 'value: amountCents')).current).toBe(false)
  expect(featureOf(withFeature('zscore', 'value: amountCents', 'current: true')).current).toBe(true)
  expect(featureOf(withFeature('std', 'value: amountCents')).current).toBe(true)
})

test('zscore over another source is refused with what to use', () => {
  const text = topology(['aggregate: count\n    where: fraud', 'aggregate: zscore\n    value: ts'])
  expect(problemsOf(text)).toMatchObject([
    { path: 'features.fraud_7d.from', suggestion: expect.stringContaining('Use mean or std') as string },
  ])
})

test('a default that is written and one that is not are the same definition', () => {
  const hash = (...lines: string[]): string | undefined =>
    load(withFeature('std', 'value: amountCents', ...lines).replace('count_1d, fraud_7d]', 'small_10m]'))
      .model.definitions['small_10m']
  expect(hash('estimate: sample')).toBe(hash())
  expect(hash('estimate: population')).not.toBe(hash())
})

test('describe says the settings', () => {
  const plan = load(withFeature('quantile', 'value: amountCents', 'q: 0.9'))
  const feature = describePlan(plan).features.find(({ name }) => name === 'small_10m')
  expect(feature?.definition).toBe(
    'quantile of amountCents at 0.9 over customer from transactions, else missing',
  )
})
