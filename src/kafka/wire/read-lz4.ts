import { decompressFrame } from 'lz4-napi'
import { Unreadable } from './unreadable.ts'

/**
 * One LZ4 frame. The library has no bound, and a few bytes can ask for gigabytes: so the frame is walked first, which needs
 * no memory, and read only when what it grows to is known and allowed. What follows the frame is left alone, as in Java.
 */
export async function readLz4(compressed: Buffer, bytesMax: number): Promise<Buffer> {
  const { end, bytes } = measureFrame(compressed, bytesMax)
  if (bytes === 0) return Buffer.alloc(0)
  const read = await decompressFrame(compressed.subarray(0, end)).catch((error: unknown) => {
    throw new Unreadable('damaged', 'LZ4 data is damaged', { cause: error })
  })
  if (read.length !== bytes) throw damaged()
  return read
}

const magic = 0x184d2204
/** By the code in the frame's descriptor. */
const blockBytesMax: Readonly<Record<number, number>> = { 4: 1 << 16, 5: 1 << 18, 6: 1 << 20, 7: 1 << 22 }

/** Where the frame ends, and what it grows to. */
export function measureFrame(
  source: Buffer,
  bytesMax: number,
): { readonly end: number; readonly bytes: number } {
  if (source.length < 7 || source.readUInt32LE(0) !== magic) throw damaged()
  const flags = source[4]!
  const perBlock = blockBytesMax[(source[5]! >>> 4) & 7]
  if (flags >>> 6 !== 1 || perBlock === undefined) throw damaged()
  const hasSize = (flags & 0x08) !== 0
  const blockTail = (flags & 0x10) === 0 ? 0 : 4
  const frameTail = (flags & 0x04) === 0 ? 0 : 4
  const hasDictionary = (flags & 0x01) !== 0
  if (hasDictionary) throw new Unreadable('codec', 'LZ4 data needs a dictionary that is not there')
  let at = 6 + (hasSize ? 8 : 0) + 1
  let bytes = 0
  for (;;) {
    if (at + 4 > source.length) throw damaged()
    const head = source.readUInt32LE(at)
    at += 4
    if (head === 0) break
    const length = head & 0x7fffffff
    const stop = at + length
    if (length === 0 || stop + blockTail > source.length) throw damaged()
    const grown = head > 0x7fffffff ? length : measureBlock(source, at, stop)
    if (grown > perBlock) throw damaged()
    bytes += grown
    if (bytes > bytesMax) {
      throw new Unreadable('too-large', `LZ4 data grows beyond the bound of ${bytesMax} bytes`)
    }
    at = stop + blockTail
  }
  at += frameTail
  if (at > source.length) throw damaged()
  if (hasSize && Number(source.readBigUInt64LE(6)) !== bytes) throw damaged()
  return { end: at, bytes }
}

/** Adds up the lengths of a block's literals and copies. */
function measureBlock(source: Buffer, start: number, end: number): number {
  let at = start
  let bytes = 0
  const extended = (nibble: number): number => {
    let length = nibble
    if (nibble < 15) return length
    for (;;) {
      if (at >= end) throw damaged()
      const byte = source[at++]!
      length += byte
      if (byte < 255) return length
    }
  }
  for (;;) {
    if (at >= end) throw damaged()
    const token = source[at++]!
    const literals = extended(token >>> 4)
    at += literals
    bytes += literals
    if (at >= end) break
    at += 2
    if (at > end) throw damaged()
    bytes += extended(token & 15) + 4
  }
  if (at !== end) throw damaged()
  return bytes
}

function damaged(): Unreadable {
  return new Unreadable('damaged', 'LZ4 data is damaged')
}
