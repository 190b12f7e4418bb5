import avsc, { type types } from 'avsc'
import { MillraceError } from '../errors.ts'
import type { RegisteredSchema } from '../registry/registry.ts'
import { compileStructureCheck, MalformedAvro } from './avro-structure.ts'
import { differingTimestamps, essential } from './avro-schema.ts'
import { exactNumbers, fieldConversions } from './avro-values.ts'
import { Fault } from './fault.ts'
import type { Fields } from '../record/event.ts'
import type { AvroCodecPlan } from './plan.ts'
import { frameHeaderBytes } from './schema-frame.ts'

/** Reads framed bytes of one writer schema as the reader schema sees them. */
export type AvroRead = (value: Buffer) => Fields | Fault

/** The reader schema compiled; gives a reading function, or the reason why no record of that writer can be read. */
export function compileAvroReader(plan: AvroCodecPlan): (writer: RegisteredSchema) => AvroRead | Fault {
  const reader = readerType(plan)
  const conversions = fieldConversions(reader)
  return (registered) => {
    if (registered.kind !== 'avro') {
      const why =
        registered.kind === 'json' ? 'it is JSON Schema, and the topology says avro' : registered.why
      return new Fault('SCHEMA', `schema id ${registered.id} cannot be used: ${why}`)
    }
    try {
      const written: unknown = JSON.parse(registered.schema)
      const differing = differingTimestamps(plan.reader, written)
      if (differing !== null) return new Fault('SCHEMA', `schema id ${registered.id}: ${differing}`)
      const writer = writerType(written, registered.references ?? [])
      const check = compileStructureCheck(writer)
      // Names without namespaces, as the Avro specification compares them.
      const resolver = reader.createResolver(writer, { ignoreNamespaces: true })
      return (value) => read(value, () => decode(value))
      function decode(value: Buffer): Fields {
        check(value, frameHeaderBytes)
        const record = reader.fromBuffer(value.subarray(frameHeaderBytes), resolver) as Record<
          string,
          unknown
        >
        for (const [name, convert] of conversions) record[name] = convert(record[name])
        return record
      }
    } catch (error) {
      return new Fault(
        'SCHEMA',
        `schema id ${registered.id} cannot be read with the reader schema of ${plan.subject}: ${messageOf(error)}`,
      )
    }
  }
}

function read(value: Buffer, decode: () => Fields): Fields | Fault {
  try {
    return decode()
  } catch (error) {
    const at = error instanceof MalformedAvro ? '' : 'the Avro bytes cannot be read: '
    return new Fault('DECODE', `${at}${messageOf(error)} (${value.length} bytes)`)
  }
}

/** References first: types of one registry know each other by name. */
function writerType(written: unknown, references: readonly string[]): avsc.Type {
  const options = { typeHook: exactNumbers, registry: {} }
  for (const reference of references) {
    avsc.Type.forSchema(essential(JSON.parse(reference)) as avsc.Schema, options)
  }
  return avsc.Type.forSchema(essential(written) as avsc.Schema, options)
}

function readerType(plan: AvroCodecPlan): types.RecordType {
  let type: avsc.Type
  try {
    type = avsc.Type.forSchema(plan.reader as avsc.Schema, {
      omitRecordMethods: true,
      typeHook: exactNumbers,
    })
  } catch (error) {
    throw new MillraceError(
      'TOPOLOGY_INVALID',
      `The reader schema of ${plan.subject} is no Avro schema: ${messageOf(error)}`,
      { cause: error },
    )
  }
  if (type instanceof avsc.types.RecordType) return type
  throw new MillraceError(
    'TOPOLOGY_INVALID',
    `The reader schema of ${plan.subject} is a ${type.typeName}; events are records`,
  )
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
