import { fieldAt, pointerOf } from '../record/field-path.ts'
import type { RawRecord } from '../record/raw-record.ts'
import { Fault, show, showAt } from './fault.ts'
import type { Fields } from '../record/event.ts'
import type { SourcePlan, TimeFormat } from './plan.ts'

/** 9999-12-31T23:59:59.999Z: the last time RFC 3339 can write. */
const timeMaxMs = 253_402_300_799_999
const yearMs = 365.25 * 86_400_000
/** Less is history that is written down today. Epoch seconds read as milliseconds are further off since 1990. */
const implausibleMinMs = 20 * yearMs

export type EpochFormat = Exclude<TimeFormat, 'iso'>

interface Unit {
  /** As written in the topology. */
  readonly unit: string
  readonly name: string
  readonly toMs: (value: number | bigint) => number | null
}

export const epochUnits: Readonly<Record<EpochFormat, Unit>> = {
  epochMs: { unit: 'ms', name: 'milliseconds', toMs: wholeMs },
  epochS: { unit: 's', name: 'seconds', toMs: secondsToMs },
  epochUs: { unit: 'us', name: 'microseconds', toMs: (value) => partsToMs(value, 1_000n) },
  epochNs: { unit: 'ns', name: 'nanoseconds', toMs: (value) => partsToMs(value, 1_000_000n) },
}

function wholeMs(value: number | bigint): number | null {
  return Number.isInteger(Number(value)) ? Number(value) : null
}

/** Digits beyond the milliseconds are cut, on the decimal digits: 1700000000.123 times 1000 is no whole double. */
function secondsToMs(value: number | bigint): number | null {
  if (typeof value === 'bigint' || Number.isInteger(value)) return Number(value) * 1000
  if (!Number.isFinite(value) || value < 0) return null
  const [whole, fraction = ''] = (value < 1e-6 ? '0' : String(value)).split('.') as [string, string?]
  return Number(whole) * 1000 + Number(fraction.slice(0, 3).padEnd(3, '0'))
}

/** Parts of a millisecond are cut. */
function partsToMs(value: number | bigint, perMs: bigint): number | null {
  if (typeof value === 'number' && !Number.isInteger(value)) return null
  const whole = BigInt(value)
  return whole < 0n ? -1 : Number(whole / perMs)
}

/** Fields of a record → its event time in epoch ms, or why it has none. */
export function compileTimeReader(source: SourcePlan): (fields: Fields, raw: RawRecord) => number | Fault {
  const { timeField: field, timeFormat: format, limits } = source
  const read = format === 'iso' ? parseRfc3339 : epochReader(format)
  return (fields, raw) => {
    const value = fieldAt(fields, field)
    const time = read(value)
    const recordMs = raw.timestamp
    if (time !== null && time >= 0 && time <= timeMaxMs && time <= recordMs + limits.futureMaxMs) {
      const isOld = recordMs - time > implausibleMinMs && limits.implausibleTime !== 'accept'
      if (!isOld || unitHint(value, source, recordMs) === '') return time + 0 // −0 becomes 0
    }
    const problem = problemOf(value, showAt(fields, field), time, source, recordMs)
    return new Fault(
      'TIMESTAMP',
      `at ${pointerOf(fields, field)}: ${problem}${unitHint(value, source, recordMs)}`,
    )
  }
}

function epochReader(format: EpochFormat): (value: unknown) => number | null {
  const { toMs } = epochUnits[format]
  return (value) => (isNumber(value) ? toMs(value) : null)
}

function problemOf(
  value: unknown,
  found: string,
  time: number | null,
  { timeFormat, limits }: SourcePlan,
  recordMs: number,
): string {
  if (time === null) {
    const problem = timeFormat === 'iso' ? isoProblem(value) : ''
    return `expected ${expectedOf(timeFormat)}, found ${found}${problem}`
  }
  if (time < 0 || time > timeMaxMs) return `expected a time from 1970 to 9999, found ${show(value)}`
  if (time > recordMs + limits.futureMaxMs) {
    return (
      `${time} is ${time - recordMs} ms later than the record's timestamp ${recordMs}, ` +
      `allowed are ${limits.futureMaxMs} ms`
    )
  }
  const years = Math.round((recordMs - time) / yearMs)
  return (
    `${show(value)} is ${new Date(time).toISOString()}, ${years} years before the record's timestamp ` +
    '(if that is right, write implausible: accept under time)'
  )
}

function isNumber(value: unknown): value is number | bigint {
  return typeof value === 'number' || typeof value === 'bigint'
}

function expectedOf(format: TimeFormat): string {
  if (format === 'iso') return 'RFC 3339 text with a time zone (2026-01-31T10:20:30Z)'
  return format === 'epochS' ? 'epoch seconds' : `whole epoch ${epochUnits[format].name}`
}

/**
 * The unit in which a number would be near the record's time: at most half as far from it as it is as read. Empty when
 * there is none.
 */
function unitHint(value: unknown, { timeField, timeFormat }: SourcePlan, recordMs: number): string {
  const isText = typeof value === 'string'
  const number = isText && /^\d{9,20}(\.\d+)?$/.test(value) ? Number(value) : value
  if (!isNumber(number) || recordMs < implausibleMinMs) return ''
  const asRead = isText || timeFormat === 'iso' ? null : epochUnits[timeFormat].toMs(number)
  const distanceMs = asRead === null ? recordMs : Math.abs(recordMs - asRead)
  for (const [other, { unit, name, toMs }] of Object.entries(epochUnits)) {
    const time = asRead !== null && other === timeFormat ? null : toMs(number)
    if (time === null || time > recordMs + yearMs || recordMs - time > distanceMs / 2) continue
    if (isText) return `; it looks like ${name} written as text: write them as a number`
    return `; it looks like ${name}: write time: {field: ${written(timeField)}, unit: ${unit}}`
  }
  return ''
}

function written(field: string): string {
  return /^[\w.-]+$/.test(field) ? field : JSON.stringify(field)
}

const rfc3339 = /^(\d{4}-\d{2}-\d{2})[Tt]\d{2}:\d{2}:\d{2}(?:\.\d{1,9})?(?:[Zz]|[+-]\d{2}:\d{2})$/
const dayMs = 86_400_000

/** Epoch ms (digits beyond milliseconds are cut), or null when the text is no RFC 3339 time. */
function parseRfc3339(value: unknown): number | null {
  if (typeof value !== 'string') return null
  const date = rfc3339.exec(value)?.[1]
  if (date === undefined) return null
  // Date.parse turns February 30th into March 2nd.
  const midnight = Date.parse(`${date}T00:00:00Z`)
  if (Number.isNaN(midnight) || new Date(midnight).toISOString().slice(0, 10) !== date) return null
  const time = Date.parse(value.toUpperCase())
  // An hour of 24 belongs to the next day in ISO 8601 and does not exist in RFC 3339.
  const isHour24 = value.startsWith('24', 11)
  return Number.isNaN(time) || isHour24 || Math.abs(time - midnight) >= 2 * dayMs ? null : time
}

const date = String.raw`\d{4}-\d{2}-\d{2}`
const clock = String.raw`\d{2}:\d{2}(?::\d{2}(?:[.,]\d+)?)?`
const zone = String.raw`(?:[Zz]|[+-]\d{2}:?(?:\d{2})?)`

/** What usual ways to write a time lack; the first that fits is told. */
const isoProblems: readonly (readonly [pattern: RegExp, problem: string])[] = [
  [new RegExp(`^${date}$`), 'it is a date without a time of day'],
  [new RegExp(`^${date} ${clock} ?$`), 'it has a space in place of the T, and no time zone'],
  [new RegExp(`^${date} ${clock} ?${zone}$`), 'it has a space in place of the T'],
  [new RegExp(`^${date}[Tt]${clock}$`), 'it has no time zone (Z or an offset such as +01:00)'],
  [new RegExp(`^${date}[Tt]\\d{2}:\\d{2}${zone}$`), 'it has no seconds'],
  [new RegExp(`^${date}[Tt][\\d:]+,\\d+${zone}$`), 'it has a comma in place of the decimal point'],
  [new RegExp(`^${date}[Tt][\\d:]+[.]\\d{10,}${zone}$`), 'it has more than nine digits of a second'],
  [new RegExp(`^${date}[Tt]${clock}[+-]\\d{2}(?:\\d{2})?$`), 'its offset is written as +01:00'],
  [new RegExp(`^${date}[Tt]${clock}${zone}\\[.+\\]$`), 'it goes on behind the offset'],
  [new RegExp(`^${date}[Tt]${clock}${zone}$`), 'there is no such day or time'],
  [/^\d{8}(?:[Tt]\d{6}.*)?$/, 'it has no - and : between its parts'],
]

function isoProblem(value: unknown): string {
  if (typeof value !== 'string') return ''
  const problem = isoProblems.find(([pattern]) => pattern.test(value))?.[1]
  return problem === undefined ? '' : `: ${problem}`
}
