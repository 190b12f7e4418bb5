import { int64 } from './read-numbers.ts'
import { Unreadable } from './unreadable.ts'

/**
 * A record batch (or an entry of a message set, which came before batches) where it lies in a fetch response. Its records
 * are neither checked nor read yet.
 */
export interface Frame {
  /** Of the first byte, the offset field. */
  readonly start: number
  /** Behind the last byte. */
  readonly end: number
  /** 0 and 1: an entry of a message set, which may hold others; 2: a record batch. */
  readonly magic: number
  /** Of the first record, as the frame says; of a message set's entry unknown, then 0. */
  readonly firstOffset: number
  /** Of the last record, as the frame says; records may be gone from the end by compaction. */
  readonly lastOffset: number
  /** As the frame says: whether it holds so many shows when they are read. */
  readonly count: number
  readonly attributes: number
  /** Timestamps of the records are relative to it. */
  readonly baseTimestamp: number
  readonly maxTimestamp: number
  /** −1: the producer is neither idempotent nor transactional. */
  readonly producerId: number
}

export const compressionMask = 0x07
const logAppendTimeMask = 0x08
export const transactionalMask = 0x10
const controlMask = 0x20

export const hasLogAppendTime = ({ attributes }: Frame): boolean => (attributes & logAppendTimeMask) !== 0
export const isTransactional = ({ attributes }: Frame): boolean => (attributes & transactionalMask) !== 0
export const isControl = ({ attributes }: Frame): boolean => (attributes & controlMask) !== 0

/** Offset and length, before everything that the length counts. */
const frameHeadBytes = 12
const magicAt = 16
/** Fields of a record batch before its first record; the checksum is that of all from the attributes on. */
export const batchHeadBytes = 61
export const checksumAt = 17
export const attributesAt = 21
/** CRC, magic, attributes and two lengths. */
const entryBytesMin = 14

/**
 * The frames of one partition's part of a fetch response, in order. The last one may be cut off by the fetch's limits and
 * is then left out. Throws Unreadable where no frame can begin: what follows cannot be found.
 */
export function framesOf(bytes: Buffer): readonly Frame[] {
  const frames: Frame[] = []
  for (let start = 0; start + magicAt < bytes.length;) {
    const length = bytes.readInt32BE(start + 8)
    const end = start + frameHeadBytes + length
    const magic = bytes.readInt8(start + magicAt)
    const shortest = magic === 2 ? batchHeadBytes - frameHeadBytes : entryBytesMin
    if (length < shortest || magic < 0 || magic > 2) {
      const what = `no record batch begins here: length ${length}, magic byte ${magic}`
      throw new Unreadable('damaged', `${what} (offset field ${int64(bytes, start)})`)
    }
    if (end > bytes.length) break
    frames.push(magic === 2 ? batchFrame(bytes, start, end) : entryFrame(bytes, start, end, magic))
    start = end
  }
  return frames
}

function batchFrame(bytes: Buffer, start: number, end: number): Frame {
  const firstOffset = int64(bytes, start)
  return {
    start,
    end,
    magic: 2,
    firstOffset,
    lastOffset: firstOffset + Math.max(0, bytes.readInt32BE(start + 23)),
    count: Math.max(0, bytes.readInt32BE(start + 57)),
    attributes: bytes.readInt16BE(start + 21),
    baseTimestamp: int64(bytes, start + 27),
    maxTimestamp: int64(bytes, start + 35),
    producerId: int64(bytes, start + 43),
  }
}

function entryFrame(bytes: Buffer, start: number, end: number, magic: number): Frame {
  const attributes = bytes.readInt8(start + 17)
  // The offset of an entry that holds others is that of the last of them.
  const lastOffset = int64(bytes, start)
  const isWrapper = (attributes & compressionMask) !== 0
  const timestamp = magic === 1 && end - start >= 26 ? int64(bytes, start + 18) : -1
  return {
    start,
    end,
    magic,
    firstOffset: isWrapper ? 0 : lastOffset,
    lastOffset,
    count: 1,
    attributes: attributes & (compressionMask | logAppendTimeMask),
    baseTimestamp: timestamp,
    maxTimestamp: timestamp,
    producerId: -1,
  }
}
