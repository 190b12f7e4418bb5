import type { z } from 'zod'
import { duration, entries, integer, listOf, object, oneOf, text } from '../expression/written.ts'

const inputName = /^\S{1,200}$/

/** `model:`. */
export const modelOptions = object({
  path: text().describe(
    'Directory of the model (model.onnx and manifest.yaml), or a bare .onnx file (checked less).',
  ),
  inputs: entries(
    inputName,
    'the name of a model input',
    listOf(text({ lengthMax: 200 }), 'a list of values and features'),
  )
    .refine(
      (inputs) => Object.keys(inputs).length > 0,
      'is empty: name an input of the model and its features.',
    )
    .describe('Name of each ONNX input and the values and features it takes; the order is the contract.'),
  score: text({
    pattern: /^[^\s[\]]+(\s*\[\s*:\s*,\s*\d{1,4}\s*\])?$/,
    expected: 'an output of the model: write its name, or name[:, 1] for column 1',
  }).describe('Output that holds the score: `name`, or `name[:, COLUMN]`, counted from 0.'),
  onMissing: oneOf(['dead-letter'])
    .prefault('dead-letter')
    .describe("What happens to an event with a missing input that the model's manifest gives no number for."),
  workers: integer({ min: 1, max: 64 }).prefault(1).describe('Sessions that score at the same time.'),
  isolation: oneOf(['thread', 'process'])
    .prefault('thread')
    .describe(
      'Where they live: threads of this process, or processes of their own. A model that hangs or crashes there ends only its own process, and the row to blame becomes a dead letter.',
    ),
  runTimeout: duration({ min: 1, max: 3_600_000 })
    .prefault('30s')
    .describe(
      'A model run that takes longer counts as hung. It ends the process that the model runs in: with `isolation: thread` the service.',
    ),
})

export type ModelOptions = z.output<typeof modelOptions>
