import { digestOf } from '../record/digest.ts'
import type { Headers, HeaderSize, RawRecord, UnreadableRecords } from '../record/raw-record.ts'
import type { Frame } from './wire/read-frames.ts'
import { readHeaders } from './wire/read-headers.ts'
import type { RecordColumns } from './wire/record-columns.ts'
import type { Unreadable } from './wire/unreadable.ts'

export interface LogPlace {
  readonly topic: string
  readonly partition: number
}

const noHeaders: Headers = []

/** One row of the columns. Key, value and headers are views of the fetched (or decompressed) bytes. */
class FetchedRecord implements RawRecord {
  readonly topic: string
  readonly partition: number
  readonly offset: number
  readonly timestamp: number
  readonly key: Buffer | null
  readonly value: Buffer | null
  readonly headerSize: HeaderSize
  #headers: Headers | null
  readonly #bytes: Buffer
  readonly #headersStart: number

  constructor({ topic, partition }: LogPlace, columns: RecordColumns, row: number) {
    const { bytes } = columns
    const keyStart = columns.keyStart[row]!
    const valueStart = columns.valueStart[row]!
    const count = columns.headers[row]!
    this.topic = topic
    this.partition = partition
    this.offset = columns.offset[row]!
    this.timestamp = columns.timestamp[row]!
    this.key = keyStart < 0 ? null : bytes.subarray(keyStart, columns.keyEnd[row])
    this.value = valueStart < 0 ? null : bytes.subarray(valueStart, columns.valueEnd[row])
    this.#bytes = bytes
    this.#headersStart = columns.headersStart[row]!
    this.headerSize = count === 0 ? nothing : { count, bytes: columns.headersEnd[row]! - this.#headersStart }
    this.#headers = count === 0 ? noHeaders : null
  }

  get headers(): Headers {
    this.#headers ??= readHeaders(this.#bytes, this.headerSize.count, this.#headersStart)
    return this.#headers
  }
}

const nothing: HeaderSize = { count: 0, bytes: 0 }

/** A row of the columns as the rest of the program knows it. */
export function rawRecord(place: LogPlace, columns: RecordColumns, row: number): RawRecord {
  return new FetchedRecord(place, columns, row)
}

/** What stands for the records of a frame from `offset` on that cannot be read. */
export function unreadableRecord(
  { topic, partition }: LogPlace,
  bytes: Buffer,
  { start, end, lastOffset, maxTimestamp }: Frame,
  offset: number,
  { unreadable, message }: Unreadable,
): RawRecord {
  const what: UnreadableRecords = {
    lastOffset: Math.max(lastOffset, offset),
    bytes: end - start,
    digest: digestOf(bytes.subarray(start, end)),
    message,
    isDoubtful: unreadable === 'checksum',
  }
  const nothingRead = { key: null, value: null, headers: noHeaders }
  return { topic, partition, offset, timestamp: maxTimestamp, ...nothingRead, unreadable: what }
}
