import { codecOf } from '../codecs.ts'
import { crc32c } from './crc32c.ts'
import {
  attributesAt,
  batchHeadBytes,
  checksumAt,
  compressionMask,
  hasLogAppendTime,
  isControl,
  type Frame,
} from './read-frames.ts'
import { openEntry } from './read-message-set.ts'
import type { RecordColumns, RecordReader } from './record-columns.ts'
import { Unreadable } from './unreadable.ts'

/** Length, attributes, two deltas, two lengths and the number of headers: one byte each. */
const recordBytesMin = 7

/**
 * Checks a frame and decompresses it; a promise only where it is compressed. Throws (or rejects with) Unreadable: a wrong
 * checksum, an unknown codec, or more than `bytesMax` decompressed bytes.
 */
export function openFrame(
  bytes: Buffer,
  frame: Frame,
  bytesMax: number,
): RecordReader | Promise<RecordReader> {
  if (frame.magic < 2) return openEntry(bytes, frame, bytesMax)
  const { start, end, attributes, count } = frame
  const [stored, computed] = [
    bytes.readUInt32BE(start + checksumAt),
    crc32c(bytes, start + attributesAt, end),
  ]
  if (stored !== computed) {
    throw new Unreadable(
      'checksum',
      `the checksum of the batch is ${hex(stored)}, of its bytes ${hex(computed)}`,
    )
  }
  const id = attributes & compressionMask
  // Markers of transactions: nobody reads them.
  if (isControl(frame) || count === 0) return noRecords
  if (id === 0) return new BatchReader(frame, bytes, start + batchHeadBytes, end)
  const codec = codecOf(id)
  if (codec === undefined)
    throw new Unreadable('codec', `the batch is compressed by codec ${id}, which is not known`)
  return codec
    .decompress(bytes.subarray(start + batchHeadBytes, end), bytesMax)
    .then((records) => new BatchReader(frame, records, 0, records.length))
}

const noRecords: RecordReader = {
  left: 0,
  read: (columns) => {
    columns.length = 0
  },
}

/**
 *  Record => length varint, attributes int8, timestampDelta varlong, offsetDelta varint, key, value, headers
 *  key, value => length varint (−1: null), bytes
 *  headers => count varint, then of each: name length varint, name, value length varint (−1: null), value
 */
class BatchReader implements RecordReader {
  left: number
  readonly #frame: Frame
  readonly #bytes: Buffer
  readonly #end: number
  readonly #appendTime: boolean
  #at: number
  #last: number

  constructor(frame: Frame, bytes: Buffer, start: number, end: number) {
    const { count, firstOffset } = frame
    if (count * recordBytesMin > end - start) {
      throw new Unreadable('damaged', `the batch says it holds ${count} records in ${end - start} bytes`)
    }
    this.left = count
    this.#frame = frame
    this.#bytes = bytes
    this.#at = start
    this.#end = end
    this.#appendTime = hasLogAppendTime(frame)
    this.#last = firstOffset - 1
  }

  read(columns: RecordColumns, fromOffset: number): void {
    const { firstOffset, lastOffset, baseTimestamp, maxTimestamp } = this.#frame
    const room = columns.offset.length
    columns.bytes = this.#bytes
    columns.length = 0
    let row = 0
    while (row < room && this.left > 0) {
      const length = this.#varint(this.#end)
      const end = this.#at + length
      if (length < 0 || end > this.#end) throw damaged(`a record of ${length} bytes`, this.#last)
      this.#skip(1, end)
      const timestamp = baseTimestamp + this.#varlong(end)
      const offset = firstOffset + this.#varint(end)
      if (offset <= this.#last || offset > lastOffset) throw damaged(`offset ${offset}`, this.#last)
      const keyLength = this.#varint(end)
      const keyStart = this.#at
      if (keyLength > 0) this.#skip(keyLength, end)
      const valueLength = this.#varint(end)
      const valueStart = this.#at
      if (valueLength > 0) this.#skip(valueLength, end)
      const headers = this.#varint(end)
      const headersStart = this.#at
      if (headers < 0) throw damaged(`${headers} headers`, this.#last)
      for (let i = 0; i < headers; i++) this.#skipHeader(end)
      if (this.#at !== end) throw damaged('a record that ends before its length', this.#last)
      this.left--
      this.#last = offset
      if (offset < fromOffset) continue
      columns.offset[row] = offset
      columns.timestamp[row] = this.#appendTime ? maxTimestamp : timestamp
      columns.keyStart[row] = keyLength < 0 ? -1 : keyStart
      columns.keyEnd[row] = keyStart + keyLength
      columns.valueStart[row] = valueLength < 0 ? -1 : valueStart
      columns.valueEnd[row] = valueStart + valueLength
      columns.headers[row] = headers
      columns.headersStart[row] = headersStart
      columns.headersEnd[row] = end
      columns.length = ++row
    }
  }

  #skipHeader(end: number): void {
    const name = this.#varint(end)
    if (name < 0) throw damaged('a header without a name', this.#last)
    this.#skip(name, end)
    const value = this.#varint(end)
    if (value > 0) this.#skip(value, end)
  }

  #skip(count: number, end: number): void {
    this.#at += count
    if (this.#at > end) throw damaged('a record that is longer than its length', this.#last)
  }

  /** Zigzag, at most 32 bits. */
  #varint(end: number): number {
    let at = this.#at
    let byte = at < end ? this.#bytes[at++]! : -1
    let raw = byte & 0x7f
    for (let shift = 7; byte > 0x7f; shift += 7) {
      byte = at < end && shift <= 28 ? this.#bytes[at++]! : -1
      raw |= (byte & 0x7f) << shift
    }
    if (byte < 0) throw damaged('a number that is cut off or too long', this.#last)
    this.#at = at
    return (raw >>> 1) ^ -(raw & 1)
  }

  /** Zigzag, at most 64 bits; exact up to 2^53. */
  #varlong(end: number): number {
    let at = this.#at
    let byte = at < end ? this.#bytes[at++]! : -1
    const isNegative = (byte & 1) === 1
    let half = (byte & 0x7f) >>> 1
    for (let factor = 64, bytes = 1; byte > 0x7f; factor *= 128, bytes++) {
      byte = at < end && bytes < 10 ? this.#bytes[at++]! : -1
      half += (byte & 0x7f) * factor
    }
    if (byte < 0) throw damaged('a number that is cut off or too long', this.#last)
    this.#at = at
    return isNegative ? -half - 1 : half
  }
}

function damaged(what: string, last: number): Unreadable {
  return new Unreadable('damaged', `the records of the batch are damaged: ${what} behind offset ${last}`)
}

function hex(checksum: number): string {
  return checksum.toString(16).padStart(8, '0')
}
