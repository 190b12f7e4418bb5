import { z } from 'zod'
import { anyNumberOf, object, oneOf, text } from '../expression/written.ts'
import { topicName } from '../kafka/options.ts'

const codec = z
  .union([
    oneOf(['json']),
    object({
      avro: object({
        subject: text({ lengthMax: 300 }).describe('Subject in the schema registry.'),
      }).describe('Avro in the framing of a schema registry.'),
    }),
  ])
  .prefault('json')
  .describe('`json`, or `{avro: {subject: …}}`.')

/** `sinks:`. */
export const sinkOptions = object({
  predictions: object({
    topic: topicName.describe('Topic of predictions.'),
    codec,
    include: anyNumberOf(oneOf(['features', 'values', 'watermarks']), 'a list, for example [features]')
      .prefault([])
      .describe(
        'What predictions carry besides the score. `watermarks` is always there when a merged feature was computed.',
      ),
  }).describe('One record per scored event.'),
  alerts: object({ topic: topicName.describe('Topic of alerts.'), codec }).describe(
    'One record per event for which an alert rule fired.',
  ),
  deadLetters: object({
    topic: text({
      pattern: /^(?!\.{1,2}$)([\w.-]|\{topic\}){1,249}$/,
      expected: 'a topic name (letters, digits, . _ -, and {topic} for the topic of the record)',
    })
      .prefault('dlq.{topic}')
      .describe('Topic of records that cannot be scored; `{topic}` stands for the topic they came from.'),
  })
    .prefault({})
    .describe('Records that cannot be scored, with the reason in their headers.'),
})

export type SinkOptions = z.output<typeof sinkOptions>
