/** Which keys go with which aggregate, read from the table. */
import type { Aggregate } from '../features/aggregates/aggregate.ts'
import { aggregateNames, aggregateOf, aggregatesOfValues } from '../features/aggregates/table.ts'
import type { AggregateName } from '../features/aggregates/table.ts'
import type { AggregateOptions } from '../features/options.ts'
import type { AggregateSettings } from '../features/spec.ts'
import type { TopologyDocument } from './document.ts'
import type { Path } from './problem.ts'

/** Keys that only some aggregates take, as they are written. */
const settingKeys = ['smoothing'] as const satisfies readonly (keyof AggregateOptions)[]

type Wrong = readonly [key: string, message: string, suggestion: string]

/** False when a key is missing or has no meaning; the problems are added. */
export function checkAggregateKeys(
  document: TopologyDocument,
  path: Path,
  options: AggregateOptions,
): boolean {
  const wrong = [
    ...wrongValue(options),
    ...wrongCondition(options),
    ...wrongSettings(options, aggregateOf(options.aggregate)),
  ]
  for (const [key, message, suggestion] of wrong) document.add([...path, key], message, suggestion)
  return wrong.length === 0
}

function wrongValue({ aggregate, value, divideBy }: AggregateOptions): Wrong[] {
  const { value: needs, divided } = aggregateOf(aggregate)
  const wrong: Wrong[] = []
  if (needs === 'needed' && value === undefined) {
    wrong.push([
      'aggregate',
      `${aggregate} needs a value.`,
      'Add value: and the number to take of each event.',
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
  return [
    ['aggregate', `${aggregate} needs a condition.`, 'Add where: and the condition whose share is wanted.'],
  ]
}

function wrongSettings(options: AggregateOptions, { settings }: Aggregate): Wrong[] {
  return settingKeys.flatMap((key): Wrong[] => {
    if (settings.includes(key) || options[key] === undefined) return []
    const takers = aggregateNames.filter((name) => aggregateOf(name).settings.includes(key))
    return [
      [
        key,
        `${options.aggregate} takes no ${key}.`,
        `Remove it, or write aggregate: ${takers.join(' or ')}.`,
      ],
    ]
  })
}

/** The settings an aggregate takes, as checked. */
export function settingsOf(
  options: AggregateOptions & { readonly aggregate: AggregateName },
): AggregateSettings {
  const { smoothing } = options
  return smoothing === undefined ? {} : { smoothing }
}
