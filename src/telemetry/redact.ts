/**
 * What must never reach a log: secrets, and the contents of records (keys and values are often personal data).
 * Log calls are rare (none per record), so a walk over the fields costs nothing that matters.
 */
const secretName = /pass(word|phrase|wd)?$|secret|token|credential|authorization|api[-_]?key|private[-_]?key/i
const contentNames = new Set([
  'key',
  'value',
  'payload',
  'raw',
  'headers',
  'fields',
  'record',
  'event',
  'row',
])
/** `scheme://user:password@host`: the password goes, the user stays. An empty user is common with Redis. */
const urlPassword = /([a-z][a-z0-9+.-]*:\/\/[^\s:@/?#]*):[^\s/?#]*@/gi
/** Passwords as options in text: `password=…`, `"password": "…"`. */
const textPassword = /((?:pass(?:word|wd)|secret|token)["']?\s*[=:]\s*["']?)[^\s"',;&}]+/gi
const depthMax = 6
const itemsMax = 50

export const redacted = '[redacted]'

export function redactText(text: string): string {
  return text.replace(urlPassword, `$1:${redacted}@`).replace(textPassword, `$1${redacted}`)
}

/** A copy of log fields without secrets and record contents, bounded in depth and length. */
export function redactFields(fields: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return redactObject(fields, 0)
}

function redactObject(object: Readonly<Record<string, unknown>>, depth: number): Record<string, unknown> {
  const result: Record<string, unknown> = {}
  for (const [name, value] of Object.entries(object)) {
    if (secretName.test(name)) result[name] = redacted
    else if (contentNames.has(name) && value !== null && value !== undefined) result[name] = '[not logged]'
    else result[name] = redactValue(value, depth + 1)
  }
  return result
}

function redactValue(value: unknown, depth: number): unknown {
  if (typeof value === 'string') return redactText(value)
  if (typeof value === 'bigint') return value.toString()
  if (typeof value === 'function' || typeof value === 'symbol') return undefined
  if (typeof value !== 'object' || value === null) return value
  if (ArrayBuffer.isView(value)) return `[${value.byteLength} bytes]`
  if (depth > depthMax) return '[…]'
  if (value instanceof Error) return redactError(value, depth)
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? null : value.toISOString()
  if (value instanceof Map)
    return redactObject(Object.fromEntries(value as ReadonlyMap<string, unknown>), depth)
  if (value instanceof Set) return redactArray([...value], depth)
  if (Array.isArray(value)) return redactArray(value, depth)
  return redactObject(value as Record<string, unknown>, depth)
}

function redactArray(items: readonly unknown[], depth: number): unknown[] {
  const shown = items.slice(0, itemsMax).map((item) => redactValue(item, depth + 1))
  return items.length > itemsMax ? [...shown, `… ${items.length - itemsMax} more`] : shown
}

/** Name, code, message, stack and cause; other properties of foreign errors (requests, payloads) stay out. */
function redactError(error: Error, depth: number): Record<string, unknown> {
  const { code } = error as { code?: unknown }
  return {
    name: error.name,
    ...(typeof code === 'string' || typeof code === 'number' ? { code } : {}),
    message: redactText(error.message),
    ...(error.stack === undefined ? {} : { stack: redactText(error.stack) }),
    ...(error.cause === undefined ? {} : { cause: redactValue(error.cause, depth + 1) }),
  }
}
