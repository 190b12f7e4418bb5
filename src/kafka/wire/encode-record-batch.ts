import type { OutputRecord } from '../../record/output.ts'
import type { Headers } from '../../record/raw-record.ts'
import { valueBytesOf } from '../../record/size.ts'
import { codecs, compressionIds, type Compression } from '../codecs.ts'
import { crc32c } from './crc32c.ts'
import { GrowingBuffer, varintBytes } from './growing-buffer.ts'
import { attributesAt, batchHeadBytes, checksumAt, transactionalMask } from './read-frames.ts'

/** What a broker needs to know of a record batch besides its records. */
export interface BatchHead {
  readonly producerId: bigint
  readonly producerEpoch: number
  /** Sequence number of the first record in its partition. */
  readonly sequence: number
  /** Of all records, epoch ms. */
  readonly timestampMs: number
  readonly compression: Compression
}

/**
 * Layout of a record batch (magic 2): base offset, length of what follows, leader epoch, magic, checksum of what
 * follows, attributes, last offset delta, first and last timestamp, producer id, epoch, sequence, number of records.
 */
const lengthAt = 8
const magic = 2

/** Writes one record batch of a transaction behind what `buffer` holds. Waits only for a codec. */
export function encodeRecordBatch(
  buffer: GrowingBuffer,
  records: readonly OutputRecord[],
  head: BatchHead,
  headers: HeaderBytes,
): Promise<void> | void {
  const start = buffer.at
  buffer.reserve(batchHeadBytes)
  buffer.at += batchHeadBytes
  for (let index = 0; index < records.length; index++) encodeRecord(buffer, records[index]!, index, headers)
  if (head.compression === 'none') return finishBatch(buffer, start, records.length, head)
  const plain = buffer.bytes.subarray(start + batchHeadBytes, buffer.at)
  return codecs[head.compression].compress({ buffer: plain }).then((compressed) => {
    buffer.at = start + batchHeadBytes
    buffer.raw(compressed)
    finishBatch(buffer, start, records.length, head)
  })
}

/** Writes the head of the batch that begins at `start`, now that its records stand behind it. */
function finishBatch(buffer: GrowingBuffer, start: number, count: number, head: BatchHead): void {
  const { bytes, at: end } = buffer
  const { compression, timestampMs, producerId, producerEpoch, sequence } = head
  const timestamp = BigInt(timestampMs)
  buffer.at = start
  buffer.int64(0n) // base offset: the broker's business
  buffer.int32(end - start - lengthAt - 4)
  buffer.int32(0) // leader epoch: the broker's business
  buffer.byte(magic)
  buffer.int32(0) // checksum
  buffer.int16(compressionIds[compression] | transactionalMask)
  buffer.int32(count - 1)
  buffer.int64(timestamp)
  buffer.int64(timestamp)
  buffer.int64(producerId)
  buffer.int16(producerEpoch)
  buffer.int32(sequence)
  buffer.int32(count)
  bytes.writeUInt32BE(crc32c(bytes, start + attributesAt, end), start + checksumAt)
  buffer.at = end
}

/** Length, attributes, timestamp delta (0: all records are of the same moment), offset delta, key, value, headers. */
function encodeRecord(
  buffer: GrowingBuffer,
  record: OutputRecord,
  index: number,
  headerBytes: HeaderBytes,
): void {
  const { key, value } = record
  const length = valueLength(record)
  const headers = headerBytes.of(record.headers)
  const bodyBytes =
    2 + varintBytes(index) + sizedBytes(key?.length ?? -1) + sizedBytes(length) + headers.length
  buffer.reserve(5 + bodyBytes)
  buffer.varint(bodyBytes)
  buffer.byte(0)
  buffer.byte(0)
  buffer.varint(index)
  if (key === null) buffer.varint(-1)
  else {
    buffer.varint(key.length)
    buffer.raw(key)
  }
  buffer.varint(length)
  if (typeof value === 'string') buffer.text(value, length)
  else if (value !== null) buffer.raw(value)
  buffer.raw(headers)
}

/** Bytes of a record in a batch, with its length; the offset delta at its longest. */
export function recordBytes(record: OutputRecord, headerBytes: HeaderBytes): number {
  const { key, headers } = record
  const bodyBytes =
    7 + sizedBytes(key?.length ?? -1) + sizedBytes(valueLength(record)) + headerBytes.of(headers).length
  return varintBytes(bodyBytes) + bodyBytes
}

/** −1: none. */
function valueLength(record: OutputRecord): number {
  return record.value === null ? -1 : valueBytesOf(record)
}

/** −1: none. */
function byteLengthOf(value: Buffer | string | null): number {
  if (value === null) return -1
  return typeof value === 'string' ? Buffer.byteLength(value) : value.length
}

/** A length and as many bytes. */
function sizedBytes(length: number): number {
  return varintBytes(length) + Math.max(0, length)
}

/**
 * Headers as they stand in a record. Those that are the same for many records are one frozen object, whose bytes are
 * kept.
 */
export class HeaderBytes {
  #known: Headers | null = null
  #bytes: Buffer = none

  of(headers: Headers | undefined): Buffer {
    if (headers === undefined) return none
    if (headers === this.#known) return this.#bytes
    const bytes = encodeHeaders(headers)
    if (!Object.isFrozen(headers)) return bytes
    this.#known = headers
    this.#bytes = bytes
    return bytes
  }
}

/** No headers: their number. */
const none = Buffer.of(0)

function encodeHeaders(headers: Headers): Buffer {
  const lengths = headers.map(([name, value]) => [byteLengthOf(name), byteLengthOf(value)] as const)
  const bytes = lengths.reduce(
    (sum, [name, value]) => sum + sizedBytes(name) + sizedBytes(value),
    varintBytes(headers.length),
  )
  const buffer = new GrowingBuffer(Buffer.allocUnsafeSlow(bytes + 5))
  buffer.varint(headers.length)
  for (const [index, [name, value]] of headers.entries()) {
    const [nameBytes, valueBytes] = lengths[index]!
    buffer.varint(nameBytes)
    if (typeof name === 'string') buffer.text(name, nameBytes)
    else buffer.raw(name)
    buffer.varint(valueBytes)
    if (typeof value === 'string') buffer.text(value, valueBytes)
    else if (value !== null) buffer.raw(value)
  }
  return buffer.bytes.subarray(0, buffer.at)
}
