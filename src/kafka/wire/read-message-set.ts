import { crc32 } from 'node:zlib'
import { codecOf } from '../codecs.ts'
import { compressionMask, framesOf, hasLogAppendTime, type Frame } from './read-frames.ts'
import type { RecordColumns, RecordReader } from './record-columns.ts'
import { Unreadable } from './unreadable.ts'

/*
 * What brokers before 0.11 wrote, and keep until it is deleted:
 *  Entry => offset int64, length int32, crc int32, magic int8, attributes int8, [timestamp int64, magic 1], key, value
 *  key, value => length int32 (−1: null), bytes
 * A compressed entry holds others in its value; those of magic 1 count their offsets from the first of them.
 */
const crcAt = 12
const crcFrom = 16

interface Place {
  readonly bytes: Buffer
  readonly frame: Frame
  readonly offset: number
  /** Null: each entry has its own. */
  readonly appendTime: number | null
}

export function openEntry(
  bytes: Buffer,
  frame: Frame,
  bytesMax: number,
): RecordReader | Promise<RecordReader> {
  checkCrc(bytes, frame)
  const id = frame.attributes & compressionMask
  if (id === 0) return new EntryReader([{ bytes, frame, offset: frame.lastOffset, appendTime: null }])
  const codec = codecOf(id)
  const { valueStart, valueEnd } = fieldsOf(bytes, frame)
  if (codec === undefined)
    throw new Unreadable('codec', `the message is compressed by codec ${id}, which is not known`)
  if (valueStart < 0) throw new Unreadable('damaged', 'a compressed message has no value')
  return codec
    .decompress(bytes.subarray(valueStart, valueEnd), bytesMax)
    .then((inner) => new EntryReader(innerPlaces(inner, frame)))
}

function innerPlaces(bytes: Buffer, wrapper: Frame): readonly Place[] {
  const frames = framesOf(bytes)
  const last = frames.at(-1)
  if (last === undefined || last.end !== bytes.length)
    throw new Unreadable('damaged', 'a compressed message is cut off')
  const base = wrapper.magic === 1 ? wrapper.lastOffset - last.lastOffset : 0
  const appendTime = hasLogAppendTime(wrapper) ? wrapper.maxTimestamp : null
  return frames.map((frame) => {
    if (frame.magic > 1 || (frame.attributes & compressionMask) !== 0)
      throw new Unreadable('damaged', 'a compressed message holds another one')
    return { bytes, frame, offset: base + frame.lastOffset, appendTime }
  })
}

class EntryReader implements RecordReader {
  readonly #places: readonly Place[]
  #at = 0

  constructor(places: readonly Place[]) {
    this.#places = places
  }

  get left(): number {
    return this.#places.length - this.#at
  }

  read(columns: RecordColumns, fromOffset: number): void {
    columns.bytes = this.#places[0]?.bytes ?? columns.bytes
    columns.length = 0
    for (let row = 0; row < columns.offset.length && this.left > 0; this.#at++) {
      const { bytes, frame, offset, appendTime } = this.#places[this.#at] as Place
      const { keyStart, keyEnd, valueStart, valueEnd } = fieldsOf(bytes, frame)
      if (offset < fromOffset) continue
      columns.offset[row] = offset
      columns.timestamp[row] = appendTime ?? frame.baseTimestamp
      columns.keyStart[row] = keyStart
      columns.keyEnd[row] = keyEnd
      columns.valueStart[row] = valueStart
      columns.valueEnd[row] = valueEnd
      columns.headers[row] = columns.headersStart[row] = columns.headersEnd[row] = 0
      columns.length = ++row
    }
  }
}

function checkCrc(bytes: Buffer, { start, end }: Frame): void {
  const [stored, computed] = [bytes.readUInt32BE(start + crcAt), crc32(bytes.subarray(start + crcFrom, end))]
  if (stored !== computed)
    throw new Unreadable('checksum', 'the checksum of a message does not fit its bytes')
}

function fieldsOf(bytes: Buffer, { start, end, magic }: Frame) {
  const keyAt = start + (magic === 0 ? 18 : 26)
  const [keyStart, keyEnd] = field(bytes, keyAt, end)
  const [valueStart, valueEnd] = field(bytes, keyEnd, end)
  return { keyStart, keyEnd, valueStart, valueEnd }
}

/** Where the field's bytes begin (−1: null) and what follows them begins. */
function field(bytes: Buffer, at: number, end: number): readonly [start: number, end: number] {
  const length = at + 4 <= end ? bytes.readInt32BE(at) : -2
  const stop = at + 4 + Math.max(0, length)
  if (length < -1 || stop > end) throw new Unreadable('damaged', 'a message is cut off')
  return [length < 0 ? -1 : at + 4, stop]
}
