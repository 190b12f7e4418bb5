import avsc from 'avsc'
import { createServer, connect, type Server } from 'node:net'
import { afterEach, beforeAll, describe, expect, test } from 'vitest'
import { createDecoder, type Decoder } from '../../src/decode/decoder.ts'
import type { SchemaWait } from '../../src/decode/writer-schemas.ts'
import { isReject } from '../../src/record/event.ts'
import type { RawRecord } from '../../src/record/raw-record.ts'
import { openRegistry, type Registry } from '../../src/registry/registry.ts'
import { registerSchema } from '../../src/registry/register-schema.ts'
import { loadAvroEncoders } from '../../src/sink/avro-encoder.ts'
import { samplePrediction } from '../../src/sink/sample.ts'
import { systemClock } from '../../src/time/system-clock.ts'
import { registryUrl, uniqueName } from '../support/servers.ts'
import { avroCodec, rawRecord, sourcePlan } from '../unit/decode/fixtures.ts'
import { schemaText, sinkPlan } from '../unit/sink/fixtures.ts'

const { signal } = new AbortController()
const at = 1_752_000_000_000

interface AvroRecord {
  readonly type: 'record'
  readonly name: string
  readonly fields: readonly { readonly name: string; readonly type: string; readonly default?: unknown }[]
}

let url: string
/** A name of its own makes the schema, and with it the id, new to the registry. */
let first: AvroRecord
let second: AvroRecord
let subject: string

beforeAll(async () => {
  url = await registryUrl()
})

const closing: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const close of closing.splice(0)) await close()
})

function newSchemas(): void {
  subject = uniqueName('transactions-value')
  first = {
    type: 'record',
    name: uniqueName('Transaction').replaceAll('-', '_'),
    fields: ['id', 'customer'].map((name) => ({ name, type: 'string' })).concat({ name: 'ts', type: 'long' }),
  }
  second = { ...first, fields: [...first.fields, { name: 'currency', type: 'string', default: 'EUR' }] }
}

function framed(id: number, schema: AvroRecord, value: object): RawRecord {
  const avro = avsc.Type.forSchema(schema as avsc.Schema).toBuffer(value)
  const header = Buffer.alloc(5)
  header.writeInt32BE(id, 1)
  return rawRecord(Buffer.concat([header, avro]), { timestamp: at })
}

function decoderWith(registry: Registry, onWait: (wait: SchemaWait) => void = () => {}): Decoder {
  const plan = sourcePlan({ codec: avroCodec({ subject, reader: second }) })
  return createDecoder(plan, registry, systemClock, onWait)
}

describe('records written with a registered schema', () => {
  test('are read as the reader schema says, whichever version wrote them', async () => {
    newSchemas()
    const v1 = await registerSchema({ url }, subject, first)
    const v2 = await registerSchema({ url }, subject, second)
    expect(v2).not.toBe(v1)
    const registry = openRegistry({ url })
    expect(await registry.latestId(subject, signal)).toBe(v2)
    const records = [
      framed(v1, first, { id: 'a', customer: 'c00001', ts: at }),
      framed(v2, second, { id: 'b', customer: 'c00001', ts: at, currency: 'USD' }),
    ]
    const decoder = decoderWith(registry)
    await decoder.prepare(records, signal)
    const currencies = records.map((record) => {
      const decoded = decoder.decode(record)
      return isReject(decoded) ? decoded.message : decoded.fields['currency']
    })
    expect(currencies).toEqual(['EUR', 'USD'])
  })

  test('with an id that nobody registered yet wait for the registration', async () => {
    newSchemas()
    const id = await nextId()
    const record = framed(id, first, { id: 'a', customer: 'c00001', ts: at })
    const waiting = Promise.withResolvers<SchemaWait>()
    const decoder = decoderWith(openRegistry({ url }), waiting.resolve)
    const prepared = decoder.prepare([record], signal)
    expect(await waiting.promise).toMatchObject({ schemaId: id, error: { code: 'SCHEMA_UNKNOWN' } })
    await registerUntil(id)
    await prepared
    expect(decoder.decode(record)).toMatchObject({ id: 'a', fields: { currency: 'EUR' } })
  })

  test('wait while the registry is down', async () => {
    newSchemas()
    const id = await registerSchema({ url }, subject, first)
    const record = framed(id, first, { id: 'a', customer: 'c00001', ts: at })
    const door = await openDoor(new URL(url))
    await door.shut()
    const waiting = Promise.withResolvers<SchemaWait>()
    const decoder = decoderWith(openRegistry({ url: door.url }), waiting.resolve)
    const prepared = decoder.prepare([record], signal)
    expect(await waiting.promise).toMatchObject({ error: { code: 'REGISTRY_UNREACHABLE' } })
    await door.open()
    await prepared
    expect(decoder.decode(record)).toMatchObject({ id: 'a' })
  })

  test('stop waiting when the partition is taken away', async () => {
    newSchemas()
    const revoked = new AbortController()
    const decoder = decoderWith(openRegistry({ url }), () => revoked.abort(new Error('revoked')))
    const record = framed(2_000_000_000, first, { id: 'a', customer: 'c00001', ts: at })
    await expect(decoder.prepare([record], revoked.signal)).rejects.toThrow('revoked')
  })
})

describe('predictions as Avro', () => {
  test('carry the id of the newest schema of their subject, and are read back with it', async () => {
    const name = uniqueName('predictions-value')
    const schema = JSON.parse(schemaText('prediction.avsc')) as object
    const id = await registerSchema({ url }, name, schema)
    const predictions = { ...sinkPlan.predictions, codec: { kind: 'avro' as const, subject: name } }
    const registry = openRegistry({ url })
    const encoders = await loadAvroEncoders({ ...sinkPlan, predictions }, registry, signal)
    const bytes = encoders.predictions?.(samplePrediction) ?? Buffer.alloc(0)
    expect(bytes.readInt32BE(1)).toBe(id)
    const decoded: unknown = avsc.Type.forSchema(schema as avsc.Schema).fromBuffer(bytes.subarray(5))
    expect(JSON.parse(JSON.stringify(decoded))).toEqual(samplePrediction)
  })

  test('are refused at start when nobody registered their schema', async () => {
    const predictions = {
      ...sinkPlan.predictions,
      codec: { kind: 'avro' as const, subject: uniqueName('predictions-value') },
    }
    const loading = loadAvroEncoders({ ...sinkPlan, predictions }, openRegistry({ url }), signal)
    await expect(loading).rejects.toMatchObject({ code: 'SCHEMA_UNKNOWN' })
  })
})

/** An id that is free now and a few registrations away: other tests may register between. */
async function nextId(): Promise<number> {
  return (
    (await registerSchema({ url }, uniqueName('probe'), {
      ...first,
      name: uniqueName('P').replaceAll('-', '_'),
    })) + 5
  )
}

/** Registers fillers until `id` is next, then `first`; every filler is `first` too, so a race changes nothing. */
async function registerUntil(id: number): Promise<void> {
  for (let last = 0; last < id;) {
    // Another doc text makes another schema with another id, which is read the same.
    last = await registerSchema({ url }, uniqueName('filler'), { ...first, doc: uniqueName('doc') })
  }
}

/** An address in front of the registry that can be shut and opened. */
async function openDoor(target: URL): Promise<{ url: string; shut(): Promise<void>; open(): Promise<void> }> {
  let server: Server
  let port = 0
  const open = async (): Promise<void> => {
    server = createServer((socket) => {
      const upstream = connect(Number(target.port), target.hostname)
      socket.pipe(upstream).pipe(socket)
      socket.on('error', () => upstream.destroy())
      upstream.on('error', () => socket.destroy())
    })
    await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve))
    const address = server.address()
    if (address !== null && typeof address === 'object') port = address.port
  }
  const shut = (): Promise<void> => new Promise((resolve) => server.close(() => resolve()))
  await open()
  closing.push(async () => void server.close())
  return { url: `http://127.0.0.1:${port}${target.pathname}`, shut, open }
}
