/** Kafka's default `socket.request.max.bytes`: brokers take no larger request. */
export const requestBytesMax = 100 * 1024 * 1024

/** Bytes of one request, written one after another. Grows as needed, up to what a broker takes. */
export class GrowingBuffer {
  /** Valid up to `at`; another object after growing. */
  bytes: Buffer
  at = 0

  constructor(bytes: Buffer) {
    this.bytes = bytes
  }

  /** Makes room for `count` more bytes. */
  reserve(count: number): void {
    const needed = this.at + count
    if (needed > this.bytes.length) this.#grow(needed)
  }
  #grow(needed: number): void {
    if (needed > requestBytesMax) throw new RangeError(`a request of more than ${requestBytesMax} bytes`)
    const larger = Buffer.allocUnsafeSlow(Math.min(requestBytesMax, Math.max(needed, 2 * this.bytes.length)))
    this.bytes.copy(larger, 0, 0, this.at)
    this.bytes = larger
  }

  byte(value: number): void {
    this.reserve(1)
    this.bytes[this.at++] = value
  }
  int16(value: number): void {
    this.reserve(2)
    this.at = this.bytes.writeInt16BE(value, this.at)
  }
  int32(value: number): void {
    this.reserve(4)
    this.at = this.bytes.writeInt32BE(value, this.at)
  }
  int64(value: bigint): void {
    this.reserve(8)
    this.at = this.bytes.writeBigInt64BE(value, this.at)
  }
  /** Zigzag, of 32 bits. */
  varint(value: number): void {
    this.reserve(5)
    let rest = ((value << 1) ^ (value >> 31)) >>> 0
    for (; rest > 0x7f; rest >>>= 7) this.bytes[this.at++] = (rest & 0x7f) | 0x80
    this.bytes[this.at++] = rest
  }
  raw(bytes: Buffer): void {
    this.reserve(bytes.length)
    this.bytes.set(bytes, this.at)
    this.at += bytes.length
  }
  /** Without its length, of which the caller knows that it is `byteLength`. */
  text(value: string, byteLength: number): void {
    this.reserve(byteLength)
    // One byte a character: the same bytes in Latin-1, which is only copied.
    const isAscii = byteLength === value.length
    this.bytes.write(value, this.at, byteLength, isAscii ? 'latin1' : 'utf8')
    this.at += byteLength
  }
  /** STRING: int16 length and bytes. */
  string(value: string): void {
    const byteLength = Buffer.byteLength(value)
    this.int16(byteLength)
    this.text(value, byteLength)
  }
}

/** Bytes that `varint` writes. */
export function varintBytes(value: number): number {
  const rest = ((value << 1) ^ (value >> 31)) >>> 0
  if (rest < 0x80) return 1
  if (rest < 0x4000) return 2
  if (rest < 0x20_0000) return 3
  return rest < 0x1000_0000 ? 4 : 5
}
