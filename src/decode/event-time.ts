import { Fault, show } from './fault.ts'

/** 9999-12-31T23:59:59.999Z: the last time RFC 3339 can write, and far beyond any unit mix-up (s, µs, ns). */
const timeMaxMs = 253_402_300_799_999

const rfc3339 = /^(\d{4}-\d{2}-\d{2})[Tt]\d{2}:\d{2}:\d{2}(?:\.\d{1,9})?(?:[Zz]|[+-]\d{2}:\d{2})$/
const dayMs = 86_400_000

export type TimeFormat = 'epochMs' | 'iso'

/** The event time in epoch ms, or why it is none. */
export function readTime(field: string, value: unknown, format: TimeFormat): number | Fault {
  const time = format === 'epochMs' ? value : parseRfc3339(value)
  if (typeof time !== 'number' || !Number.isSafeInteger(time)) {
    const expected = format === 'epochMs' ? 'whole epoch milliseconds' : 'RFC 3339 text with a time zone'
    return new Fault('TIMESTAMP', `at /${field}: expected ${expected}, found ${show(value)}`)
  }
  if (time < 0 || time > timeMaxMs) {
    return new Fault('TIMESTAMP', `at /${field}: expected a time from 1970 to 9999, found ${show(value)}`)
  }
  return time + 0 // −0 becomes 0
}

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
