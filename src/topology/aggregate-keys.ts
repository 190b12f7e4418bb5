/** Which keys go with which aggregate, read from the table. */
import { settingKeys } from '../features/aggregates/aggregate.ts'
import { aggregateOf, aggregatesOfValues, aggregatesWith } from '../features/aggregates/table.ts'
import type { AggregateOptions } from '../features/options.ts'
import type { AggregateSettings } from '../features/spec.ts'
import type { TopologyDocument } from './document.ts'
import type { Path } from './problem.ts'

type Wrong = readonly [key: string, message: string, suggestion: string]

/** False when a key is missing or has no meaning; the problems are added. */
export function checkAggregateKeys(
  document: TopologyDocument,
  path: Path,
  options: AggregateOptions,
  scored: string,
): boolean {
  const wrong = [
    ...wrongValue(options),
    ...wrongCondition(options),
    ...wrongSettings(options),
    ...wrongSource(options, scored),
  ]
  for (const [key, message, suggestion] of wrong) document.add([...path, key], message, suggestion)
  return wrong.length === 0
}

function wrongValue({ aggregate, value, divideBy }: AggregateOptions): Wrong[] {
  const { value: needs, divided } = aggregateOf(aggregate)
  const wrong: Wrong[] = []
  if (needs !== 'none' && value === undefined) {
    wrong.push([
      'aggregate',
      `${aggregate} needs a value.`,
      needs === 'any'
        ? 'Add value: and the text or number to take of each event.'
        : 'Add value: and the number to take of each event.',
    ])
  }
  if (needs === 'none' && value !== undefined) {
    const suggestion = `Remove it, or use one of ${aggregatesOfValues.join(', ')}.`
    wrong.push(['value', `${aggregate} takes no value.`, suggestion])
  }
  if (!divided && divideBy !== undefined)
    wrong.push(['divideBy', `${aggregate} takes no divideBy.`, 'Remove it.'])
  if (divideBy === 0) wrong.push(['divideBy', 'nothing can be divided by 0.', 'Write another number.'])
  return wrong
}

function wrongCondition({ aggregate, where }: AggregateOptions): Wrong[] {
  if (aggregateOf(aggregate).where !== 'needed' || where !== undefined) return []
  return [['aggregate', `${aggregate} needs a condition.`, 'Add where: and the condition that is meant.']]
}

function wrongSettings(options: AggregateOptions): Wrong[] {
  const { aggregate } = options
  const { settings } = aggregateOf(aggregate)
  return settingKeys.flatMap((key): Wrong[] => {
    const isWritten = options[key] !== undefined
    if (settings[key] === 'needed' && !isWritten)
      return [['aggregate', `${aggregate} needs ${key}.`, `Add ${key}: ${examples[key]}.`]]
    if (settings[key] !== undefined || !isWritten) return []
    const takers = aggregatesWith(key).join(' or ')
    return [[key, `${aggregate} takes no ${key}.`, `Remove it, or write aggregate: ${takers}.`]]
  })
}

const examples: Readonly<Record<(typeof settingKeys)[number], string>> = {
  smoothing: '{weight: 10, prior: 0.01}',
  estimate: 'population',
  q: '0.95, the share of events below',
  halfLife: '1h',
  per: '1h',
  n: '2, where 1 is the newest event',
}

function wrongSource({ aggregate, from }: AggregateOptions, scored: string): Wrong[] {
  if (aggregateOf(aggregate).source !== 'scored' || from === undefined || from === scored) return []
  return [
    [
      'from',
      `${aggregate} compares the scored event with events like it, and ${from} has others.`,
      `Use mean or std over ${from}, and {ratio: {of: …, to: …}}.`,
    ],
  ]
}

/** The settings an aggregate takes, with what they are where they are not written. */
export function settingsOf(options: AggregateOptions): AggregateSettings {
  const { settings } = aggregateOf(options.aggregate)
  const { smoothing, estimate = 'sample', q, halfLife, per = msPerSecond, n } = options
  return {
    ...(settings.smoothing !== undefined && smoothing !== undefined && { smoothing }),
    ...(settings.estimate !== undefined && { estimate }),
    ...(settings.q !== undefined && q !== undefined && { q }),
    ...(settings.halfLife !== undefined && halfLife !== undefined && { halfLifeMs: halfLife }),
    ...(settings.per !== undefined && { perMs: per }),
    ...(settings.n !== undefined && n !== undefined && { n }),
  }
}

const msPerSecond = 1000
