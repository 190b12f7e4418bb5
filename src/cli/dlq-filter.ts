import { MillraceError } from '../errors.ts'
import { didYouMean } from '../expression/nearest.ts'
import { rejectReasons, rejectStages } from '../record/event.ts'
import {
  everyDeadLetter,
  parsePlace,
  placeText,
  topicsSelected,
  type DeadLetterFilter,
} from '../service/dead-letters/dead-letter.ts'
import type { Plan } from '../topology/plan.ts'

/** Filters as they come from the command line. */
export interface FilterOptions {
  readonly reason?: readonly string[]
  readonly stage?: readonly string[]
  readonly source?: readonly string[]
  readonly partition?: number
  readonly from?: string
  readonly to?: string
  readonly id?: readonly string[]
}

/** Throws USAGE for names that do not exist: a misspelt filter must not look like an empty topic. */
export function filterOf(options: FilterOptions, plan: Pick<Plan, 'sources' | 'sinks'>): DeadLetterFilter {
  const topics = options.source?.map((name) => topicOf(name, plan)) ?? null
  const letterTopics = topicsSelected(plan, { ...everyDeadLetter, topics })
  const from = options.from === undefined ? null : bound('--from', options.from)
  const to = options.to === undefined ? null : bound('--to', options.to)
  return {
    ...everyDeadLetter,
    reasons: known(
      '--reason',
      options.reason?.map((one) => one.toUpperCase()),
      [...rejectReasons, 'UNKNOWN'],
    ),
    stages: known('--stage', options.stage, rejectStages),
    topics,
    partition: options.partition ?? null,
    fromMs: from?.timeMs ?? null,
    fromOffset: from?.offset ?? null,
    toMs: to?.timeMs ?? null,
    toOffset: to?.offset ?? null,
    ids: options.id === undefined ? null : new Set(options.id.map((text) => idOf(text, letterTopics))),
  }
}

function known(
  option: string,
  given: readonly string[] | undefined,
  names: readonly string[],
): readonly string[] | null {
  const wrong = given?.find((name) => !names.includes(name))
  if (wrong === undefined) return given ?? null
  const hint = didYouMean(wrong, names)
  throw new MillraceError('USAGE', `${option} ${wrong}: write ${names.join(', ')}. ${hint}`.trim())
}

function topicOf(name: string, { sources }: Pick<Plan, 'sources'>): string {
  const found = sources.find((source) => source.name === name || source.topic === name)
  if (found) return found.topic
  const names = sources.flatMap((source) => [source.name, source.topic])
  throw new MillraceError('USAGE', `--source ${name}: the topology has ${names.join(', ')}`)
}

function idOf(text: string, letterTopics: readonly string[]): string {
  const place = parsePlace(text)
  if (place === null) {
    throw new MillraceError('USAGE', `--id ${text}: write TOPIC:PARTITION@OFFSET as \`millrace dlq ls\` does`)
  }
  // As `ls` writes it: `1@007` would never be met.
  if (letterTopics.includes(place.topic)) return placeText(place)
  throw new MillraceError(
    'USAGE',
    `--id ${text}: ${place.topic} is no dead-letter topic of these sources, which have ${letterTopics.join(', ')}`,
  )
}

function bound(
  option: string,
  text: string,
): { readonly timeMs: number | null; readonly offset: number | null } {
  if (/^\d+$/.test(text) && Number.isSafeInteger(Number(text))) return { timeMs: null, offset: Number(text) }
  const timeMs = Date.parse(text)
  if (/^\d{4}-/.test(text) && Number.isFinite(timeMs)) return { timeMs, offset: null }
  throw new MillraceError(
    'USAGE',
    `${option} ${text}: write an ISO time such as 2026-01-31T10:00:00Z, or a source offset`,
  )
}
