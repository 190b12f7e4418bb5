/** Reading protocol buffers by hand, field by field; what is not wanted is skipped by its length. */

export class MalformedMessage extends Error {}

/** A field with a length as its bytes; a number as number (exact below 2^53); fixed-width numbers are not needed: null. */
export type Visit = (field: number, value: Uint8Array | number | null) => void

/** Calls `visit` for every field. Wire types: 0 varint, 1 eight bytes, 2 length and bytes, 5 four bytes. */
export function readMessage(bytes: Uint8Array, visit: Visit): void {
  let at = 0
  const varint = (): number => {
    let value = 0
    for (let shift = 0; shift < 70; shift += 7) {
      const byte = bytes[at++]
      if (byte === undefined) throw new MalformedMessage()
      value += (byte & 0x7f) * 2 ** shift // no bit operators: they stop at 32 bits
      if (byte < 0x80) return value >= 2 ** 63 ? negative(bytes, at - 10) : value
    }
    throw new MalformedMessage()
  }
  while (at < bytes.length) {
    const tag = varint()
    const field = Math.floor(tag / 8)
    const wire = tag % 8
    if (field === 0) throw new MalformedMessage()
    if (wire === 0) {
      visit(field, varint())
      continue
    }
    const length = wire === 2 ? varint() : wire === 1 ? 8 : wire === 5 ? 4 : Infinity
    if (length < 0 || length > bytes.length - at) throw new MalformedMessage()
    visit(field, wire === 2 ? bytes.subarray(at, at + length) : null)
    at += length
  }
}

/** A negative number takes ten bytes, in two's complement. */
function negative(bytes: Uint8Array, from: number): number {
  let value = 0n
  for (let i = 9; i >= 0; i--) value = (value << 7n) | BigInt((bytes[from + i] ?? 0) & 0x7f)
  return Number(BigInt.asIntN(64, value))
}

export function textOfField(value: Uint8Array | number | null): string {
  return value instanceof Uint8Array ? Buffer.from(value).toString('utf8') : ''
}
