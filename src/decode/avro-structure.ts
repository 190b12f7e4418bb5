import { isUtf8 } from 'node:buffer'
import avsc, { type Type, type types } from 'avsc'

/**
 * Walks Avro bytes along the writer's schema before avsc reads them. avsc believes what the bytes say: a count of
 * 2^31 array items in a record of six bytes keeps it busy until memory ends. It also reads any text as UTF-8, and any
 * number of bytes as an int. After this walk every length, count and index is known to fit.
 */
export type StructureCheck = (bytes: Buffer, start: number) => void

/** What is wrong with the bytes, and where. */
export class MalformedAvro extends Error {}

/**
 * Items and fields that one record may have: some for each of its bytes, and some that take none. Nulls and records of
 * nothing take no bytes, so the size alone does not bound them: 40 records of twice the next one are 2^40 in none.
 */
const stepsPerByte = 16
const stepsFree = 100_000

/** Records within records; only recursive schemas get there. */
const depthMax = 64

interface Cursor {
  readonly bytes: Buffer
  at: number
  stepsLeft: number
  depth: number
}

type Walk = (cursor: Cursor) => void

export function compileStructureCheck(writer: Type): StructureCheck {
  const walk = compileWalk(writer, new Map())
  return (bytes, start) => {
    const cursor: Cursor = { bytes, at: start, stepsLeft: stepsFree + stepsPerByte * bytes.length, depth: 0 }
    walk(cursor)
    if (cursor.at !== bytes.length) throw at(start, `${bytes.length - cursor.at} bytes behind the last field`)
  }
}

function compileWalk(type: Type, known: Map<Type, Walk>): Walk {
  if (type instanceof avsc.types.RecordType) return recordWalk(type, known)
  if (type instanceof avsc.types.ArrayType) return blocksWalk(null, compileWalk(type.itemsType, known))
  if (type instanceof avsc.types.MapType)
    return blocksWalk(mapKey, compileWalk(type.valuesType as Type, known))
  if (type instanceof avsc.types.UnwrappedUnionType || type instanceof avsc.types.WrappedUnionType) {
    const branches = type.types.map((branch) => compileWalk(branch, known))
    return (cursor) => chosen(cursor, branches, 'union branch')(cursor)
  }
  if (type instanceof avsc.types.EnumType) {
    const symbols = type.symbols
    return (cursor) => void chosen(cursor, symbols, 'enum symbol')
  }
  if (type instanceof avsc.types.FixedType) {
    const { size } = type
    return (cursor) => skip(cursor, size)
  }
  const walk = primitives[type.typeName]
  if (walk === undefined) throw new MalformedAvro(`type ${type.typeName} is not part of Avro`)
  return walk
}

function recordWalk(type: types.RecordType, known: Map<Type, Walk>): Walk {
  const seen = known.get(type)
  if (seen !== undefined) return seen
  const fields: Walk[] = []
  const walk: Walk = (cursor) => {
    if (++cursor.depth > depthMax) throw at(cursor.at, `records nested more than ${depthMax} deep`)
    takeSteps(cursor, fields.length)
    for (let i = 0; i < fields.length; i++) (fields[i] as Walk)(cursor)
    cursor.depth--
  }
  known.set(type, walk) // before its fields: they may refer to the record itself
  for (const field of type.fields) fields.push(compileWalk(field.type, known))
  return walk
}

/** Arrays and maps: blocks of a count and that many items; a negative count is followed by the block's size. */
function blocksWalk(key: Walk | null, item: Walk): Walk {
  return (cursor) => {
    for (;;) {
      const count = readVarint(cursor)
      if (count === 0) return
      const n = Math.abs(count)
      takeSteps(cursor, n)
      const size = count < 0 ? readVarint(cursor) : null
      const start = cursor.at
      for (let i = 0; i < n; i++) {
        key?.(cursor)
        item(cursor)
      }
      if (size !== null && cursor.at - start !== size)
        throw at(start, `a block of ${size} bytes that has another length`)
    }
  }
}

function takeSteps(cursor: Cursor, steps: number): void {
  cursor.stepsLeft -= steps
  if (cursor.stepsLeft < 0) throw at(cursor.at, 'more fields and items than so few bytes may stand for')
}

const primitives: Readonly<Record<string, Walk>> = {
  null: () => {},
  boolean: (cursor) => {
    const { at: start } = cursor
    skip(cursor, 1)
    if ((cursor.bytes[start] as number) > 1) throw at(start, `a boolean of ${cursor.bytes[start]}`)
  },
  int: (cursor) => {
    const { at: start } = cursor
    const value = readVarint(cursor)
    if (value < -2_147_483_648 || value > 2_147_483_647) throw at(start, 'an int of more than 32 bits')
  },
  long: (cursor) => void readVarint(cursor),
  'abstract:long': (cursor) => void readVarint(cursor),
  float: (cursor) => skip(cursor, 4),
  double: (cursor) => skip(cursor, 8),
  bytes: (cursor) => void skipCounted(cursor),
  string: text,
}

/** Text; its first byte's position. */
function text(cursor: Cursor): number {
  const start = skipCounted(cursor)
  for (let i = start; i < cursor.at; i++) {
    if ((cursor.bytes[i] as number) <= 0x7f) continue
    if (isUtf8(cursor.bytes.subarray(i, cursor.at))) break
    throw at(start, 'text that is not valid UTF-8')
  }
  return start
}

function mapKey(cursor: Cursor): void {
  const start = text(cursor)
  // avsc assigns keys to a plain object, and this one would replace its prototype.
  if (cursor.bytes.toString('latin1', start, cursor.at) === '__proto__')
    throw at(start, 'a map key named __proto__')
}

function skipCounted(cursor: Cursor): number {
  const from = cursor.at
  const length = readVarint(cursor)
  if (length < 0) throw at(from, `a length of ${length}`)
  const start = cursor.at
  skip(cursor, length)
  return start
}

function skip(cursor: Cursor, length: number): void {
  const end = cursor.at + length
  if (end > cursor.bytes.length) {
    throw at(cursor.at, `truncated: ${length} bytes expected, ${cursor.bytes.length - cursor.at} left`)
  }
  cursor.at = end
}

function chosen<T>(cursor: Cursor, options: readonly T[], what: string): T {
  const from = cursor.at
  const index = readVarint(cursor)
  const option = options[index]
  if (option === undefined) throw at(from, `${what} ${index} of ${options.length}`)
  return option
}

/** A zigzag varint. Exact below 2^53, which covers every length and index; larger ones stay large. */
function readVarint(cursor: Cursor): number {
  const { bytes } = cursor
  let value = 0
  let scale = 1
  // A long of 64 bits takes 10 bytes at most.
  for (let i = 0; i < 10; i++) {
    const byte = bytes[cursor.at]
    if (byte === undefined) throw at(cursor.at, 'truncated inside a number')
    cursor.at++
    value += (byte & 0x7f) * scale
    if (byte < 0x80) return value % 2 === 0 ? value / 2 : -(value + 1) / 2
    scale *= 128
  }
  throw at(cursor.at - 10, 'a number of more than 64 bits')
}

function at(position: number, what: string): MalformedAvro {
  return new MalformedAvro(`at byte ${position}: ${what}`)
}
