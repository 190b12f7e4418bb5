import avsc from 'avsc'
import { MillraceError } from '../errors.ts'
import type { Alert, Prediction } from '../record/prediction.ts'
import type { Registry } from '../registry/registry.ts'
import type { SinkPlan } from './plan.ts'
import { sampleAlerts, samplePredictions } from './sample.ts'

/** Object → framed Avro. Throws when the object does not fit the schema. */
export type AvroEncode<T> = (value: T) => Buffer

export interface AvroEncoders {
  /** Null: the sink writes JSON. */
  readonly predictions: AvroEncode<Prediction> | null
  readonly alerts: AvroEncode<Alert> | null
}

/**
 * Looks up the newest schema of each Avro sink's subject, once, at start: outputs keep one schema id for the life of
 * the process. Throws SCHEMA_UNKNOWN when a subject does not exist, TOPOLOGY_INVALID when its schema cannot hold
 * predictions (or alerts).
 */
export async function loadAvroEncoders(
  plan: SinkPlan,
  registry: Registry | null,
  signal: AbortSignal,
): Promise<AvroEncoders> {
  const { include } = plan.predictions
  return {
    predictions: await load('predictions', plan.predictions.codec, samplePredictions(include)),
    alerts: await load('alerts', plan.alerts.codec, sampleAlerts(include)),
  }

  async function load<T>(
    sink: 'predictions' | 'alerts',
    codec: SinkPlan['alerts']['codec'],
    samples: readonly T[],
  ): Promise<AvroEncode<T> | null> {
    if (codec.kind === 'json') return null
    const { subject } = codec
    if (registry === null) {
      throw new MillraceError(
        'TOPOLOGY_INVALID',
        `Sink ${sink} writes Avro, which needs \`registry.url\` in the topology`,
      )
    }
    const registered = await registry.schemaFor(subject, signal)
    if (registered === null) {
      throw new MillraceError(
        'SCHEMA_UNKNOWN',
        `Registry ${registry.url} has no subject ${subject}, which sink ${sink} writes; ` +
          `register schemas/output/${sink.slice(0, -1)}.avsc under it`,
      )
    }
    try {
      if (registered.kind !== 'avro')
        throw new Error(registered.kind === 'json' ? 'it is JSON Schema, not Avro' : registered.why)
      const { schema, id, references = [] } = registered
      const encode = compileAvroEncode<T>(JSON.parse(schema) as object, id, references)
      for (const sample of samples) encode(sample)
      return encode
    } catch (error) {
      throw new MillraceError(
        'TOPOLOGY_INVALID',
        `The schema of ${subject} (id ${registered.id}) cannot hold ${sink}: ${(error as Error).message}`,
        { cause: error },
      )
    }
  }
}

/** Confluent framing: a zero byte and the schema id before the Avro bytes. */
const frameHeaderBytes = 5

/** `references`: schemas whose types `schema` names. */
export function compileAvroEncode<T>(
  schema: object,
  schemaId: number,
  references: readonly string[] = [],
): AvroEncode<T> {
  const options = { registry: {} } // types of one registry know each other by name
  for (const reference of references) avsc.Type.forSchema(JSON.parse(reference) as avsc.Schema, options)
  const type = avsc.Type.forSchema(schema as avsc.Schema, options)
  return (value) => {
    const avro = toBuffer(type, value)
    const framed = Buffer.allocUnsafe(frameHeaderBytes + avro.length)
    framed[0] = 0
    framed.writeInt32BE(schemaId, 1)
    avro.copy(framed, frameHeaderBytes)
    return framed
  }
}

function toBuffer(type: avsc.Type, value: unknown): Buffer {
  try {
    return type.toBuffer(value)
  } catch (error) {
    // avsc names the type that refused, not the place.
    const paths: string[] = []
    type.isValid(value, { errorHook: (path) => paths.push(path.join('.')) })
    throw new Error(`at ${paths[0] ?? 'an unknown place'}: ${(error as Error).message}`, { cause: error })
  }
}
