import { MillraceError } from '../errors.ts'

/** Epoch milliseconds, a date, or an ISO time with its zone. */
export function eventTime(text: string): number {
  const value = /^-?\d+$/.test(text) ? Number(text) : parsed(text)
  if (Number.isSafeInteger(value) && Math.abs(value) <= timeMaxMs) return value
  const zone = Number.isFinite(Date.parse(text)) ? `; without a zone it would depend on the machine` : ''
  throw new MillraceError(
    'USAGE',
    `${text} is no time; write epoch milliseconds, or an ISO time such as 2026-01-31T00:00:00Z${zone}`,
  )
}

/** What a JavaScript date can hold. */
const timeMaxMs = 8.64e15

function parsed(text: string): number {
  const isDate = /^\d{4}-\d{2}-\d{2}$/.test(text)
  return isDate || /T.*(Z|[+-]\d{2}:?\d{2})$/.test(text) ? Date.parse(text) : NaN
}
