import type { AvroCodecPlan, CodecPlan, SourcePlan } from '../../../src/decode/plan.ts'
import type { RawRecord } from '../../../src/record/raw-record.ts'

export const at = 1_752_000_000_000

export const transaction = {
  id: 'tx-00000001',
  customer: 'c00001',
  terminal: 't00001',
  amountCents: 1234,
  ts: at,
}

export const transactionSchema = {
  $schema: 'https://json-schema.org/draft/2020-12/schema',
  type: 'object',
  required: ['id', 'customer', 'ts'],
  properties: {
    terminal: { type: 'string' },
    amountCents: { type: 'integer', minimum: 0 },
    currency: { enum: ['EUR', 'USD'] },
    email: { type: 'string', format: 'email' },
    amount: { anyOf: [{ type: 'number' }, { type: 'null' }] },
  },
}

export const transactionAvro = {
  type: 'record',
  name: 'Transaction',
  namespace: 'card',
  fields: [
    { name: 'id', type: 'string' },
    { name: 'customer', type: 'string' },
    { name: 'amountCents', type: 'long' },
    { name: 'ts', type: { type: 'long', logicalType: 'timestamp-millis' } },
  ],
}

export function jsonCodec(schema: object = transactionSchema): CodecPlan {
  return { kind: 'json', schema, schemaPath: 'schemas/transaction.schema.json' }
}

export function avroCodec(overrides: Partial<AvroCodecPlan> = {}): AvroCodecPlan {
  return {
    kind: 'avro',
    subject: 'card.transactions-value',
    reader: transactionAvro,
    giveUpIds: [],
    ...overrides,
  }
}

export function sourcePlan(overrides: Partial<SourcePlan> = {}): SourcePlan {
  return {
    name: 'transactions',
    role: 'score',
    topic: 'card.transactions',
    codec: jsonCodec(),
    idField: 'id',
    keyField: 'customer',
    timeField: 'ts',
    timeFormat: 'epochMs',
    start: 'earliest',
    outOfOrderMs: 60_000,
    disorderMaxMs: 60_000,
    allowedLatenessMs: 3_600_000,
    late: 'score',
    alignMs: 30_000,
    limits: { recordMaxBytes: 1_048_576, futureMaxMs: 300_000 },
    ...overrides,
  }
}

export function rawRecord(value: Buffer | string | null, overrides: Partial<RawRecord> = {}): RawRecord {
  return {
    topic: 'card.transactions',
    partition: 3,
    offset: 17,
    timestamp: at,
    key: Buffer.from('c00001'),
    value: typeof value === 'string' ? Buffer.from(value) : value,
    headers: [],
    ...overrides,
  }
}

export function jsonRecord(value: unknown, overrides: Partial<RawRecord> = {}): RawRecord {
  return rawRecord(JSON.stringify(value), overrides)
}
