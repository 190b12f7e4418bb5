import { MillraceError } from '../errors.ts'
import { Part, maskColumn, offsetColumn, storedOffset, timeColumn, valueColumn } from './part-log.ts'
import type { PartShape } from './part-log.ts'

/**
 * Stored form of a part, little endian:
 *
 *     header   1 byte version, 3 bytes layout check, float64 time of the newest event the cap dropped (-Infinity: none)
 *     event    float64 time, [uint32 mask, if the layout stores predicates,] float64 per value (NaN: missing)
 *     event …
 *
 * Events written together are sorted by (time, log order). Later writes are put behind (`encodeTail`), so a stable
 * sort by time restores the order of the log. 16 bytes an event for time and one amount.
 */
export const partFormatVersion = 1

const headerBytes = 12

/** What the bytes of one layout look like. */
export interface PartFormat {
  readonly name: string
  readonly shape: PartShape
  readonly predicateCount: number
  /** 24-bit checksum of the layout's definition: bytes of another layout are refused. */
  readonly check: number
  readonly eventsMax: number
}

/** FNV-1a over UTF-16 units, folded to 24 bits. It tells layouts apart by accident, not against malice. */
export function layoutCheck(definition: string): number {
  let hash = 0x811c9dc5
  for (let i = 0; i < definition.length; i++) {
    hash = Math.imul(hash ^ definition.charCodeAt(i), 0x01000193)
  }
  return ((hash >>> 24) ^ hash) & 0xffffff
}

function entryBytes(shape: PartShape): number {
  return 8 + (shape.masked ? 4 : 0) + 8 * shape.valueCount
}

/** The whole part as it stood when events from `untilOffset` on were not inserted yet. */
export function encodePart(format: PartFormat, part: Part, untilOffset: number): Buffer {
  part.settledOffset = Math.max(part.settledOffset, untilOffset)
  const { data, capacity, start, end } = part
  const offsets = offsetColumn * capacity
  let kept = 0
  let first = end
  for (; first > start && kept < format.eventsMax; first--) {
    if (data[offsets + first - 1]! < untilOffset) kept++
  }
  let droppedTime = part.droppedTime
  for (let i = first - 1; i >= start; i--) {
    if (data[offsets + i]! >= untilOffset) continue
    droppedTime = Math.max(droppedTime, data[i]!)
    break
  }
  const bytes = Buffer.allocUnsafe(headerBytes + kept * entryBytes(format.shape))
  bytes.writeUInt8(partFormatVersion, 0)
  bytes.writeUIntLE(format.check, 1, 3)
  bytes.writeDoubleLE(droppedTime, 4)
  writeEvents(format.shape, part, first, storedOffset, untilOffset, bytes, headerBytes)
  return bytes
}

/** The events with an offset in [fromOffset, untilOffset). */
export function encodePartTail(
  format: PartFormat,
  part: Part,
  fromOffset: number,
  untilOffset: number,
): Buffer {
  part.settledOffset = Math.max(part.settledOffset, untilOffset)
  const { data, capacity, start, end } = part
  let count = 0
  for (let i = start; i < end; i++) {
    const offset = data[offsetColumn * capacity + i]!
    if (offset >= fromOffset && offset < untilOffset) count++
  }
  const bytes = Buffer.allocUnsafe(count * entryBytes(format.shape))
  writeEvents(format.shape, part, start, fromOffset, untilOffset, bytes, 0)
  return bytes
}

function writeEvents(
  shape: PartShape,
  part: Part,
  first: number,
  fromOffset: number,
  untilOffset: number,
  bytes: Buffer,
  position: number,
): void {
  const { data, capacity, end } = part
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  let at = position
  for (let i = first; i < end; i++) {
    const offset = data[offsetColumn * capacity + i]!
    if (offset < fromOffset || offset >= untilOffset) continue
    view.setFloat64(at, data[timeColumn * capacity + i]!, true)
    at += 8
    if (shape.masked) {
      view.setUint32(at, data[maskColumn * capacity + i]!, true)
      at += 4
    }
    for (let value = 0; value < shape.valueCount; value++) {
      view.setFloat64(at, data[valueColumn(shape, value) * capacity + i]!, true)
      at += 8
    }
  }
}

/** Reads `encodePart` bytes followed by any number of `encodePartTail` bytes. */
export function decodePart(format: PartFormat, bytes: Buffer): Part {
  const { shape } = format
  const width = entryBytes(shape)
  const droppedTime = readHeader(format, bytes)
  if ((bytes.length - headerBytes) % width !== 0) {
    throw damaged(format, `${bytes.length} bytes are not a header of ${headerBytes} and events of ${width}`)
  }
  const count = (bytes.length - headerBytes) / width
  const order = timeOrder(format, bytes, width, count)
  const part = new Part(shape, count)
  const { data, capacity } = part
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  for (let i = 0; i < count; i++) {
    let at = headerBytes + (order === null ? i : order[i]!) * width
    data[timeColumn * capacity + i] = view.getFloat64(at, true)
    data[offsetColumn * capacity + i] = storedOffset
    at += 8
    if (shape.masked) {
      data[maskColumn * capacity + i] = readMask(format, view, at)
      at += 4
    }
    for (let value = 0; value < shape.valueCount; value++) {
      data[valueColumn(shape, value) * capacity + i] = readValue(format, view, at)
      at += 8
    }
  }
  part.end = count
  part.droppedTime = droppedTime
  const hidden = count - format.eventsMax
  if (hidden > 0) {
    part.droppedTime = Math.max(droppedTime, data[hidden - 1]!)
    part.start = hidden
  }
  return part
}

/** Returns the dropped time. */
function readHeader(format: PartFormat, bytes: Buffer): number {
  if (bytes.length < headerBytes) {
    throw damaged(format, `${bytes.length} bytes, less than the header of ${headerBytes}`)
  }
  const version = bytes.readUInt8(0)
  if (version !== partFormatVersion) {
    throw damaged(format, `format version ${version}, expected ${partFormatVersion}`)
  }
  const check = bytes.readUIntLE(1, 3)
  if (check !== format.check) {
    throw damaged(format, `layout check ${check.toString(16)}, expected ${format.check.toString(16)}`)
  }
  const droppedTime = bytes.readDoubleLE(4)
  if (droppedTime !== -Infinity && !Number.isSafeInteger(droppedTime)) {
    throw damaged(format, `the time of the newest dropped event reads ${droppedTime}`)
  }
  return droppedTime
}

/** Null when the events lie in time order already, else their indices in that order (stable). */
function timeOrder(format: PartFormat, bytes: Buffer, width: number, count: number): Uint32Array | null {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const timeOf = (index: number): number => view.getFloat64(headerBytes + index * width, true)
  let sorted = true
  let before = -Infinity
  for (let i = 0; i < count; i++) {
    const time = timeOf(i)
    if (!Number.isSafeInteger(time)) throw damaged(format, `the time of event ${i} reads ${time}`)
    if (time < before) sorted = false
    before = time
  }
  if (sorted) return null
  const order = Uint32Array.from({ length: count }, (_, index) => index)
  return order.sort((a, b) => timeOf(a) - timeOf(b) || a - b)
}

function readMask(format: PartFormat, view: DataView, at: number): number {
  const mask = view.getUint32(at, true)
  if (mask >= 2 ** format.predicateCount) {
    throw damaged(format, `mask ${mask.toString(2)} has bits beyond ${format.predicateCount} predicates`)
  }
  return mask
}

function readValue(format: PartFormat, view: DataView, at: number): number {
  const value = view.getFloat64(at, true)
  if (value === Infinity || value === -Infinity) throw damaged(format, `a stored value reads ${value}`)
  return value
}

function damaged(format: PartFormat, what: string): MillraceError {
  return new MillraceError('STATE_FORMAT', `stored state of ${format.name} cannot be read: ${what}`)
}
