import type { Fields } from '../record/event.ts'
import type { RegisteredSchema } from '../registry/registry.ts'
import { Fault } from './fault.ts'
import { compileJsonCodec } from './json-codec.ts'
import type { JsonCodecPlan } from './plan.ts'
import { frameHeaderBytes } from './schema-frame.ts'

/**
 * JSON behind the five bytes of a schema registry. What the topology's own schema says counts; the registered one is asked
 * for because its id tells JSON from Avro and Protobuf on a topic that has seen several.
 */
export function compileFramedJson(
  plan: JsonCodecPlan,
  fieldsRead: readonly string[] | null = null,
): (writer: RegisteredSchema) => ((value: Buffer) => Fields | Fault) | Fault {
  const parse = compileJsonCodec(plan, fieldsRead)
  return (registered) => {
    if (registered.kind === 'json') return (value) => parse(value.subarray(frameHeaderBytes))
    const why = registered.kind === 'avro' ? 'it is Avro' : registered.why
    return new Fault('SCHEMA', `schema id ${registered.id} is no JSON Schema: ${why}`)
  }
}
