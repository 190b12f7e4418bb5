import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import avsc from 'avsc'
import { expect, test } from 'vitest'
import { Kafka, logLevel, Partitioners } from '../../../src/kafka/kafkajs.ts'
import { tailTopics } from '../../../src/kafka/tail-consumer.ts'
import { headerText } from '../../../src/record/headers.ts'
import type { RawRecord } from '../../../src/record/raw-record.ts'
import { registerSchema } from '../../../src/registry/register-schema.ts'
import { quietLog } from '../../../src/telemetry/log.ts'
import { brokers, registryUrl, uniqueName } from '../../support/servers.ts'
import { openWorld } from '../../support/service-world.ts'

interface RecordSchema {
  readonly type: 'record'
  readonly name: string
  readonly fields: readonly { readonly name: string; readonly type: unknown; readonly default?: unknown }[]
}

const transaction = JSON.parse(readFileSync('schemas/transaction.avsc', 'utf8')) as RecordSchema
const prediction = JSON.parse(readFileSync('schemas/output/prediction.avsc', 'utf8')) as RecordSchema

function framed(id: number, schema: RecordSchema, value: object): Buffer {
  const header = Buffer.alloc(5)
  header.writeInt32BE(id, 1)
  return Buffer.concat([header, avsc.Type.forSchema(schema as avsc.Schema).toBuffer(value)])
}

test('Avro in by any writer schema the reader understands, Avro out, a cut record to the dead letters with its schema id', async () => {
  const registry = await registryUrl()
  const [inSubject, outSubject] = [uniqueName('tx-value'), uniqueName('predictions-value')]
  const world = await openWorld({
    partitions: 1,
    change: {
      registry: { url: registry },
      sources: {
        transactions: {
          codec: { json: null, avro: { subject: inSubject, reader: resolve('schemas/transaction.avsc') } },
        },
      },
      values: { riskTier: 'amountCents / 100' }, // of the JSON schema only
      sinks: { predictions: { codec: { avro: { subject: outSubject } } } },
    },
  })
  const older = await registerSchema({ url: registry }, inSubject, transaction)
  const newer: RecordSchema = {
    ...transaction,
    fields: [...transaction.fields, { name: 'channel', type: 'string', default: 'unknown' }],
  }
  const newerId = await registerSchema({ url: registry }, inSubject, newer)
  const outId = await registerSchema({ url: registry }, outSubject, prediction)

  const now = Date.now()
  const event = (id: string) => ({ id, customer: 'c1', terminal: 't1', amountCents: 1_250, ts: now })
  const values = [
    framed(older, transaction, event('old')),
    framed(newerId, newer, { ...event('new'), channel: 'web' }),
    framed(older, transaction, event('cut')).subarray(0, 9),
    framed(newerId, newer, { ...event('last'), channel: 'app' }),
  ]
  const producer = new Kafka({ brokers: brokers(), logLevel: logLevel.NOTHING }).producer({
    createPartitioner: Partitioners.DefaultPartitioner,
  })
  await producer.connect()
  await producer.send({
    topic: world.topics.transactions,
    messages: values.map((value) => ({ key: 'c1', value, partition: 0 })),
  })
  await producer.disconnect()
  const service = world.start()
  const records = await tail(world.topics.predictions, world.plan.kafka.group, 3)
  const letters = await tail(world.topics.deadLetters, world.plan.kafka.group, 1)

  const type = avsc.Type.forSchema(prediction as avsc.Schema)
  const published = records.map(({ value }) => {
    expect(value?.readInt8(0)).toBe(0)
    expect(value?.readInt32BE(1)).toBe(outId)
    return type.fromBuffer((value ?? Buffer.alloc(0)).subarray(5)) as { id: string; occurredAt: unknown }
  })
  expect(published.map(({ id }) => id)).toEqual(['old', 'new', 'last'])
  expect(letters[0]?.value).toEqual(values[2])
  expect(headerText(letters[0]?.headers ?? [], 'millrace.dlq.reason')).toBe('DECODE')
  expect(headerText(letters[0]?.headers ?? [], 'millrace.dlq.schema-id')).toBe(String(older))
  expect(await service.stop()).toEqual({ code: 0, signal: null })
})

async function tail(topic: string, group: string, count: number): Promise<RawRecord[]> {
  const records: RawRecord[] = []
  await tailTopics(
    {
      plan: {
        brokers: brokers(),
        clientId: 'test',
        instance: null,
        group,
        sessionTimeoutMs: 10_000,
        transactionTimeoutMs: 60_000,
        ssl: false,
        sasl: null,
      },
      topics: [topic],
      fromBeginning: true,
      log: quietLog,
      onRecord: (record) => {
        records.push(record)
        return records.length < count
      },
    },
    AbortSignal.timeout(60_000),
  )
  return records
}
