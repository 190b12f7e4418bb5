import { z } from 'zod'
import {
  duration,
  entries,
  expression,
  flag,
  identifierPattern,
  integer,
  listOf,
  number,
  object,
  oneOf,
  text,
} from '../expression/written.ts'
import { aggregateHint } from './aggregates/hints.ts'
import {
  aggregateNames,
  aggregateOf,
  aggregatesOfTexts,
  aggregatesOfValues,
  aggregatesWith,
} from './aggregates/table.ts'
import type { SettingKey } from './aggregates/aggregate.ts'

const name = text({ lengthMax: 200 })

export const entityOptions = object({
  key: z
    .union([name, listOf(name, 'a field name or a list of field names')])
    .transform((written) => [written].flat())
    .describe(
      'Field whose value identifies the entity (`after.id`: one inside another), or a list of fields for a pair key.',
    ),
  merge: flag()
    .prefault(false)
    .describe(
      'false: all events of an entity are in one partition (the record key is part of its key), so features are exact. true: every source partition keeps a part, and parts are added up when read.',
    ),
})

export type EntityOptions = z.output<typeof entityOptions>

const oneWindow = duration({ min: 1 })
const windows = z.union([oneWindow, listOf(oneWindow, 'a duration or a list of durations')])
const missingDefault = z.union([z.null(), number()])

const without = aggregateNames.filter((name) => aggregateOf(name).current === false).join(' and ')
const countLike = aggregateNames
  .filter((name) => name !== 'rate' && aggregateOf(name).empty({}) === 0)
  .join(', ')

/** "For std and variance: …" */
function settingText(key: SettingKey, text: string): string {
  return `For ${aggregatesWith(key).join(', ')}: ${text}`
}

const aggregateOptions = object({
  over: name.describe('Entity whose events are aggregated.'),
  from: name.optional().describe('Source whose events are aggregated. Default: the scored source.'),
  aggregate: oneOf(aggregateNames, aggregateHint).describe(
    'What is made of the events in the window; docs/features.md has a section for each.',
  ),
  value: expression()
    .optional()
    .describe(
      `Number of each event (CEL over its fields), of ${aggregatesOfTexts.join(' and ')} also a text; for ${aggregatesOfValues.join(', ')}.`,
    ),
  where: expression().optional().describe('Condition an event must meet to count (CEL over its fields).'),
  divideBy: number()
    .optional()
    .describe(
      'The result is divided by this, after exact summation (100 turns cents into whole units). Default 1.',
    ),
  window: windows.describe(
    'Length W, or a list; with a list, `{window}` in the name stands for each as written.',
  ),
  delay: duration().prefault('0ms').describe('Delay D: the window covers (t − D − W, t − D].'),
  edges: oneOf(['(]', '[)', '[]', '()'])
    .prefault('(]')
    .describe('Which ends belong to the window: "(]" is left open, right closed.'),
  current: flag()
    .optional()
    .describe(
      `Whether the event is in its own window. Default: true${without === '' ? '' : `, of ${without} false`}.`,
    ),
  smoothing: object({
    weight: number({ min: 0 }).describe('Weight of the prior, in events.'),
    prior: number({ min: 0, max: 1 }).describe('Rate assumed without events.'),
  })
    .optional()
    .describe(settingText('smoothing', '(hits + weight · prior) / (count + weight).')),
  estimate: oneOf(['sample', 'population'])
    .optional()
    .describe(settingText('estimate', 'squares are divided by n − 1 (sample, the default) or by n.')),
  q: number({ min: 0, max: 1 })
    .optional()
    .describe(settingText('q', 'share of the events below, 0.5 for the median.')),
  halfLife: duration({ min: 1 })
    .optional()
    .describe(settingText('halfLife', 'age at which an event counts half.')),
  per: duration({ min: 1 })
    .optional()
    .describe(settingText('per', 'time in which the value rises by the result. Default: 1s.')),
  n: integer({ min: 1, max: 1_000_000 })
    .optional()
    .describe(settingText('n', 'place counted from the newest event, which is 1.')),
  default: missingDefault
    .optional()
    .describe(
      `Value where the window gives none; null: missing. Default: 0 for ${countLike}, the prior (else 0) for rate, null otherwise.`,
    ),
})

const ratioOptions = object({
  ratio: object({
    of: name.describe('Feature or value above the line. `{window}` is expanded.'),
    to: name.describe('Feature or value below the line. `{window}` is expanded.'),
  }).describe(
    'In place of over, aggregate and the like: computed from two other features or values of the same row; keeps no state.',
  ),
  window: windows.optional().describe('With ratio: windows that `{window}` stands for.'),
  default: missingDefault
    .prefault(null)
    .describe('With ratio: value when `to` is 0 or one of the two is missing; null: missing.'),
})

export const featureOptions = z.union([aggregateOptions, ratioOptions])

export type AggregateOptions = z.output<typeof aggregateOptions>
export type RatioOptions = z.output<typeof ratioOptions>
export type FeatureOptions = z.output<typeof featureOptions>

export const valueOptions = expression().describe('Expression over the fields of the scored event.')

export const entityEntries = entries(
  identifierPattern(false),
  'a name (letters, digits, _)',
  entityOptions,
).describe('What features are kept for: each entity has a state of its own.')
export const valueEntries = entries(
  identifierPattern(false),
  'a name (letters, digits, _)',
  valueOptions,
).describe('Numbers computed from the scored event alone (CEL over its fields); booleans become 1 and 0.')
export const featureEntries = entries(
  identifierPattern(true),
  'a name (letters, digits, _, and {window})',
  featureOptions,
).describe('Numbers computed from windows of earlier events, in event time.')

/** The part of `limits:` that the features stage needs. */
export const featureLimits = {
  eventsPerEntityMax: integer({ min: 1, max: 10_000_000 })
    .prefault(10_000)
    .describe('Events kept of one entity; features that would see more are flagged `capped`.'),
}
