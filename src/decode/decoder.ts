import { MillraceError } from '../errors.ts'
import type { Event, Fields, Reject } from '../record/event.ts'
import { headersMax, headerSize } from '../record/headers.ts'
import type { RawRecord } from '../record/raw-record.ts'
import type { RegisteredSchema, Registry } from '../registry/registry.ts'
import type { Clock } from '../time/clock.ts'
import { compileAvroReader } from './avro-codec.ts'
import { compileEventCheck } from './event-fields.ts'
import { Fault, toReject } from './fault.ts'
import { compileFramedJson } from './framed-json.ts'
import { compileJsonCodec } from './json-codec.ts'
import type { CodecPlan, JsonCodecPlan, SourcePlan } from './plan.ts'
import { readSchemaId } from './schema-frame.ts'
import { WriterSchemas, type SchemaWait } from './writer-schemas.ts'

/** Bytes → Event or Reject. Pure once the schemas of the records are loaded. */
export interface Decoder {
  /**
   * Loads the writer schemas these records name. Resolves at once where no schema registry is involved. Waits (in order,
   * for ever, until `signal`) while the registry is down or does not know an id.
   */
  prepare(records: readonly RawRecord[], signal: AbortSignal): Promise<void>
  /** Never throws on data: whatever the bytes are, an event or a reject comes back. */
  decode(record: RawRecord): Event | Reject
}

/** Reads framed bytes of one writer schema, or says why no record of that writer can be read. */
type CompileReader = (writer: RegisteredSchema) => ((value: Buffer) => Fields | Fault) | Fault

/** Throws TOPOLOGY_INVALID when the schema of the codec is not usable. `onWait` is told what `prepare` waits for. */
export function createDecoder(
  source: SourcePlan,
  registry: Registry | null,
  clock: Clock,
  onWait: (wait: SchemaWait) => void = () => {},
): Decoder {
  const { codec } = source
  const givenUp = givenUpIds(codec)
  if (codec.kind === 'json' && givenUp === null) return jsonDecoder(source, codec)
  if (registry === null) {
    const what = codec.kind === 'json' ? 'framed JSON' : 'Avro'
    throw new MillraceError(
      'TOPOLOGY_INVALID',
      `Source ${source.name} reads ${what}, which needs \`registry.url\` in the topology`,
    )
  }
  const compile: CompileReader =
    codec.kind === 'json' ? compileFramedJson(codec, source.fieldsRead) : compileAvroReader(codec)
  const schemas = new WriterSchemas({ registry, clock, compile, onWait })
  return framedDecoder(source, schemas, new Set(givenUp))
}

/** Of sources whose values are framed by a schema registry; null: others. */
export function givenUpIds(codec: CodecPlan): readonly number[] | null {
  return codec.kind === 'json' ? (codec.framed?.giveUpIds ?? null) : codec.giveUpIds
}

function jsonDecoder(source: SourcePlan, codec: JsonCodecPlan): Decoder {
  const parse = compileJsonCodec(codec, source.fieldsRead)
  const check = compileEventCheck(source)
  const payloadOf = compilePayloadCheck(source)
  return {
    prepare: () => Promise.resolve(),
    decode(record) {
      const value = payloadOf(record)
      if (value instanceof Fault) return toReject(value, record)
      const fields = parse(value)
      if (fields instanceof Fault) return toReject(fields, record)
      const event = check(fields, record)
      return event instanceof Fault ? toReject(event, record) : event
    },
  }
}

function framedDecoder(
  source: SourcePlan,
  schemas: WriterSchemas<ReturnType<CompileReader>>,
  givenUp: ReadonlySet<number>,
): Decoder {
  const check = compileEventCheck(source)
  const payloadOf = compilePayloadCheck(source)
  return {
    async prepare(records, signal) {
      const ids = new Set<number>()
      for (const record of records) {
        const value = payloadOf(record)
        const id = value instanceof Fault ? value : readSchemaId(value)
        if (!(id instanceof Fault) && !givenUp.has(id)) ids.add(id)
      }
      await schemas.load(ids, signal)
    },
    decode(record) {
      const value = payloadOf(record)
      if (value instanceof Fault) return toReject(value, record)
      const id = readSchemaId(value)
      if (id instanceof Fault) return toReject(id, record)
      if (givenUp.has(id)) {
        return toReject(new Fault('SCHEMA', `schema id ${id} is listed under giveUpIds`), record, id)
      }
      const read = schemas.get(id)
      if (read === undefined) throw new MillraceError('INTERNAL', `schema id ${id} was not prepared`)
      const fields = read instanceof Fault ? read : read(value)
      if (fields instanceof Fault) return toReject(fields, record, id)
      const event = check(fields, record)
      return event instanceof Fault ? toReject(event, record, id) : event
    },
  }
}

/** The value's bytes, unless there are none, or too many in the record. */
function compilePayloadCheck({ limits }: SourcePlan): (record: RawRecord) => Buffer | Fault {
  return (record) => {
    const { key, value, unreadable } = record
    if (unreadable !== undefined) return new Fault('UNREADABLE', unreadable.message)
    const headers = headerSize(record)
    if (headers.count > headersMax) {
      return new Fault('OVERSIZE', `the record has ${headers.count} headers, allowed are ${headersMax}`)
    }
    const bytes = (value?.length ?? 0) + (key?.length ?? 0) + headers.bytes
    if (bytes > limits.recordMaxBytes) {
      const what = `key, value and headers have ${bytes} bytes`
      return new Fault('OVERSIZE', `${what}, allowed are ${limits.recordMaxBytes}`)
    }
    return value ?? new Fault('VALIDATION', 'the record has no value (a tombstone)')
  }
}
