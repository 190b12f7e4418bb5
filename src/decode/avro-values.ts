import avsc, { type Type, type types } from 'avsc'

/** A long that a double cannot hold; refused rather than rounded. */
export class LongTooLarge extends Error {}

/**
 * Longs as numbers, exact within ±(2^53 − 1). avsc's own type misreads negative ones beyond −2^52 (their zigzag form
 * needs 54 bits of a double). Used for what is read; unread longs may be of any size.
 */
export const exactLong = avsc.types.LongType.__with(
  {
    fromBuffer: readLong,
    toBuffer: (value: number) => writeLong(BigInt(value)),
    fromJSON: Number,
    toJSON: Number,
    isValid: Number.isSafeInteger,
    compare: (a: number, b: number) => Math.sign(a - b),
  },
  true, // varint bytes as they are
)

function readLong(varint: Buffer): number {
  let low = 0 // 28 bits
  let high = 0
  for (let i = 0; i < varint.length; i++) {
    const bits = (varint[i] as number) & 0x7f
    if (i < 4) low |= bits << (7 * i)
    else high += bits * 128 ** (i - 4)
  }
  // zigzag: half, and the lowest bit says whether it is the complement
  const half = (low >>> 1) + high * 134_217_728 // 2^27
  const value = (low & 1) === 0 ? half : -half - 1
  if (!Number.isSafeInteger(value)) throw new LongTooLarge('a long beyond ±(2^53 − 1)')
  return value
}

function writeLong(value: bigint): Buffer {
  let rest = BigInt.asUintN(64, (value << 1n) ^ (value >> 63n))
  const bytes: number[] = []
  while (rest > 0x7fn) {
    bytes.push(Number(rest & 0x7fn) | 0x80)
    rest >>= 7n
  }
  bytes.push(Number(rest))
  return Buffer.from(bytes)
}

type Convert = (value: unknown) => unknown

/**
 * Turns what avsc makes into what events hold: records become plain objects, bytes become base64 text, wrapped unions
 * their value. Null: nothing to do for this type.
 */
export function compileToPlain(type: Type, known = new Map<Type, Convert>()): Convert | null {
  if (type instanceof avsc.types.RecordType) return recordToPlain(type, known)
  if (type instanceof avsc.types.BytesType || type instanceof avsc.types.FixedType) {
    return (value) => (Buffer.isBuffer(value) ? value.toString('base64') : value)
  }
  if (type instanceof avsc.types.ArrayType) {
    const item = compileToPlain(type.itemsType, known)
    return item === null ? null : (value) => (Array.isArray(value) ? value.map(item) : value)
  }
  if (type instanceof avsc.types.MapType) {
    const item = compileToPlain(type.valuesType as Type, known)
    return item === null ? null : (value) => mapEntries(value, () => item)
  }
  if (type instanceof avsc.types.UnwrappedUnionType) {
    // Unwrapped means that the branches can be told apart by their JavaScript type: a Buffer is bytes, an object that
    // is no array is the one record or map.
    const branches = type.types.map((branch) => ({ branch, convert: compileToPlain(branch, known) }))
    if (branches.every(({ convert }) => convert === null)) return null
    return (value) => branches.find(({ branch }) => branch.isValid(value))?.convert?.(value) ?? value
  }
  if (type instanceof avsc.types.WrappedUnionType) return unwrap(type, known)
  return null
}

/** In place of the top level's own type: fields that need converting, by name. */
export function fieldConversions(type: types.RecordType): readonly (readonly [string, Convert])[] {
  const known = new Map<Type, Convert>()
  return type.fields.flatMap((field) => {
    const convert = compileToPlain(field.type, known)
    return convert === null ? [] : [[field.name, convert] as const]
  })
}

function recordToPlain(type: types.RecordType, known: Map<Type, Convert>): Convert {
  const seen = known.get(type)
  if (seen !== undefined) return seen
  const byName = new Map<string, Convert>()
  const convert: Convert = (value) => mapEntries(value, (name) => byName.get(name))
  known.set(type, convert)
  for (const field of type.fields) {
    const inner = compileToPlain(field.type, known)
    if (inner !== null) byName.set(field.name, inner)
  }
  return convert
}

/** avsc wraps a value as {branch name: value} when it could not tell the branches apart. */
function unwrap(type: types.WrappedUnionType, known: Map<Type, Convert>): Convert {
  const byName = new Map<string, Convert | null>()
  for (const branch of type.types)
    byName.set(branch.branchName ?? branch.typeName, compileToPlain(branch, known))
  return (value) => {
    if (typeof value !== 'object' || value === null) return value
    const [entry] = Object.entries(value) as [string, unknown][]
    if (entry === undefined) return value
    const convert = byName.get(entry[0])
    return convert ? convert(entry[1]) : entry[1]
  }
}

function mapEntries(value: unknown, conversionOf: (name: string) => Convert | undefined): unknown {
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value).map(([name, inner]) => [name, conversionOf(name)?.(inner) ?? inner]),
  )
}
