import { headerTexts, nameText } from '../record/headers.ts'
import type { Verdict } from '../service/dead-letters/check.ts'
import type { CheckedLetter } from '../service/dead-letters/commands.ts'
import type { ReplayStep } from '../service/dead-letters/replay.ts'
import { placeText } from '../service/dead-letters/dead-letter.ts'
import type { DeadLetter } from '../service/dead-letters/dead-letter.ts'
import { deadLetterTopicsOf } from '../service/topics.ts'
import { visible, visibleJson } from '../telemetry/visible.ts'
import type { Plan } from '../topology/plan.ts'

/** Lines of `dlq ls` and `dlq replay`: a table of fixed widths, so that it can be printed as it is read, or JSON lines. */
export interface LetterFormat {
  readonly head: string
  letter(letter: DeadLetter): string
  /** `count`: what the summary counts it as. */
  checked(checked: CheckedLetter): { readonly text: string; readonly count: string }
  step(letter: DeadLetter, step: ReplayStep): string
}

const messageCharsMax = 100
/** Longest reason: VALIDATION. */
const reasonChars = 10
const offsetChars = 9

export function createLetterFormat(
  output: 'table' | 'json',
  plan: Pick<Plan, 'sources' | 'sinks'>,
  lastColumn: 'message' | 'now' | 'step',
): LetterFormat {
  const json = output === 'json'
  const width = (topics: readonly string[]): number =>
    Math.max(...topics.map(({ length }) => length)) + ':00@'.length + offsetChars
  const idChars = width(deadLetterTopicsOf(plan as Plan))
  const fromChars = width(plan.sources.map(({ topic }) => topic))
  const line = (
    id: string,
    failedAt: string,
    reason: string,
    stage: string,
    from: string,
    last: string,
  ): string =>
    `${[
      id.padEnd(idChars),
      failedAt.padEnd('2026-01-31T10:20:30.123Z'.length),
      reason.padEnd(reasonChars),
      stage.padEnd('feature'.length),
      from.padEnd(fromChars),
      last,
    ]
      .join('  ')
      .trimEnd()}\n`
  const row = (letter: DeadLetter, last: string): string =>
    line(
      letter.id,
      isoTime(letter.failedAtMs),
      letter.reason,
      visible(letter.stage),
      placeText(letter.source),
      shortened(last),
    )
  return {
    head: json ? '' : line('ID', 'FAILED AT', 'REASON', 'STAGE', 'SOURCE', lastColumn.toUpperCase()),
    letter: (letter) => (json ? jsonLine(letterFields(letter)) : row(letter, letter.message)),
    checked: (checked) => {
      const { letter, left, verdict } = checked
      const fields = { ...letterFields(letter), left, now: verdict }
      return {
        text: json ? jsonLine(fields) : row(letter, left ?? verdictText(verdict)),
        count: left ?? [verdict.outcome, verdict.reason].filter((part) => part !== undefined).join(' '),
      }
    },
    step: (letter, step) => (json ? jsonLine({ ...letterFields(letter), step }) : row(letter, step)),
  }
}

function letterFields(letter: DeadLetter): Record<string, unknown> {
  const { id, reason, stage, message, source, group, failedAtMs, attempts, model, schemaId, replayOf } =
    letter
  return {
    id,
    reason,
    stage,
    message,
    source,
    group,
    failedAt: isoTime(failedAtMs),
    attempts,
    model,
    schemaId,
    replayOf,
  }
}

function isoTime(ms: number): string {
  return new Date(ms).toISOString()
}

function jsonLine(fields: Record<string, unknown>): string {
  return `${visibleJson(fields)}\n`
}

export function verdictText({ outcome, reason, flags, message }: Verdict): string {
  const flagged = flags.length > 0 ? ` (flags: ${flags.join(', ')})` : ''
  switch (outcome) {
    case 'scored':
      return `would be scored${flagged}: ${message}`
    case 'state':
      return `would count: ${message}`
    case 'ignored':
      return `would be ignored: ${message}`
    case 'dead-letter':
      return `${reason} again: ${message}`
    case 'waits':
      return `would wait: ${message}`
    case 'unknown-source':
      return message
  }
}

export function countsText(
  counts: ReadonlyMap<string, number>,
  of: string,
  output: 'table' | 'json',
): string {
  const sorted = [...counts].toSorted(([a, n], [b, m]) => m - n || (a < b ? -1 : 1))
  const total = sorted.reduce((sum, [, count]) => sum + count, 0)
  if (output === 'json') return jsonLine({ total, [of]: Object.fromEntries(sorted) })
  const lines = [...sorted, ['total', total] as const]
  return lines.map(([name, count]) => `${name.padEnd(reasonChars)}  ${String(count).padStart(9)}\n`).join('')
}

/** Everything about one dead letter. */
export function letterDetails(letter: DeadLetter, verdict: Verdict, output: 'table' | 'json'): string {
  const { raw } = letter
  if (output === 'json') {
    return jsonLine({
      ...letterFields(letter),
      timestamp: raw.timestamp,
      headers: Object.fromEntries(headerTexts(raw.headers)),
      key: bytesFields(raw.key),
      value: bytesFields(raw.value),
      now: verdict,
    })
  }
  const headers = raw.headers.map(
    ([name, value]) => `  ${visible(nameText(name))}: ${visible(value?.toString() ?? '')}\n`,
  )
  return [
    `${letter.id}: ${letter.reason} in stage ${visible(letter.stage)}, ${isoTime(letter.failedAtMs)}\n`,
    `  was ${placeText(letter.source)}\n`,
    `  ${visible(letter.message)}\n`,
    'headers\n',
    ...headers,
    `key     ${bytesText(raw.key)}\n`,
    `value   ${bytesText(raw.value)}\n`,
    `now     ${visible(verdictText(verdict))}\n`,
  ].join('')
}

/** Text where the bytes are UTF-8, and hex otherwise. */
function bytesFields(bytes: Buffer | null): Record<string, unknown> | null {
  if (bytes === null) return null
  const text = utf8(bytes)
  return { bytes: bytes.length, ...(text === null ? { hex: bytes.toString('hex') } : { text }) }
}

const rowBytes = 16

function bytesText(bytes: Buffer | null): string {
  if (bytes === null) return 'none (null)'
  const text = utf8(bytes)
  if (text !== null) return `${bytes.length} bytes, text\n  ${visible(text)}`
  const rows = Array.from({ length: Math.ceil(bytes.length / rowBytes) }, (_, row) => {
    const some = bytes.subarray(row * rowBytes, (row + 1) * rowBytes)
    const hex = some.toString('hex').replace(/../g, '$& ')
    const shown = some.toString('latin1').replace(/[^\x20-\x7e]/g, '.')
    return `\n  ${(row * rowBytes).toString(16).padStart(6, '0')}  ${hex.padEnd(3 * rowBytes)} ${shown}`
  })
  return `${bytes.length} bytes, hex${rows.join('')}`
}

function utf8(bytes: Buffer): string | null {
  try {
    const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
    return /[\u0000-\u0008\u000e-\u001f]/.test(text) ? null : text
  } catch {
    return null
  }
}

function shortened(text: string): string {
  const line = visible(text)
  return line.length > messageCharsMax ? `${line.slice(0, messageCharsMax - 1)}…` : line
}
