import type { Alert, Prediction, Reason } from '../record/prediction.ts'
import { headerText, headerTexts } from '../record/headers.ts'
import type { RawRecord } from '../record/raw-record.ts'
import { visible, visibleJson } from '../telemetry/visible.ts'
import { describeReason } from './live-view.ts'

export const tailKinds = ['predictions', 'alerts', 'deadletters'] as const
export type TailKind = (typeof tailKinds)[number]

/** One line for one record: for people, or JSON with the record's position and headers. */
export function formatTailed(kind: TailKind, record: RawRecord, output: 'line' | 'json'): string {
  if (output === 'json') return visibleJson(toJson(record))
  const text = kind === 'deadletters' ? deadLetterLine(record) : scoredLine(record)
  return visible(text)
}

function toJson(record: RawRecord): Record<string, unknown> {
  return {
    topic: record.topic,
    partition: record.partition,
    offset: record.offset,
    timestamp: record.timestamp,
    key: record.key === null ? null : record.key.toString(),
    headers: Object.fromEntries(headerTexts(record.headers)),
    ...valueFields(record.value),
  }
}

/** JSON values as they are; any other bytes in base64, under a name that says so. */
function valueFields(value: Buffer | null): Record<string, unknown> {
  if (value === null) return { value: null }
  const parsed = parseJson(value, asWritten)
  return parsed === undefined ? { valueBase64: value.toString('base64') } : { value: parsed }
}

type Reviver = (key: string, value: unknown, context: { readonly source?: string }) => unknown
// Newer than the typings: what a reviver is told, and text that stringify writes as it is.
const json = JSON as unknown as {
  parse(text: string, reviver?: Reviver): unknown
  rawJSON(text: string): object
}

/** Numbers that a double would round are shown with the digits they came with. */
const asWritten: Reviver = (_, value, { source }) =>
  typeof value === 'number' && Math.abs(value) > Number.MAX_SAFE_INTEGER && source !== undefined
    ? json.rawJSON(source)
    : value

function parseJson(value: Buffer, reviver?: Reviver): unknown {
  try {
    return json.parse(value.toString(), reviver)
  } catch {
    return undefined
  }
}

function scoredLine(record: RawRecord): string {
  const place = placeOf(record)
  const value = record.value === null ? null : parseJson(record.value)
  if (!isScored(value)) return `${place}  ${record.value?.length ?? 0} bytes, not JSON (use -o json)`
  const { alert, flags } = { alert: isAlert(value) ? value : null, flags: value.flags }
  return [
    new Date(value.occurredAt).toISOString(),
    value.score.toFixed(4),
    alert ? alert.severity : value.decision,
    `key=${value.key}`,
    `id=${value.id}`,
    ...(flags.length > 0 ? [`flags=${flags.join(',')}`] : []),
    ...(alert ? [`rules=${alert.rules.map(({ id }) => id).join(',')}`] : []),
    ...(alert && alert.reasons.length > 0 ? [`because ${reasonsText(alert.reasons)}`] : []),
    place,
  ].join('  ')
}

function reasonsText(reasons: readonly Reason[]): string {
  return reasons.map(describeReason).join(', ')
}

function deadLetterLine(record: RawRecord): string {
  const from = (name: string) => headerText(record.headers, `__dlq.errors.${name}`) ?? '?'
  return [
    new Date(record.timestamp).toISOString(),
    headerText(record.headers, 'millrace.dlq.reason') ?? 'UNKNOWN',
    headerText(record.headers, 'millrace.dlq.stage') ?? '?',
    `from ${from('topic')}:${from('partition')}@${from('offset')}`,
    from('message'),
    placeOf(record),
  ].join('  ')
}

function placeOf({ topic, partition, offset }: RawRecord): string {
  return `${topic}:${partition}@${offset}`
}

function isScored(value: unknown): value is Prediction {
  if (typeof value !== 'object' || value === null) return false
  const { score, occurredAt } = value as Partial<Prediction>
  return typeof score === 'number' && Number.isFinite(new Date(occurredAt ?? NaN).getTime())
}

function isAlert(value: Prediction): value is Alert {
  return 'alertId' in value && 'rules' in value && 'reasons' in value
}
