import { randomUUID } from 'node:crypto'
import { MillraceError } from '../errors.ts'
import { openKafkaClient } from '../kafka/client.ts'
import { waitForBroker } from '../kafka/wait-for-broker.ts'
import { replayFeatures, type ReplayLog } from '../pipeline/replay-features.ts'
import { isReject } from '../record/event.ts'
import type { PredictionFlag } from '../record/prediction.ts'
import { openKafkaSource } from '../source/kafka-source.ts'
import type { InputStream } from '../source/source.ts'
import type { Log } from '../telemetry/log.ts'
import type { Clock } from '../time/clock.ts'
import type { Plan } from '../topology/plan.ts'
import { openDecoders } from './codecs.ts'

export interface ReplayOptions {
  readonly plan: Plan
  readonly clock: Clock
  readonly log: Log
  /** Field of a state source joined by id; null: no labels. */
  readonly labels: { readonly source: string; readonly field: string } | null
  /** Labels published at or after this time (epoch ms) do not count. */
  readonly asOf: number
}

export interface ReplayedRow {
  readonly id: string
  readonly key: string
  readonly time: number
  readonly partition: number
  readonly offset: number
  /** In the order of `plan.features.names`; NaN where missing. */
  readonly numbers: Float64Array
  readonly flags: readonly PredictionFlag[]
  readonly label: boolean | number | null
}

type Label = boolean | number

/** Reads all sources that features need, from the start to their ends of now; in which order: see `replayFeatures`. */
export async function readReplay(
  options: ReplayOptions,
  emit: (row: ReplayedRow) => Promise<void>,
  signal: AbortSignal,
): Promise<{ scored: number; rejected: number }> {
  const { plan, clock, log, labels } = options
  await waitForBroker({ plan: plan.kafka, clock, log, startWaitMs: plan.limits.startWaitMs, signal })
  // Labels come days after what they label: they are read first, whole.
  const known = labels === null ? null : await readLabels(options, labels, signal)
  let scored = 0
  let rejected = 0
  const opened = [...openDecoders(options)].map(([name, { decoder }]) => [name, decoder] as const)
  await withLogs(options, sourcesRead(plan), async (logs) => {
    for await (const result of replayFeatures({ plan, decoders: new Map(opened), logs }, signal)) {
      if ('rejected' in result) {
        rejected++
        continue
      }
      scored++
      const { event, row, flags } = result
      await emit({
        id: event.id,
        key: event.key,
        time: event.time,
        partition: event.raw.partition,
        offset: event.raw.offset,
        numbers: row.numbers,
        flags,
        label: known?.get(event.id) ?? null,
      })
    }
  })
  return { scored, rejected }
}

/** The scored source, and those that some feature reads. */
function sourcesRead(plan: Plan): readonly string[] {
  const names = plan.sources.map(({ name }) => name)
  return names.filter(
    (name) => name === plan.featuresSpec.scored || plan.features.layoutsFedBy(name).length > 0,
  )
}

async function readLabels(
  options: ReplayOptions,
  { source, field }: NonNullable<ReplayOptions['labels']>,
  signal: AbortSignal,
): Promise<ReadonlyMap<string, Label>> {
  const known = new Map<string, Label>()
  if (!options.plan.sources.some(({ name }) => name === source)) {
    throw new MillraceError('USAGE', `--labels: the topology has no source ${source}`)
  }
  const decoder = openDecoders(options).get(source)?.decoder
  if (decoder === undefined) throw new Error(`no decoder for ${source}`)
  await withLogs(options, [source], async (logs) => {
    for (const each of logs) {
      for (let records = await each.read(signal); records.length > 0; records = await each.read(signal)) {
        const due = records.filter(({ timestamp }) => timestamp < options.asOf)
        await decoder.prepare(due, signal)
        for (const record of due) {
          const decoded = decoder.decode(record)
          if (isReject(decoded)) continue
          const value = decoded.fields[field]
          if (typeof value === 'boolean' || typeof value === 'number') known.set(decoded.id, value)
        }
      }
    }
  })
  return known
}

/** All partitions of some sources, each read at its own pace. Commits nothing. */
async function withLogs(
  options: ReplayOptions,
  sources: readonly string[],
  use: (logs: readonly ReplayLog[]) => Promise<void>,
): Promise<void> {
  const { plan, clock, log } = options
  const kafka = { ...plan.kafka, group: `${plan.kafka.group}.replay.${randomUUID()}` }
  const client = openKafkaClient({ plan: kafka, clock, log })
  const joined = Promise.withResolvers<readonly InputStream[]>()
  const topics = plan.sources
    .filter(({ name }) => sources.includes(name))
    .map(({ name, topic }) => ({ source: name, topic }))
  const source = openKafkaSource({ client, plan: kafka, topics, clock, log })
  try {
    await client.admin.describeTopics(topics.map(({ topic }) => topic))
    await source.start({
      assigned: joined.resolve,
      revoking: () => Promise.resolve(),
      crashed: joined.reject,
    })
    const streams = await joined.promise
    await use(await Promise.all(streams.map((stream) => logOf(stream))))
  } finally {
    await source.stop()
    await client.close()
  }
}

const rowsMax = 2_000

async function logOf(stream: InputStream): Promise<ReplayLog> {
  const { start, end } = await stream.logRange()
  stream.seek(start)
  return {
    input: stream.input,
    async read(signal) {
      while (stream.position < end) {
        const { records } = await stream.take(rowsMax, signal)
        const due = records.filter(({ offset }) => offset < end)
        if (due.length > 0) return due
      }
      return []
    },
    rewind: () => stream.seek(start),
  }
}
