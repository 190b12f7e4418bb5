import { MillraceError } from '../../errors.ts'
import { parseDeadLetter, selects, type DeadLetter, type DeadLetterFilter } from './dead-letter.ts'
import type { LogPartition, LogReader } from './log-reader.ts'

/** How long the next record of a dead-letter topic is waited for; an open transaction of the service takes milliseconds. */
const openWaitMs = 10_000
/** Record timestamps and failed-at come from different clocks. */
const clockSkewMs = 10 * 60_000

/** False when it has seen enough. */
export type TakeLetter = (letter: DeadLetter) => Promise<boolean> | boolean

/** What a pass over dead letters was asked for and has not seen. */
export interface LettersLeft {
  readonly unread: readonly Unread[]
  /** Ids asked for that no selected letter bears; none when the pass stopped early. */
  readonly unmet: readonly string[]
}

export interface Unread {
  readonly topic: string
  readonly partition: number
  /** First offset not read, and the one before which reading was to end. */
  readonly reached: number
  readonly end: number
}

/** Hands out the selected letters of these dead-letter topics. A partition that cannot be read does not hold the others. */
export async function readLetters(
  reader: LogReader,
  { topics, filter }: { readonly topics: readonly string[]; readonly filter: DeadLetterFilter },
  take: TakeLetter,
  signal: AbortSignal,
): Promise<LettersLeft> {
  const unmet = new Set(filter.ids)
  const unread: Unread[] = []
  const takeSelected = (letter: DeadLetter): Promise<boolean> | boolean => {
    if (!selects(filter, letter)) return true
    unmet.delete(letter.id)
    return take(letter)
  }
  for (const log of reader.partitions) {
    if (!topics.includes(log.topic)) continue
    const from = await firstOffset(reader, log, filter)
    const { more, left } = await readPartition(reader, log, from, takeSelected, signal)
    if (!more) return { unread, unmet: [] }
    if (left !== null) unread.push(left)
  }
  return { unread, unmet: [...unmet] }
}

/** `left`: what could not be read; null: nothing. */
export async function readPartition(
  reader: LogReader,
  log: LogPartition,
  from: number,
  take: TakeLetter,
  signal: AbortSignal,
): Promise<{ readonly more: boolean; readonly left: Unread | null }> {
  let more = true
  const { topic, partition } = log
  const { end } = log.range
  const takeAll: Parameters<LogReader['read']>[1]['take'] = async (records) => {
    for (const record of records) {
      const letter = parseDeadLetter(record)
      if (letter !== null && !(await take(letter))) more = false
      if (!more) break
    }
    return more
  }
  const reached = await reader.read(log, { from, end, openWaitMs, take: takeAll }, signal)
  return { more, left: more && reached < end ? { topic, partition, reached, end } : null }
}

async function firstOffset(
  { client }: LogReader,
  log: LogPartition,
  filter: DeadLetterFilter,
): Promise<number> {
  if (filter.fromMs === null) return log.range.start
  const found = await client.admin.offsetAt(log.topic, log.partition, filter.fromMs - clockSkewMs)
  return Math.max(found, log.range.start)
}

/** A command that has not seen everything it was asked for must not look like one that has. */
export function refuseLeft({ unread, unmet }: LettersLeft): void {
  refuseUnread(unread)
  if (unmet.length === 0) return
  throw new MillraceError(
    'USAGE',
    `there is no dead letter ${unmet.join(', ')} that the other filters select; \`millrace dlq ls\` lists them`,
  )
}

export function refuseUnread(unread: readonly Unread[]): void {
  if (unread.length === 0) return
  const places = unread.map(
    ({ topic, partition, reached, end }) => `${topic}:${partition} (from offset ${reached} on, of ${end})`,
  )
  const what =
    unread.length === 1
      ? '1 partition was not read to its end'
      : `${unread.length} partitions were not read to their end`
  throw new MillraceError(
    'KAFKA_READ_INCOMPLETE',
    `${what}: ${places.join(', ')}; an open transaction, no leader, or a slow broker: which is not known`,
  )
}
