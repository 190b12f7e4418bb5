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

type SizedRecord = Pick<OutputRecord, 'key' | 'value' | 'valueBytes' | 'headers'>

/** Upper bound of a record's share of an uncompressed batch. */
function recordBytes(record: SizedRecord): number {
  const { key, headers = [] } = record
  return recordOverheadBytes + (key?.length ?? 0) + valueBytesOf(record) + headersBytes(headers)
}

/** Upper bound of the batch that holds nothing but this record. */
export function aloneBytes(record: SizedRecord): number {
  return batchOverheadBytes + recordBytes(record)
}

/** Of frozen headers, which are the same for many records. */
const knownBytes = new WeakMap<Headers, number>()

function headersBytes(headers: Headers): number {
  const known = knownBytes.get(headers)
  if (known !== undefined) return known
  let bytes = 0
  for (const [name, header] of headers) bytes += headerOverheadBytes + bytesOf(name) + bytesOf(header)
  if (Object.isFrozen(headers)) knownBytes.set(headers, bytes)
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
