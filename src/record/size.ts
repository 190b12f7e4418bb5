import type { OutputRecord } from './output.ts'

/** Kafka's default `max.message.bytes`: the largest record batch a topic takes. */
export const defaultBatchBytesMax = 1_048_588
/** Header of a record batch. */
export const batchOverheadBytes = 61
/** Length, attributes, deltas and lengths of one record: varints, at most this much together. */
const recordOverheadBytes = 40
/** Lengths of one header's name and value. */
const headerOverheadBytes = 10

/** Upper bound of a record's share of an uncompressed batch. */
export function recordBytes({
  key,
  value,
  headers,
}: Pick<OutputRecord, 'key' | 'value' | 'headers'>): number {
  let bytes = recordOverheadBytes + (key?.length ?? 0) + bytesOf(value)
  for (const [name, header] of headers ?? []) bytes += headerOverheadBytes + bytesOf(name) + bytesOf(header)
  return bytes
}

/** Upper bound of the batch that holds nothing but this record. */
export function aloneBytes(record: Pick<OutputRecord, 'key' | 'value' | 'headers'>): number {
  return batchOverheadBytes + recordBytes(record)
}

function bytesOf(text: Buffer | string | null | undefined): number {
  if (text === null || text === undefined) return 0
  return typeof text === 'string' ? Buffer.byteLength(text) : text.length
}
