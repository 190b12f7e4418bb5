import avsc, { type Type, type types } from 'avsc'

type Long = number | bigint

/**
 * Longs as numbers within ±(2^53 − 1), and as bigints beyond. avsc's own type refuses large ones, and misreads negative
 * ones beyond −2^52 (their zigzag form needs 54 bits of a double).
 */
const exactLong = avsc.types.LongType.__with(
  {
    fromBuffer: readLong,
    toBuffer: (value: Long) => writeLong(BigInt(value)),
    fromJSON: (value: Long) => value,
    toJSON: (value: Long) => value,
    isValid: (value: unknown) =>
      typeof value === 'bigint' ? BigInt.asIntN(64, value) === value : Number.isSafeInteger(value),
    compare: (a: Long, b: Long) => (a < b ? -1 : a > b ? 1 : 0),
  },
  true, // varint bytes as they are
)

/** A type of avsc with what it inherits from those it leaves undeclared. */
interface Resolvable {
  _update(resolver: Resolver, writer: ReadableType, options: unknown): void
}
interface Resolver {
  _read: (tap: unknown) => unknown
}
interface ReadableType {
  readonly typeName: string
  _read(tap: unknown): unknown
}

/** Float or double that takes a long of the writer through `exactLong`: avsc loses the sign of large ones. */
function promoting<T extends types.DoubleType | types.FloatType>(type: T): T {
  const base = type as unknown as Resolvable
  const promote: Resolvable['_update'] = (resolver, writer, options) => {
    if (writer.typeName === 'abstract:long') resolver._read = (tap) => Number(writer._read(tap))
    else base._update(resolver, writer, options)
  }
  return Object.create(type, { _update: { value: promote } }) as T
}

const exactTypes: ReadonlyMap<unknown, Type> = new Map<unknown, Type>([
  ['long', exactLong],
  ['double', promoting(new avsc.types.DoubleType())],
  ['float', promoting(new avsc.types.FloatType())],
])

/** avsc's hook for the types of a schema: numbers that lose nothing. */
export function exactNumbers(schema: unknown): Type | undefined {
  const name = typeof schema === 'object' && schema !== null && 'type' in schema ? schema.type : schema
  return exactTypes.get(name)
}

function readLong(varint: Buffer): Long {
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
  return Number.isSafeInteger(value) ? value : readLarge(varint)
}

function readLarge(varint: Buffer): Long {
  let zigzag = 0n
  for (let i = 0; i < varint.length; i++) {
    zigzag |= BigInt((varint[i] as number) & 0x7f) << BigInt(7 * i)
  }
  zigzag = BigInt.asUintN(64, zigzag)
  const value = (zigzag >> 1n) ^ -(zigzag & 1n)
  const number = Number(value)
  return Number.isSafeInteger(number) ? number : value
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
