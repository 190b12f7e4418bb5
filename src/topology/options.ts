/** Everything a topology file may hold. schemas/topology.schema.json is made from this (scripts/generate-schemas.ts). */
import type { z } from 'zod'
import { batchOptions } from '../batch/options.ts'
import { decideOptions } from '../decide/options.ts'
import { decodeLimits, sourceOptions } from '../decode/options.ts'
import {
  duration,
  entries,
  identifierPattern,
  integer,
  number,
  object,
  oneOf,
  size,
  text,
} from '../expression/written.ts'
import { entityEntries, featureEntries, featureLimits, valueEntries } from '../features/options.ts'
import { kafkaOptions } from '../kafka/options.ts'
import { modelOptions } from '../model/options.ts'
import { redisOption } from '../redis/options.ts'
import { sinkOptions } from '../sink/options.ts'

const storeOptions = object({
  redis: redisOption,
  cacheMax: size({ min: 1024 ** 2 })
    .prefault('128MB')
    .describe('Memory for the state of entities, per process; docs/operating.md says what else takes some.'),
  unflushedMax: object({
    rows: integer({ min: 1, max: 10_000_000 }).prefault(50_000).describe('Rows.'),
    age: duration({ min: 1 }).prefault('5s').describe('Age of the oldest.'),
  })
    .prefault({})
    .describe('Changes of one partition not yet in Redis; at either bound the partition pauses.'),
  outageMax: duration({ min: 60_000 })
    .prefault('7d')
    .describe(
      'Added to horizon and lateness for expiry. After a longer outage or lag, state is rebuilt instead of trusted.',
    ),
  onLogGone: oneOf(['refuse', 'accept-gap'])
    .prefault('refuse')
    .describe(
      'When retention deleted records that were not read yet: stop, or go on with flagged predictions.',
    ),
  onPartitionsAdded: oneOf(['refuse', 'accept'])
    .prefault('refuse')
    .describe(
      'When partitions were added to the scored topic and features without merge lose sight of keys that moved: stop, or go on with flagged predictions.',
    ),
  onForeignOffset: oneOf(['rebuild', 'refuse'])
    .prefault('rebuild')
    .describe(
      'When the committed position was not written by this service: rebuild state from there, or stop.',
    ),
})

const expressionOptions = object({
  onError: oneOf(['missing', 'dead-letter'])
    .prefault('missing')
    .describe(
      'When an expression is in error (not when a field is only missing): go on as if its result were missing, with a flagged prediction, or make the event a dead letter.',
    ),
})

const limitOptions = object({
  ...decodeLimits,
  ...featureLimits,
  rowsPerTransactionMax: integer({ min: 1, max: 100_000 })
    .prefault(1000)
    .describe('Records of one transaction at most.'),
  queuedRowsMax: integer({ min: 1, max: 1_000_000 })
    .prefault(8192)
    .describe('Rows waiting to be scored, per process; beyond it partitions pause.'),
  deadLetterShareMax: object({
    share: number({ min: 0, max: 1 }).prefault(0.2).describe('Share, 0 to 1.'),
    of: integer({ min: 1, max: 1_000_000 }).prefault(1000).describe('Records it is taken over.'),
  })
    .prefault({})
    .describe('Share of dead letters among the last records beyond which a partition stops with an error.'),
  startWait: duration({ max: 86_400_000 })
    .prefault('60s')
    .describe(
      'How long to wait for Kafka, Redis and the registry at start; then the process exits with code 4.',
    ),
  drain: duration({ min: 100, max: 3_600_000 })
    .prefault('20s')
    .describe('Time to finish what is open when asked to stop.'),
  stall: duration({ min: 1000, max: 3_600_000 })
    .prefault('60s')
    .describe(
      'A process in which nothing moves for so long (an endless computation) is ended, with a line that names the record under work.',
    ),
})

const name = text({
  pattern: /^[A-Za-z0-9][\w.-]{0,99}$/,
  expected: 'a name (letters, digits, . _ -, at most 100)',
})

/** Required sections; the others have defaults. */
export const topologyShape = {
  version: integer({ min: 1, max: 1 }).describe('Version of this format: 1.'),
  name: name.describe('Name of the topology: consumer group, prefix of transactional ids and of Redis keys.'),
  kafka: kafkaOptions.describe('How to reach Kafka.'),
  registry: object({
    url: text({ pattern: /^$|^https?:\/\/\S+$/, expected: 'an http:// or https:// address' })
      .prefault('')
      .describe('Address of a schema registry (Confluent API). Needed only where a codec says avro.'),
  })
    .prefault({})
    .describe('The schema registry.'),
  sources: entries(identifierPattern(false), 'a name (letters, digits, _)', sourceOptions).describe(
    'Topics to read; exactly one of them is scored.',
  ),
  entities: entityEntries.prefault({}),
  values: valueEntries.prefault({}),
  features: featureEntries.prefault({}),
  model: modelOptions.describe('The model, what it takes and where the score is.'),
  expressions: expressionOptions.prefault({}).describe('How expressions run.'),
  batch: batchOptions.prefault({}).describe('How rows are batched.'),
  decide: decideOptions.prefault({}).describe('What a score means.'),
  sinks: sinkOptions.describe('Topics to write.'),
  store: storeOptions.prefault({}).describe('Where feature state is kept.'),
  limits: limitOptions.prefault({}).describe('A maximum for everything.'),
}

export type SectionName = keyof typeof topologyShape

export const topologyOptions = object(topologyShape)

export type TopologyOptions = z.output<typeof topologyOptions>
