/** Predictions as they stand in the output topic, JSON or Avro. */
import avsc from 'avsc'
import { frameHeaderBytes, readSchemaId } from '../../decode/schema-frame.ts'
import { MillraceError } from '../../errors.ts'
import type { Prediction } from '../../record/prediction.ts'
import type { RawRecord } from '../../record/raw-record.ts'
import { openRegistry, type Registry } from '../../registry/registry.ts'
import type { Plan } from '../../topology/plan.ts'

/** Null: these bytes are no prediction. */
export type ReadPrediction = (record: RawRecord, signal: AbortSignal) => Promise<Prediction | null>

export function openPredictionReader({ sinks, registryUrl }: Plan): ReadPrediction {
  if (sinks.predictions.codec.kind === 'json') return (record) => Promise.resolve(fromJson(record.value))
  if (registryUrl === null) {
    throw new MillraceError('TOPOLOGY_INVALID', 'sinks.predictions writes Avro, which needs registry.url')
  }
  return avroReader(openRegistry({ url: registryUrl }))
}

function fromJson(value: Buffer | null): Prediction | null {
  try {
    return asPrediction(JSON.parse(value?.toString() ?? 'null'))
  } catch {
    return null
  }
}

function avroReader(registry: Registry): ReadPrediction {
  const types = new Map<number, avsc.Type | null>()
  return async ({ value }, signal) => {
    const id = value === null ? null : readSchemaId(value)
    if (value === null || typeof id !== 'number') return null
    let type = types.get(id)
    if (type === undefined) {
      const schema = await registry.writerSchema(id, signal)
      type = schema?.kind === 'avro' ? avsc.Type.forSchema(JSON.parse(schema.schema) as avsc.Schema) : null
      types.set(id, type)
    }
    try {
      return asPrediction(type?.fromBuffer(value.subarray(frameHeaderBytes)))
    } catch {
      return null
    }
  }
}

function asPrediction(value: unknown): Prediction | null {
  if (typeof value !== 'object' || value === null) return null
  const { id, key, occurredAt, score, position, flags, model } = value as Partial<Prediction>
  const isOne =
    typeof id === 'string' &&
    typeof key === 'string' &&
    typeof occurredAt === 'number' &&
    typeof score === 'number' &&
    typeof position?.topic === 'string' &&
    typeof position.partition === 'number' &&
    typeof position.offset === 'number' &&
    typeof model?.digest === 'string' &&
    Array.isArray(flags)
  if (!isOne) return null
  const prediction = value as Record<string, unknown>
  // In Avro what is absent is null.
  return Object.fromEntries(
    Object.entries(prediction).filter(([, member]) => member !== null),
  ) as unknown as Prediction
}
