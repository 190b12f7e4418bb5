import fc from 'fast-check'
import { expect, test } from 'vitest'
import { predictionFlags, type Prediction } from '../../../src/record/prediction.ts'
import { createPredictionText } from '../../../src/sink/prediction-text.ts'

const text = fc.oneof(
  fc.string(),
  fc.string({ unit: 'binary' }),
  fc.stringMatching(/^[\\"\n/\u0000\u007f\u2028\ud800 -~]*$/),
)
const number = fc.oneof(fc.double(), fc.integer(), fc.constantFrom(-0, NaN, 1e21, 1e-7, 2 ** 53))
const numbers = fc.dictionary(text, fc.option(number))
const wholes = fc.dictionary(text, fc.nat())
const always = {
  id: text,
  key: text,
  occurredAt: number,
  scoredAt: number,
  score: number,
  decision: text,
  model: fc.record({ name: text, version: text, digest: text }),
  flags: fc.subarray([...predictionFlags]),
  position: fc.record({ topic: text, partition: fc.nat(), offset: fc.nat() }),
}
const optional = {
  features: numbers,
  values: numbers,
  watermarks: wholes,
  entityWatermarks: fc.dictionary(text, wholes),
  behind: wholes,
}
const prediction = fc.record(
  { ...always, ...optional },
  { requiredKeys: Object.keys(always) as (keyof typeof always)[] },
) as fc.Arbitrary<Prediction>

test('predictions are written character by character as JSON.stringify writes them, one after another', () => {
  const write = createPredictionText()
  fc.assert(
    fc.property(prediction, (one) => {
      expect(write(one)).toBe(JSON.stringify(one))
    }),
    { numRuns: 500 },
  )
})
