import { isUtf8 } from 'node:buffer'
import { asciiText } from './ascii-text.ts'
import type { Fields } from '../record/event.ts'
import { literalMaker } from './literal-maker.ts'
import { anyShape, depthMax, kinds, scanShapeOf, type ObjectShape, type ValueShape } from './scan-shape.ts'

/** Null: abstained; nothing is said about the bytes. */
export type JsonScan = (bytes: Buffer) => Fields | null

/**
 * A reader of JSON bytes that checks the schema as it goes and makes only the members in `wanted`. It takes what is valid and
 * plain, and abstains from all else: errors, escapes, members written twice, numbers beyond ±(2^53 − 1), deep nesting. Null
 * when some part of the schema is not understood.
 */
export function compileJsonScan(schema: object, wanted: readonly string[]): JsonScan | null {
  const shape = scanShapeOf(schema, wanted)
  if (shape === null) return null
  const scanner = new Scanner(shape, wanted)
  return (bytes) => scanner.scan(bytes)
}

const quote = 0x22
const comma = 0x2c
const colon = 0x3a
const backslash = 0x5c
const openBrace = 0x7b
const closeBrace = 0x7d
const openBracket = 0x5b
const closeBracket = 0x5d
const zero = 0x30
const nine = 0x39
const minus = 0x2d
const point = 0x2e
const utf8 = 0x80

/** A decimal of so many digits, and ten to that power, are doubles: dividing one by the other rounds once, as parsing does. */
const digitsMax = 15
const powersOfTen = Array.from({ length: digitsMax + 1 }, (_, power) => 10 ** power)

const never = 0

/** A shape, and what is only known while reading. */
interface Level {
  readonly shape: ObjectShape
  /** Where to put a member's value; -1: nowhere. */
  readonly slots: Int32Array
  /** Which member came after another last time (the last place: which came first): a guess that is right as a rule. */
  readonly after: Int32Array
  /** The object a member was last seen in, to find those that are written twice. */
  readonly seenIn: Float64Array
}

class Scanner {
  readonly #root: Level
  readonly #levels = new Map<ObjectShape, Level>()
  readonly #values: unknown[]
  readonly #wanted: readonly string[]
  readonly #whole: ReturnType<typeof literalMaker>
  #bytes: Uint8Array = new Uint8Array()
  #buffer: Buffer = Buffer.alloc(0)
  #at = 0
  /** Beyond ASCII all bytes are checked once, together. */
  #isUtf8 = false
  #objects = 0
  #kept = 0
  /** Of the value just read. */
  #number = 0
  #from = 0
  #to = 0
  #isAscii = true

  constructor(shape: ObjectShape, wanted: readonly string[]) {
    this.#values = wanted.map(() => undefined)
    this.#wanted = wanted
    this.#whole = literalMaker(wanted)
    const names = shape.names.map((name) => Buffer.from(name).toString('utf8').slice(0, -1))
    this.#root = newLevel(
      shape,
      names.map((name) => wanted.indexOf(name)),
    )
  }

  scan(bytes: Buffer): Fields | null {
    this.#buffer = bytes
    this.#bytes = bytes
    this.#at = 0
    this.#isUtf8 = false
    this.#kept = 0
    const root = this.#objects + 1
    return this.#object(this.#root, 0) && this.#isEnd() ? this.#fields(root) : null
  }

  #fields(root: number): Fields {
    const values = this.#values
    if (this.#whole !== null && this.#kept === values.length) return this.#whole(values)
    const { slots, seenIn } = this.#root
    const made: Record<string, unknown> = {}
    for (let i = 0; i < slots.length; i++) {
      const slot = slots[i]!
      if (slot >= 0 && seenIn[i] === root) made[this.#wanted[slot]!] = values[slot]
    }
    return made
  }

  #isEnd(): boolean {
    this.#space()
    return this.#at === this.#bytes.length
  }

  #space(): void {
    const bytes = this.#bytes
    let at = this.#at
    // Most bytes here are none of these.
    while (bytes[at]! <= 0x20) {
      const byte = bytes[at]
      if (byte !== 0x20 && byte !== 0x0a && byte !== 0x0d && byte !== 0x09) break
      at++
    }
    this.#at = at
  }

  /** Takes one byte, and white space before it. */
  #take(wanted: number): boolean {
    if (this.#bytes[this.#at] !== wanted) {
      this.#space()
      if (this.#bytes[this.#at] !== wanted) return false
    }
    this.#at++
    return true
  }

  #object(level: Level, depth: number): boolean {
    if (depth > depthMax || !this.#take(openBrace)) return false
    const { shape, slots, seenIn } = level
    const thisOne = ++this.#objects
    if (!this.#take(closeBrace)) {
      let before = shape.names.length
      do {
        if (!this.#take(quote)) return false
        const member = this.#member(level, before)
        if (member < 0) {
          if (shape.others === null || !this.#text() || !this.#take(colon)) return false
          if (!this.#value(shape.others, depth)) return false
          continue
        }
        before = member
        if (seenIn[member] === thisOne || !this.#take(colon)) return false
        seenIn[member] = thisOne
        const slot = slots[member]!
        if (slot < 0) {
          if (!this.#value(shape.shapes[member]!, depth)) return false
        } else if (!this.#keep(shape.shapes[member]!, slot)) return false
      } while (this.#take(comma))
      if (!this.#take(closeBrace)) return false
    }
    const { needed } = shape
    for (let i = 0; i < needed.length; i++) if (needed[i]! && seenIn[i] !== thisOne) return false
    return true
  }

  /** The listed member whose name stands here, taken with the quote that ends it; -1: none of them. */
  #member(level: Level, before: number): number {
    const { after, shape } = level
    const { names } = shape
    const guess = after[before]!
    if (guess >= 0 && this.#isName(names[guess]!)) return guess
    for (let i = 0; i < names.length; i++) {
      if (!this.#isName(names[i]!)) continue
      after[before] = i
      return i
    }
    return -1
  }

  #isName(name: Uint8Array): boolean {
    const bytes = this.#bytes
    const at = this.#at
    const { length } = name
    for (let i = 0; i < length; i++) if (bytes[at + i] !== name[i]) return false
    this.#at = at + length
    return true
  }

  /** A value that is wanted. */
  #keep(shape: ValueShape, slot: number): boolean {
    this.#space()
    const from = this.#at
    const kind = this.#valueKind(shape, 0)
    this.#kept++
    switch (kind) {
      case never:
        return false
      case kinds.text:
        this.#values[slot] = this.#textRead()
        return true
      case kinds.number:
        this.#values[slot] = small(this.#number)
        return true
      case kinds.true:
      case kinds.false:
        this.#values[slot] = kind === kinds.true
        return true
      case kinds.null:
        this.#values[slot] = null
        return true
      default:
        // What was read is JSON, and nothing in it would be another value if it were read alone.
        this.#values[slot] = JSON.parse(this.#buffer.toString('utf8', from, this.#at))
        return true
    }
  }

  #textRead(): string {
    const from = this.#from
    const to = this.#to
    if (!this.#isAscii) return this.#buffer.toString('utf8', from, to)
    return asciiText(this.#buffer, from, to)
  }

  #value(shape: ValueShape, depth: number): boolean {
    return this.#valueKind(shape, depth) !== never
  }

  /** Reads a value and checks it; its kind, or `never`. */
  #valueKind(shape: ValueShape, depth: number): number {
    this.#space()
    const byte = this.#bytes[this.#at]
    if (byte === quote) {
      this.#at++
      return this.#text() && this.#fitsText(shape) ? kinds.text : never
    }
    if (byte === openBrace) {
      if ((shape.kinds & kinds.object) === 0) return never
      return this.#object(this.#levelOf(shape), depth + 1) ? kinds.object : never
    }
    if (byte === openBracket) return this.#array(shape, depth + 1) ? kinds.array : never
    if (byte === 0x74) return this.#literal(shape, 'true', kinds.true)
    if (byte === 0x66) return this.#literal(shape, 'false', kinds.false)
    if (byte === 0x6e) return this.#literal(shape, 'null', kinds.null)
    return this.#readNumber() && this.#fitsNumber(shape) ? kinds.number : never
  }

  #levelOf({ object }: ValueShape): Level {
    const shape = object ?? anyObject
    const known = this.#levels.get(shape)
    if (known !== undefined) return known
    const made = newLevel(
      shape,
      shape.names.map(() => -1),
    )
    this.#levels.set(shape, made)
    return made
  }

  #array({ kinds: allowed, items, itemsMin, itemsMax }: ValueShape, depth: number): boolean {
    if ((allowed & kinds.array) === 0 || depth > depthMax) return false
    this.#at++
    const item = items ?? anyShape
    let count = 0
    if (!this.#take(closeBracket)) {
      do {
        if (!this.#value(item, depth)) return false
        count++
      } while (this.#take(comma))
      if (!this.#take(closeBracket)) return false
    }
    return count >= itemsMin && count <= itemsMax
  }

  #literal({ kinds: allowed }: ValueShape, literal: string, kind: number): number {
    if ((allowed & kind) === 0) return never
    for (let i = 0; i < literal.length; i++) {
      if (this.#bytes[this.#at + i] !== literal.charCodeAt(i)) return never
    }
    this.#at += literal.length
    return kind
  }

  /** A text whose first quote is taken: its range, without escapes. */
  #text(): boolean {
    const bytes = this.#bytes
    let at = this.#at
    this.#from = at
    let seen = 0
    for (;;) {
      const byte = bytes[at]
      if (byte === quote) break
      // Beyond the last byte, too.
      if (byte === undefined || byte < 0x20 || byte === backslash) return false
      seen |= byte
      at++
    }
    this.#to = at
    this.#at = at + 1
    this.#isAscii = seen < utf8
    if (this.#isAscii || this.#isUtf8) return true
    this.#isUtf8 = isUtf8(this.#buffer)
    return this.#isUtf8
  }

  #fitsText(shape: ValueShape): boolean {
    if ((shape.kinds & kinds.text) === 0) return false
    const { lengthMin, lengthMax, texts, textTests } = shape
    const length = this.#isAscii ? this.#to - this.#from : this.#points()
    if (length < lengthMin || length > lengthMax) return false
    if (texts !== null && !texts.some((text) => this.#isText(text))) return false
    return textTests.length === 0 || this.#passes(textTests)
  }

  #passes(tests: ValueShape['textTests']): boolean {
    const text = this.#buffer.toString('utf8', this.#from, this.#to)
    return tests.every((test) => test(text))
  }

  #isText(text: Uint8Array): boolean {
    const from = this.#from
    if (text.length !== this.#to - from) return false
    for (let i = 0; i < text.length; i++) if (this.#bytes[from + i] !== text[i]) return false
    return true
  }

  /** Code points: bytes that do not go on with another one's. */
  #points(): number {
    let points = 0
    for (let at = this.#from; at < this.#to; at++) if ((this.#bytes[at]! & 0xc0) !== utf8) points++
    return points
  }

  /** As JSON writes numbers; what JSON.parse makes of it, when it is within ±(2^53 − 1). */
  #readNumber(): boolean {
    const bytes = this.#bytes
    const from = this.#at
    let at = from
    const isNegative = bytes[at] === minus
    if (isNegative) at++
    const first = at
    let value = 0
    while (isDigit(bytes[at])) value = value * 10 + bytes[at++]! - zero
    const digits = at - first
    if (digits === 0 || (digits > 1 && bytes[first] === zero)) return false
    const byte = bytes[at]
    if (byte === point || byte === 0x65 || byte === 0x45 || digits > digitsMax)
      return this.#readFraction(from, at, value, digits)
    this.#number = isNegative ? -value : value
    this.#at = at
    return true
  }

  /** `at`: behind the whole digits. */
  #readFraction(from: number, behind: number, whole: number, wholeDigits: number): boolean {
    const bytes = this.#bytes
    let at = behind
    let value = whole
    let places = 0
    if (bytes[at] === point) {
      at++
      const first = at
      while (isDigit(bytes[at])) value = value * 10 + bytes[at++]! - zero
      places = at - first
      if (places === 0) return false
    }
    const byte = bytes[at]
    if (byte !== 0x65 && byte !== 0x45 && wholeDigits + places <= digitsMax) {
      const size = value / powersOfTen[places]!
      this.#number = bytes[from] === minus ? -size : size
      this.#at = at
      return true
    }
    if (byte === 0x65 || byte === 0x45) {
      at++
      if (bytes[at] === 0x2b || bytes[at] === minus) at++
      const first = at
      while (isDigit(bytes[at])) at++
      if (at === first) return false
    }
    this.#number = Number(this.#buffer.toString('latin1', from, at))
    this.#at = at
    return Math.abs(this.#number) <= Number.MAX_SAFE_INTEGER
  }

  #fitsNumber(shape: ValueShape): boolean {
    const value = this.#number
    if ((shape.kinds & kinds.number) === 0) return false
    if (value < shape.min || value > shape.max || value <= shape.above || value >= shape.below) return false
    if (shape.whole && !Number.isInteger(value)) return false
    const { numbers, isMultiple } = shape
    return (numbers === null || numbers.includes(value)) && (isMultiple === null || isMultiple(value))
  }
}

/** The same number, without a box where it needs none. */
function small(value: number): number {
  const whole = value | 0
  return whole === value && whole !== 0 ? whole : value
}

function isDigit(byte: number | undefined): boolean {
  return byte !== undefined && byte >= zero && byte <= nine
}

const anyObject: ObjectShape = { names: [], shapes: [], needed: [], others: anyShape }

function newLevel(shape: ObjectShape, slots: readonly number[]): Level {
  return {
    shape,
    slots: Int32Array.from(slots),
    after: new Int32Array(shape.names.length + 1).fill(-1),
    seenIn: new Float64Array(shape.names.length),
  }
}
