import fc from 'fast-check'
import avsc from 'avsc'
import { describe, expect, test } from 'vitest'
import { decide } from '../../../src/decide/decide.ts'
import { createAlert, createPrediction } from '../../../src/decide/prediction.ts'
import { rankReasons, reasonVariants } from '../../../src/decide/reasons.ts'
import { rejectReasons } from '../../../src/record/event.ts'
import { severities, type Alert, type Prediction } from '../../../src/record/prediction.ts'
import { compileAvroEncode } from '../../../src/sink/avro-encoder.ts'
import { sampleAlert, samplePrediction } from '../../../src/sink/sample.ts'
import { input, model, outputSchema, outputSchemas, schemaText, sinkOf, violation } from './fixtures.ts'

const wellFormed = fc.string({ unit: 'binary', minLength: 1 }).filter((text) => text.isWellFormed())
// The topology refuses such a name; avsc would lose it.
const name = fc.string({ minLength: 1 }).filter((each) => each !== '__proto__')
const numbers = fc.dictionary(name, fc.double(), { noNullPrototype: true })

/** Predictions and alerts as the stages make them, over anything a stage can be given. */
const alerts: fc.Arbitrary<Alert> = fc
  .record({
    id: wellFormed,
    key: wellFormed,
    time: fc.nat(),
    score: fc.double({ min: 0, max: 1, noNaN: true }),
    offset: fc.nat({ max: 2 ** 48 }),
    flags: fc.subarray(['late', 'unaligned', 'capped', 'gap', 'expression-error'] as const),
    features: fc.option(numbers, { nil: undefined }),
    values: fc.option(numbers, { nil: undefined }),
    watermarks: fc.option(fc.constant({ 'card.labels:0': 981 })),
    entityWatermarks: fc.option(fc.constant({ device: { 'card.labels:0': 984 } })),
    behind: fc.option(fc.constant({ 'card.labels:0': 12 }), { nil: undefined }),
  })
  .map(({ id, key, time, score, offset, flags, features, values, watermarks, entityWatermarks, behind }) => {
    const prediction = createPrediction({
      event: { id, key, time, fields: {}, raw: input({ offset }) },
      score,
      scoredAt: time + 5,
      decision: 'review',
      model,
      flags,
      watermarks,
      entityWatermarks,
      behind,
      ...(features && { features }),
      ...(values && { values }),
    })
    const plan = {
      outcomes: [],
      rules: severities.map((severity) => ({
        id: severity,
        severity,
        follows: 'none' as const,
        test: () => true,
      })),
      reasons: 3,
    }
    const { rules, severity } = decide(plan, {
      score,
      scoreType: 'float32',
      fields: {},
      values: {},
      features: {},
      flags: [],
    })
    const variants = reasonVariants(new Map([['a', 1]]), new Map([['a', 0]]))
    const reasons = rankReasons('higher', score, variants, [score / 2], 3)
    return createAlert(prediction, { incarnation: 'a1b2', rules, severity: severity ?? 'info', reasons })
  })

function predictionOf(alert: Alert): Prediction {
  const { alertId, severity, rules, reasons, caseKey, ...prediction } = alert
  expect([alertId, severity, rules, reasons, caseKey]).not.toContain(undefined)
  return prediction
}

describe('the published schemas', () => {
  test.each(outputSchemas)('of %s accept their own examples and leave room for more fields', (name) => {
    const { examples, additionalProperties } = outputSchema(name)
    expect(examples.length).toBeGreaterThan(0)
    expect(examples.map((example) => violation(name, example))).toEqual(examples.map(() => null))
    expect(violation(name, { ...(examples[0] as object), 'added later': 'yes' })).toBeNull()
    expect(additionalProperties).toBe(true)
  })

  test.each(outputSchemas)('of %s miss every required field', (name) => {
    const { required, examples } = outputSchema(name)
    for (const field of required) {
      const { [field]: _, ...rest } = examples[0] as Record<string, unknown>
      expect(violation(name, rest), field).toContain(field)
    }
  })

  test('require what is always there, and no more', () => {
    const { features, values, watermarks, entityWatermarks, behind, ...always } = samplePrediction
    expect([features, values, watermarks, entityWatermarks, behind]).not.toContain(undefined)
    expect(outputSchema('prediction').required).toEqual(Object.keys(always))
    const own = Object.keys(sampleAlert).filter((field) => !(field in samplePrediction))
    expect(outputSchema('alert').required).toEqual(own)
  })

  test('list the reasons of dead letters that the service has', () => {
    const schema = JSON.parse(schemaText('dead-letter.schema.json')) as {
      properties: Record<string, { enum?: string[]; description: string }>
    }
    const reason = schema.properties['millrace.dlq.reason']
    expect(reason?.enum).toEqual([...rejectReasons])
    for (const each of rejectReasons) expect(reason?.description).toContain(`${each}: `)
  })

  test('describe every alert and prediction that the stages make', () => {
    const sink = sinkOf()
    fc.assert(
      fc.property(alerts, (alert) => {
        const published = sink.alert(alert, input())
        const prediction = sink.prediction(predictionOf(alert), input())
        if ('rejected' in published || 'rejected' in prediction) throw new Error('refused')
        expect(violation('alert', JSON.parse(published.value as string))).toBeNull()
        expect(violation('prediction', JSON.parse(prediction.value as string))).toBeNull()
      }),
      { numRuns: 50 },
    )
  })
})

describe('the published Avro schemas', () => {
  const types = {
    prediction: JSON.parse(schemaText('prediction.avsc')) as object,
    alert: JSON.parse(schemaText('alert.avsc')) as object,
  }

  test('hold every alert and prediction that the stages make, losslessly', () => {
    const encode = compileAvroEncode<object>(types.alert, 7)
    const type = avsc.Type.forSchema(types.alert as avsc.Schema)
    fc.assert(
      fc.property(alerts, (alert) => {
        const bytes = encode(alert)
        expect(bytes.subarray(0, 5)).toEqual(Buffer.of(0, 0, 0, 0, 7))
        const { features, values, watermarks, entityWatermarks, behind, ...always } = alert
        const optional = {
          features: features ?? null,
          values: values ?? null,
          watermarks: watermarks ?? null,
          entityWatermarks: entityWatermarks ?? null,
          behind: behind ?? null,
        }
        const decoded = JSON.parse(JSON.stringify(type.fromBuffer(bytes.subarray(5)))) as Alert
        expect(decoded).toEqual(JSON.parse(JSON.stringify({ ...always, ...optional })))
        compileAvroEncode<object>(types.prediction, 7)(predictionOf(alert))
      }),
      { numRuns: 50 },
    )
  })

  test('have the fields of the JSON, in the same order', () => {
    const namesOf = (schema: object): string[] =>
      (schema as { fields: { name: string }[] }).fields.map(({ name }) => name)
    expect(namesOf(types.prediction)).toEqual(Object.keys(samplePrediction))
    expect(namesOf(types.alert)).toEqual(Object.keys(sampleAlert))
  })
})
