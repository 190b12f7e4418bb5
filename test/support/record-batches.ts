import { crc32c } from '../../src/kafka/wire/crc32c.ts'
import { codecOf, compressionIds, type Compression } from '../../src/kafka/codecs.ts'

/** A record as it stands on the wire. */
export interface WireRecord {
  readonly offset: number
  readonly timestamp: number
  readonly key: Buffer | null
  readonly value: Buffer | null
  readonly headers?: readonly (readonly [name: string | Buffer, value: Buffer | null])[]
}

export interface BatchSettings {
  readonly compression?: Compression
  /** Default: of the first record. */
  readonly firstOffset?: number
  /** Default: of the last record. */
  readonly lastOffset?: number
  /** Set: a transactional batch of this producer. */
  readonly producerId?: number
  readonly isControl?: boolean
  readonly isLogAppendTime?: boolean
  /** What the batch says it holds. */
  readonly count?: number
  /** In place of the records' bytes, before compression. */
  readonly body?: Buffer
}

/** A record batch of magic 2, written without any code of the program but its codecs and its CRC. */
export async function recordBatch(
  records: readonly WireRecord[],
  settings: BatchSettings = {},
): Promise<Buffer> {
  const { compression = 'none' } = settings
  if (compression === 'none') return plainBatch(records, settings)
  const buffer = bodyOf(records, settings)
  const body = await codecOf(compressionIds[compression])!.compress({ buffer })
  return batchAround(body, records, settings)
}

export function plainBatch(records: readonly WireRecord[], settings: BatchSettings = {}): Buffer {
  return batchAround(bodyOf(records, settings), records, settings)
}

function bodyOf(records: readonly WireRecord[], { body, firstOffset }: BatchSettings): Buffer {
  const first = firstOffset ?? records[0]?.offset ?? 0
  const base = records[0]?.timestamp ?? 0
  return body ?? Buffer.concat(records.map((record) => encodeRecord(record, first, base)))
}

function batchAround(body: Buffer, records: readonly WireRecord[], settings: BatchSettings): Buffer {
  const first = settings.firstOffset ?? records[0]?.offset ?? 0
  const last = settings.lastOffset ?? records.at(-1)?.offset ?? first
  const base = records[0]?.timestamp ?? 0
  const newest = records.reduce((max, { timestamp }) => Math.max(max, timestamp), base)
  const isTransactional = settings.producerId !== undefined
  const attributes =
    compressionIds[settings.compression ?? 'none'] |
    (settings.isLogAppendTime ? 0x08 : 0) |
    (isTransactional ? 0x10 : 0) |
    (settings.isControl ? 0x20 : 0)
  const batch = Buffer.alloc(61 + body.length)
  batch.writeBigInt64BE(BigInt(first), 0)
  batch.writeInt32BE(batch.length - 12, 8)
  batch.writeInt8(2, 16)
  batch.writeInt16BE(attributes, 21)
  batch.writeInt32BE(last - first, 23)
  batch.writeBigInt64BE(BigInt(base), 27)
  batch.writeBigInt64BE(BigInt(newest), 35)
  batch.writeBigInt64BE(BigInt(settings.producerId ?? -1), 43)
  batch.writeInt16BE(isTransactional ? 0 : -1, 51)
  batch.writeInt32BE(isTransactional ? 0 : -1, 53)
  batch.writeInt32BE(settings.count ?? records.length, 57)
  body.copy(batch, 61)
  return sealed(batch)
}

/** With the right checksum, after a change. */
export function sealed(batch: Buffer): Buffer {
  batch.writeUInt32BE(crc32c(batch, 21, batch.length), 17)
  return batch
}

/** The marker that ends a transaction. */
export function marker(offset: number, producerId: number, kind: 'abort' | 'commit'): Buffer {
  const key = Buffer.from([0, 0, 0, kind === 'abort' ? 0 : 1])
  const record = { offset, timestamp: 0, key, value: Buffer.alloc(6) }
  return plainBatch([record], { producerId, isControl: true })
}

export function encodeRecord(record: WireRecord, firstOffset: number, baseTimestamp: number): Buffer {
  const body = Buffer.concat([
    Buffer.from([0]),
    varint(BigInt(record.timestamp) - BigInt(baseTimestamp)),
    varint(BigInt(record.offset - firstOffset)),
    sized(record.key),
    sized(record.value),
    varint(BigInt(record.headers?.length ?? 0)),
    ...(record.headers ?? []).flatMap(([name, value]) => [sized(Buffer.from(name)), sized(value)]),
  ])
  return Buffer.concat([varint(BigInt(body.length)), body])
}

export function varint(value: bigint): Buffer {
  const bytes: number[] = []
  let rest = BigInt.asUintN(64, (value << 1n) ^ (value >> 63n))
  for (; rest > 0x7fn; rest >>= 7n) bytes.push(Number(rest & 0x7fn) | 0x80)
  return Buffer.from([...bytes, Number(rest)])
}

function sized(bytes: Buffer | null): Buffer {
  return bytes === null ? varint(-1n) : Buffer.concat([varint(BigInt(bytes.length)), bytes])
}
