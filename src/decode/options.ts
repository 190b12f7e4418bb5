import { z } from 'zod'
import { anyNumberOf, duration, integer, object, oneOf, size, text } from '../expression/written.ts'
import { topicName } from '../kafka/options.ts'

const fieldName = text({ pattern: /^.{1,200}$/, expected: 'the name of a field' })

const giveUpIds = anyNumberOf(integer({ min: 0, max: 2 ** 31 - 1 }), 'a list of schema ids')
  .prefault([])
  .describe(
    'Schema ids that will never be registered; their records are dead-lettered instead of waited for.',
  )

const jsonCodec = object({
  json: z
    .union([
      text(),
      object({
        schema: text().describe('Path of the JSON Schema.'),
        framing: oneOf(['none', 'registry'])
          .prefault('none')
          .describe(
            "registry: every value begins with the five bytes of a schema registry's serializer, and the id in them names a JSON Schema there. Records are checked against `schema`.",
          ),
        giveUpIds,
      }),
    ])
    .describe(
      'Path of the JSON Schema (draft 2020-12 or 07) of the events, or `{schema, framing}`. Its types are those of expressions.',
    ),
})

const avroCodec = object({
  avro: object({
    subject: text({ lengthMax: 300 }).describe('Subject in the schema registry.'),
    reader: text().describe('Path of the reader schema (.avsc): the fields this topology sees.'),
    giveUpIds,
  }).describe('Avro in the framing of a schema registry.'),
})

/** Other ways to encode records, by which people look for them. */
function foreignCodec(written: unknown): string | undefined {
  const names = typeof written === 'string' ? [written] : Object.keys((written as object | null) ?? {})
  const name = names.find((each) => each !== 'json' && each !== 'avro')
  const ways = 'Write codec: {json: SCHEMA} or codec: {avro: {subject: …, reader: …}}.'
  if (name === undefined)
    return typeof written === 'string' ? `${written} needs a schema. ${ways}` : undefined
  return foreign.test(name) ? `${/^proto/i.test(name) ? 'Protobuf' : name} is not read. ${ways}` : undefined
}

const foreign =
  /^(proto(buf|3)?|csv|tsv|xml|thrift|msgpack|messagepack|cbor|bson|parquet|text|string|bytes)$/i

const start = z
  .union([
    oneOf(['earliest', 'latest']),
    text({
      pattern: /^\d{4}-\d{2}-\d{2}T/,
      expected: 'earliest, latest or a time such as 2026-01-31T00:00:00Z',
    }),
  ])
  .prefault('earliest')

/** One of `sources:`. Names of fields are those of the decoded event. */
export const sourceOptions = object({
  role: oneOf(['score', 'state']).describe(
    'score: every record gives one prediction or one dead letter. state: records change state and predict nothing.',
  ),
  topic: topicName.describe('Topic to read. It must not be compacted: state is rebuilt from it.'),
  codec: z
    .union([jsonCodec, avroCodec], { error: ({ input }) => foreignCodec(input) })
    .describe('How records are encoded: `json: SCHEMA` or `avro: {…}`.'),
  id: fieldName.describe('Field that identifies the event; `after.id` names one inside another.'),
  key: fieldName.describe(
    'Field that equals the record key, or the way to it (`after.id`); a record where it differs is dead-lettered (VALIDATION).',
  ),
  time: z
    .union([
      fieldName,
      object({
        field: fieldName.describe('Field of the event time, or the way to it (`payload.ts`).'),
        format: oneOf(['epochMs', 'iso'])
          .prefault('epochMs')
          .describe('epochMs: a number counted from 1970. iso: RFC 3339 text with a time zone.'),
        unit: oneOf(['ms', 's', 'us', 'ns'])
          .optional()
          .describe(
            'Unit of the number: milliseconds, seconds (may have a fraction), microseconds or nanoseconds. What is finer than a millisecond is cut. Default: that of the Avro logical type, else ms.',
          ),
        implausible: oneOf(['refuse', 'accept'])
          .prefault('refuse')
          .describe(
            "What happens to an event time that lies 20 years or more before the record's timestamp and would be near it in another unit: epoch seconds read as milliseconds are January 1970. refuse: dead letter (TIMESTAMP) that names the unit.",
          ),
      }),
    ])
    .describe('Field of the event time in epoch ms, or `{field, unit}` or `{field, format: iso}`.'),
  start: start.describe(
    'Where to begin when the group has no position: earliest, latest, or a time (2026-01-31T00:00:00Z).',
  ),
  outOfOrder: duration()
    .optional()
    .describe(
      'How far events may be out of order: the event watermark is the largest event time seen less this. Default: 1m. A state source without it may be in any order: windows over it are complete once it is read to the end of its log as it stood when the scored event came.',
    ),
  allowedLateness: z
    .union([oneOf(['horizon']), duration()])
    .optional()
    .describe(
      'An event older than the event watermark less this is late. `horizon` (state sources only): never late; it counts while any window of a scored event can see it. Default: 1h for role score, horizon for role state.',
    ),
  late: oneOf(['score', 'drop-state', 'dead-letter'])
    .optional()
    .describe(
      'What happens to a late event: score (flagged; role score only), drop-state (changes no state) or dead-letter. Default: score, and drop-state for role state.',
    ),
  align: duration()
    .prefault('30s')
    .describe(
      'How long an event waits at most until the partitions it reads from have caught up; then its prediction is flagged `unaligned`.',
    ),
})

export type SourceOptions = z.output<typeof sourceOptions>

/** The part of `limits:` that decoding needs. */
export const decodeLimits = {
  recordMax: size({ min: 1 })
    .prefault('1MB')
    .describe(
      'Records whose key, value and headers have more bytes are dead-lettered (OVERSIZE); so are those of more than 1000 headers.',
    ),
  futureMax: duration()
    .prefault('5m')
    .describe(
      "An event time later than the record's timestamp, or than the clock of the machine, by more is dead-lettered (TIMESTAMP).",
    ),
}
