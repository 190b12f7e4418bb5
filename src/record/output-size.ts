import type { OutputRecord } from './output.ts'

/** Header of a record batch. */
export const batchOverheadBytes = 61
/** Length, attributes, deltas and lengths of one record: varints, at most this much together. */
const recordOverheadBytes = 40
/** Lengths of one header's name and value. */
const headerOverheadBytes = 10

/** Upper bound of a record's share of an uncompressed batch. */
export function recordBytes({ key, value, headers }: OutputRecord): number {
  let bytes = recordOverheadBytes + (key?.length ?? 0) + bytesOf(value)
  for (const [name, header] of headers ?? []) bytes += headerOverheadBytes + bytesOf(name) + bytesOf(header)
  return bytes
}

function bytesOf(text: Buffer | string | null): number {
  if (text === null) return 0
  return typeof text === 'string' ? Buffer.byteLength(text) : text.length
}
