import { Unreadable } from './unreadable.ts'

/** The framing of snappy-java: 0x82 "SNAPPY" 0x00, two int32 versions, then blocks of int32 length and data. */
const xerialMagic = Buffer.from([0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0x00])
const xerialHeaderBytes = xerialMagic.length + 8

/** A copy of 3 bytes writes 64 at most: what claims to grow by more lies, and gets no memory for it. */
const growthMax = 22

/**
 * A bare block, or the framing of snappy-java. Throws Unreadable before it allocates more than `bytesMax`. Strict, as
 * Google's own reader is: every length is checked, and a block must yield exactly what its head says.
 */
export function readSnappy(compressed: Buffer, bytesMax: number): Buffer {
  if (!compressed.subarray(0, xerialMagic.length).equals(xerialMagic)) {
    return readBlock(compressed, 0, compressed.length, bytesMax)
  }
  const blocks: Buffer[] = []
  let bytes = 0
  for (let at = xerialHeaderBytes; at < compressed.length;) {
    if (at + 4 > compressed.length) throw cutOff()
    const length = compressed.readInt32BE(at)
    if (length <= 0 || at + 4 + length > compressed.length) throw cutOff()
    const block = readBlock(compressed, at + 4, at + 4 + length, bytesMax - bytes)
    bytes += block.length
    blocks.push(block)
    at += 4 + length
  }
  return blocks.length === 1 ? blocks[0]! : Buffer.concat(blocks, bytes)
}

function readBlock(source: Buffer, start: number, end: number, bytesMax: number): Buffer {
  let at = start
  let length = 0
  for (let shift = 0; ; shift += 7) {
    if (at >= end || shift > 28) throw cutOff()
    const byte = source[at++]!
    length += (byte & 0x7f) * 2 ** shift
    if (byte < 0x80) break
  }
  if (length > bytesMax) {
    throw new Unreadable(
      'too-large',
      `snappy data grows to ${length} bytes, ${bytesMax} are left of the bound`,
    )
  }
  if (length > (end - at) * growthMax) throw damaged()
  const target = Buffer.allocUnsafe(length)
  let to = 0
  while (at < end) {
    const tag = source[at++]!
    const kind = tag & 3
    let run = (tag >>> 2) + 1
    if (kind === 0) {
      if (run > 60) {
        const size = run - 60
        if (at + size > end) throw cutOff()
        run = source.readUIntLE(at, size) + 1
        at += size
      }
      if (at + run > end || to + run > length) throw damaged()
      if (run < 16) for (let i = 0; i < run; i++) target[to + i] = source[at + i]!
      else source.copy(target, to, at, at + run)
      at += run
      to += run
      continue
    }
    const size = kind === 3 ? 4 : kind
    if (at + size > end) throw cutOff()
    let back = source.readUIntLE(at, size)
    if (kind === 1) {
      back += (tag >>> 5) << 8
      run = ((tag >>> 2) & 7) + 4
    }
    at += size
    if (back === 0 || back > to || to + run > length) throw damaged()
    // Byte by byte, because what is copied may begin inside what is written.
    for (const stop = to + run; to < stop; to++) target[to] = target[to - back]!
  }
  if (to !== length) throw damaged()
  return target
}

function cutOff(): Unreadable {
  return new Unreadable('damaged', 'snappy data is cut off')
}

function damaged(): Unreadable {
  return new Unreadable('damaged', 'snappy data is damaged')
}
