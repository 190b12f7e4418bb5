import type { Headers, HeaderValue } from './raw-record.ts'

/** Values of one header in order; null: a header without a value. */
export type HeaderValues = readonly (HeaderValue | null)[]

/**
 * Names and values of all headers. kafkajs collects them in an object, so the order of different names is theirs as a
 * rule, repeated names stand together, and a header called as something that every object has (`constructor`, `toString`,
 * `__proto__`) comes with that thing as its first value, which is left out here.
 */
export function headerEntries(headers: Headers): readonly (readonly [name: string, values: HeaderValues])[] {
  return Object.entries(headers as Readonly<Record<string, unknown>>).map(
    ([name, value]) => [name, valuesOf(value)] as const,
  )
}

/** Empty: there is no such header. */
export function headerValues(headers: Headers, name: string): HeaderValues {
  return Object.hasOwn(headers, name) ? valuesOf(headers[name]) : []
}

function valuesOf(written: unknown): HeaderValues {
  const values: readonly unknown[] = Array.isArray(written) ? written : [written]
  return values.flatMap((value): (HeaderValue | null)[] => {
    if (typeof value === 'string' || Buffer.isBuffer(value)) return [value]
    return value === null || value === undefined ? [null] : []
  })
}

/** As the client can produce them: a header without a value, which it cannot, becomes an empty one. */
export function producible(values: HeaderValues): HeaderValue | readonly HeaderValue[] {
  const present = values.map((value) => value ?? '')
  return present.length === 1 ? present[0]! : present
}

/** As text, repeated ones joined; null: there is no such header. */
export function headerText(headers: Headers, name: string): string | null {
  const values = headerValues(headers, name)
  return values.length === 0 ? null : values.map((value) => value?.toString() ?? '').join(', ')
}
