import type { OutputRecord } from './output.ts'
import type { Headers } from './raw-record.ts'

/** Kafka's default `max.message.bytes`: the largest record batch a topic takes. */
export const defaultBatchBytesMax = 1_048_588
/** Header of a record batch. */
export const batchOverheadBytes = 61
/** Length, attributes, deltas and lengths of one record: varints, at most this much together. */
const recordOverheadBytes = 40
/** Lengths of one header's name and value. */
const headerOverheadBytes = 10

/** Upper bound of a record's share of an uncompressed batch. `headerBytes`: where they are known. */
export function recordBytes(record: SizedRecord, headerBytes = headersBytes(record.headers)): number {
  return recordOverheadBytes + (record.key?.length ?? 0) + valueBytesOf(record) + headerBytes
}

type SizedRecord = Pick<OutputRecord, 'key' | 'value' | 'valueBytes' | 'headers'>

/** Upper bound of the batch that holds nothing but this record. */
export function aloneBytes(record: SizedRecord, headerBytes?: number): number {
  return batchOverheadBytes + recordBytes(record, headerBytes)
}

/** Upper bound of what headers take in a record. */
export function headersBytes(headers: Headers | undefined): number {
  let bytes = 0
  for (const [name, header] of headers ?? []) bytes += headerOverheadBytes + bytesOf(name) + bytesOf(header)
  return bytes
}

/** 0: it has none, or an empty one. */
export function valueBytesOf(record: Pick<OutputRecord, 'value' | 'valueBytes'>): number {
  return record.valueBytes ?? bytesOf(record.value)
}

function bytesOf(text: Buffer | string | null): number {
  if (text === null) return 0
  return typeof text === 'string' ? Buffer.byteLength(text) : text.length
}
