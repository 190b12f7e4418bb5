/** Classic and compact types of Kafka, written one after another. */
export class Writer {
  readonly #parts: Buffer[] = []

  get bytes(): Buffer {
    return Buffer.concat(this.#parts)
  }
  raw(bytes: Buffer): this {
    this.#parts.push(bytes)
    return this
  }
  byte(value: number): this {
    this.#parts.push(Buffer.of(value))
    return this
  }
  int32(value: number): this {
    const bytes = Buffer.alloc(4)
    bytes.writeInt32BE(value)
    this.#parts.push(bytes)
    return this
  }
  int64(value: bigint): this {
    const bytes = Buffer.alloc(8)
    bytes.writeBigInt64BE(value)
    this.#parts.push(bytes)
    return this
  }
  text(value: string): this {
    const bytes = Buffer.from(value)
    const length = Buffer.alloc(2)
    length.writeInt16BE(bytes.length)
    this.#parts.push(length, bytes)
    return this
  }
  texts(values: readonly string[]): this {
    this.int32(values.length)
    for (const value of values) this.text(value)
    return this
  }
  varint(value: number): this {
    let rest = value
    for (; rest > 0x7f; rest >>>= 7) this.byte((rest & 0x7f) | 0x80)
    return this.byte(rest)
  }
  compactText(value: string): this {
    const bytes = Buffer.from(value)
    return this.varint(bytes.length + 1).raw(bytes)
  }
}

/** The same, read one after another. Reading past the end throws a RangeError. */
export class Reader {
  readonly #bytes: Buffer
  #at = 0

  constructor(bytes: Buffer) {
    this.#bytes = bytes
  }
  #take(count: number): number {
    const at = this.#at
    if (count < 0 || at + count > this.#bytes.length) throw new RangeError("a broker's answer is cut off")
    this.#at += count
    return at
  }
  skip(count: number): void {
    this.#take(count)
  }
  bytes(count: number): Buffer {
    const at = this.#take(count)
    return this.#bytes.subarray(at, at + count)
  }
  int16(): number {
    return this.#bytes.readInt16BE(this.#take(2))
  }
  int32(): number {
    return this.#bytes.readInt32BE(this.#take(4))
  }
  int64(): bigint {
    return this.#bytes.readBigInt64BE(this.#take(8))
  }
  /** Empty for null. */
  text(): string {
    const length = Math.max(0, this.int16())
    const at = this.#take(length)
    return this.#bytes.toString('utf8', at, at + length)
  }
  blob(): void {
    this.skip(Math.max(0, this.int32()))
  }
  array<T>(one: () => T): T[] {
    return Array.from({ length: Math.max(0, this.int32()) }, one)
  }
  varint(): number {
    let value = 0
    for (let shift = 0; shift <= 28; shift += 7) {
      const byte = this.#bytes.readUInt8(this.#take(1))
      value |= (byte & 0x7f) << shift
      if (byte <= 0x7f) return value >>> 0
    }
    throw new RangeError("a broker's answer has a number that is too long")
  }
  /** Empty for null. */
  compactText(): string {
    const length = Math.max(0, this.varint() - 1)
    const at = this.#take(length)
    return this.#bytes.toString('utf8', at, at + length)
  }
  compactArray<T>(one: () => T): T[] {
    return Array.from({ length: Math.max(0, this.varint() - 1) }, one)
  }
  /** `known` reads the fields it knows by their tag and returns true. */
  tags(known: (tag: number) => boolean = () => false): void {
    const count = this.varint()
    for (let i = 0; i < count; i++) {
      const tag = this.varint()
      const length = this.varint()
      const end = this.#at + length
      if (known(tag)) this.#at = end
      else this.skip(length)
    }
  }
}
