import avsc from 'avsc'
import { createDecoder, type Decoder } from '../../../src/decode/decoder.ts'
import type { AvroCodecPlan } from '../../../src/decode/plan.ts'
import type { Event, Reject } from '../../../src/record/event.ts'
import type { RegisteredSchema, Registry } from '../../../src/registry/registry.ts'
import { manualClock } from '../../../src/time/manual-clock.ts'
import { at, avroCodec, rawRecord, sourcePlan, transactionAvro } from './fixtures.ts'

export const transaction = { id: 'tx-1', customer: 'c00001', amountCents: 1234, ts: at }
export const { signal } = new AbortController()

export function frame(id: number, value: Buffer | string): Buffer {
  const header = Buffer.alloc(5)
  header.writeInt32BE(id, 1)
  return Buffer.concat([header, Buffer.from(value)])
}

export function encoded(schema: object, value: unknown, id = 1): Buffer {
  return frame(id, avsc.Type.forSchema(schema as avsc.Schema).toBuffer(value))
}

export function registryOf(schemas: Record<number, object | RegisteredSchema>): Registry {
  return {
    url: 'http://registry',
    writerSchema: (id) => {
      const schema = schemas[id]
      if (schema === undefined) return Promise.resolve(null)
      return Promise.resolve('kind' in schema ? schema : { kind: 'avro', id, schema: JSON.stringify(schema) })
    },
    latestId: () => Promise.resolve(null),
    schemaFor: () => Promise.resolve(null),
  }
}

export function decoderOf(
  schemas: Record<number, object | RegisteredSchema>,
  codec: Partial<AvroCodecPlan> = {},
): Decoder {
  return createDecoder(sourcePlan({ codec: avroCodec(codec) }), registryOf(schemas), manualClock())
}

export async function decode(
  value: Buffer,
  schemas: Record<number, object | RegisteredSchema> = { 1: transactionAvro },
  codec: Partial<AvroCodecPlan> = {},
): Promise<Event | Reject> {
  const decoder = decoderOf(schemas, codec)
  const record = rawRecord(value)
  await decoder.prepare([record], signal)
  return decoder.decode(record)
}

/** Base fields and `extra`, in a writer schema; and the same with a value. */
export function withField(type: unknown, name = 'extra'): typeof transactionAvro {
  return { ...transactionAvro, fields: [...transactionAvro.fields, { name, type } as never] }
}

export function zigzag(value: bigint): Buffer {
  let rest = BigInt.asUintN(64, (value << 1n) ^ (value >> 63n))
  const bytes: number[] = []
  for (; rest > 0x7fn; rest >>= 7n) bytes.push(Number(rest & 0x7fn) | 0x80)
  return Buffer.from([...bytes, Number(rest)])
}
