import type { Header, Headers, HeaderSize, HeaderValue, RawRecord } from './raw-record.ts'

/** Values of one header in order; null: a header without a value. */
export type HeaderValues = readonly (HeaderValue | null)[]

/** Of one record: tracing and routing need a dozen. More make it OVERSIZE, and its dead letter leaves them out. */
export const headersMax = 1_000

/** Headers from an object, for those whose names the program itself has written. */
export function headersOf(named: Readonly<Record<string, HeaderValue>>): Headers {
  return Object.entries(named)
}

/** Empty: there is no such header. */
export function headerValues(headers: Headers, name: string): HeaderValues {
  if (headers.length === 0) return []
  return headers.filter(([each]) => each === name).map(([, value]) => value)
}

/** As text, repeated ones joined; null: there is no such header. */
export function headerText(headers: Headers, name: string): string | null {
  const values = headerValues(headers, name)
  return values.length === 0 ? null : joined(values)
}

/** The text of every header by name, repeated ones joined, in the order in which the names first come. */
export function headerTexts(headers: Headers): ReadonlyMap<string, string> {
  const byName = new Map<string, HeaderValues[number][]>()
  for (const [name, value] of headers) {
    const text = nameText(name)
    const values = byName.get(text)
    if (values === undefined) byName.set(text, [value])
    else values.push(value)
  }
  return new Map([...byName].map(([name, values]) => [name, joined(values)]))
}

/** For people; bytes that are no UTF-8 show as U+FFFD. */
export function nameText(name: Header[0]): string {
  return typeof name === 'string' ? name : name.toString()
}

/** How much the headers of a record are, without decoding what was fetched. */
export function headerSize(record: RawRecord): HeaderSize {
  if (record.headerSize !== undefined) return record.headerSize
  const { headers } = record
  let bytes = 0
  for (const [name, value] of headers) bytes += 2 + bytesOf(name) + bytesOf(value)
  return { count: headers.length, bytes }
}

function bytesOf(text: HeaderValue | null): number {
  if (text === null) return 0
  return typeof text === 'string' ? Buffer.byteLength(text) : text.length
}

function joined(values: HeaderValues): string {
  return values.map((value) => value?.toString() ?? '').join(', ')
}
