import { describe, expect, test } from 'vitest'
import type { RegisteredSchema, Registry } from '../../../src/registry/registry.ts'
import { loadAvroEncoders } from '../../../src/sink/avro-encoder.ts'
import { samplePrediction } from '../../../src/sink/sample.ts'
import type { SinkPlan } from '../../../src/sink/plan.ts'
import { schemaText, sinkPlan } from './fixtures.ts'

const { signal } = new AbortController()

function registryWith(schema: RegisteredSchema | null): Registry {
  return {
    url: 'http://registry',
    writerSchema: () => Promise.resolve(schema),
    latestId: () => Promise.resolve(schema?.id ?? null),
    schemaFor: () => Promise.resolve(schema),
  }
}

function avroPlan(include: Partial<SinkPlan['predictions']['include']> = {}): SinkPlan {
  const predictions = {
    ...sinkPlan.predictions,
    codec: { kind: 'avro' as const, subject: 'card.predictions-value' },
    include: { ...sinkPlan.predictions.include, ...include },
  }
  return { ...sinkPlan, predictions }
}

/** prediction.avsc with one field made mandatory. */
function requiring(field: string): RegisteredSchema {
  const schema = JSON.parse(schemaText('prediction.avsc')) as { fields: { name: string }[] }
  const fields = schema.fields.map((each) =>
    each.name === field ? { name: field, type: { type: 'map', values: ['null', 'double'] } } : each,
  )
  return { kind: 'avro', id: 7, schema: JSON.stringify({ ...schema, fields }) }
}

describe('the Avro encoders', () => {
  test('are none, and ask nobody, when all sinks write JSON', async () => {
    expect(await loadAvroEncoders(sinkPlan, null, signal)).toEqual({ predictions: null, alerts: null })
  })

  test('frame their bytes with the id of the newest schema', async () => {
    const registered: RegisteredSchema = { kind: 'avro', id: 300, schema: schemaText('prediction.avsc') }
    const { predictions, alerts } = await loadAvroEncoders(avroPlan(), registryWith(registered), signal)
    expect(alerts).toBeNull()
    expect(predictions?.(samplePrediction).subarray(0, 5)).toEqual(Buffer.of(0, 0, 0, 1, 44))
  })

  test('need a registry', async () => {
    await expect(loadAvroEncoders(avroPlan(), null, signal)).rejects.toThrow('registry.url')
  })

  test('need the subject to exist, and say what to register', async () => {
    await expect(loadAvroEncoders(avroPlan(), registryWith(null), signal)).rejects.toMatchObject({
      code: 'SCHEMA_UNKNOWN',
      message: expect.stringContaining('schemas/output/prediction.avsc') as string,
    })
  })

  test('refuse at start a schema that cannot hold what this topology publishes', async () => {
    const withFeatures = loadAvroEncoders(avroPlan(), registryWith(requiring('features')), signal)
    await expect(withFeatures).resolves.toBeDefined()
    const without = loadAvroEncoders(
      avroPlan({ features: false }),
      registryWith(requiring('features')),
      signal,
    )
    await expect(without).rejects.toMatchObject({
      code: 'TOPOLOGY_INVALID',
      message: expect.stringContaining('at features') as string,
    })
    const unusable = registryWith({ kind: 'unusable', id: 7, why: 'schema id 7 is not Avro' })
    await expect(loadAvroEncoders(avroPlan(), unusable, signal)).rejects.toThrow('not Avro')
  })
})
