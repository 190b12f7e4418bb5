import { readFileSync } from 'node:fs'
import { Ajv2020 } from 'ajv/dist/2020.js'
import ajvFormats from 'ajv-formats'
import type { RawRecord } from '../../../src/record/raw-record.ts'
import type { SinkPlan } from '../../../src/sink/plan.ts'
import { createSink, jsonOnly, type Sink, type SinkSetup } from '../../../src/sink/sink.ts'

export const model = { name: 'card-fraud', version: '1', digest: `sha256:${'0a'.repeat(32)}` }

export const sinkPlan: SinkPlan = {
  predictions: {
    topic: 'card.predictions',
    codec: { kind: 'json' },
    include: { features: true, values: true, watermarks: true },
  },
  alerts: { topic: 'card.alerts', codec: { kind: 'json' } },
  deadLetterTopic: 'dlq.{topic}',
}

export function sinkOf(setup: Partial<SinkSetup> = {}): Sink {
  return createSink(sinkPlan, {
    group: 'card-fraud',
    serviceVersion: '0.1.0',
    model,
    partitionCounts: new Map([
      ['card.transactions', 6],
      ['card.predictions', 6],
      ['card.alerts', 4],
      ['dlq.card.transactions', 1],
    ]),
    bytesMax: new Map(),
    encoders: jsonOnly,
    ...setup,
  })
}

export function input(overrides: Partial<RawRecord> = {}): RawRecord {
  return {
    topic: 'card.transactions',
    partition: 3,
    offset: 123_456,
    timestamp: 1_752_000_000_000,
    key: Buffer.from('c00001'),
    value: Buffer.from('{"id":"tx-1"}'),
    headers: [],
    ...overrides,
  }
}

interface OutputSchema {
  readonly required: readonly string[]
  readonly examples: readonly unknown[]
  readonly additionalProperties: boolean
}

export const outputSchemas = ['prediction', 'alert', 'dead-letter'] as const

export function schemaText(name: string): string {
  return readFileSync(new URL(`../../../schemas/output/${name}`, import.meta.url), 'utf8')
}

export function outputSchema(name: (typeof outputSchemas)[number]): OutputSchema {
  return JSON.parse(schemaText(`${name}.schema.json`)) as OutputSchema
}

const ajv = new Ajv2020({ strict: true, strictRequired: false, allErrors: true })
ajvFormats.default(ajv)
for (const each of outputSchemas) ajv.addSchema(outputSchema(each))

/** Null when the value is what the published schema says, else what is wrong. */
export function violation(name: (typeof outputSchemas)[number], value: unknown): string | null {
  return ajv.validate(`${name}.schema.json`, value) ? null : ajv.errorsText()
}
