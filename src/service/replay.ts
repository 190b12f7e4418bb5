import { randomUUID } from 'node:crypto'
import type { SourcePlan } from '../decode/plan.ts'
import { openKafkaClient } from '../kafka/client.ts'
import { waitForBroker } from '../kafka/wait-for-broker.ts'
import type { Lack, Sight } from '../pipeline/lacking.ts'
import { replayFeatures, type ReplayLog } from '../pipeline/replay-features.ts'
import { refuseFuture } from '../pipeline/time-bounds.ts'
import { isReject } from '../record/event.ts'
import type { PredictionFlag } from '../record/prediction.ts'
import type { RawRecord } from '../record/raw-record.ts'
import { openKafkaSource } from '../source/kafka-source.ts'
import type { InputStream } from '../source/source.ts'
import type { Log } from '../telemetry/log.ts'
import type { Clock } from '../time/clock.ts'
import type { Plan } from '../topology/plan.ts'
import { openDecoders } from './codecs.ts'
import { labelIn, labelSourceOf, type Label, type LabelCounts, type LabelField } from './label-field.ts'

export interface ReplayOptions {
  readonly plan: Plan
  readonly clock: Clock
  readonly log: Log
  /** Field of a state source joined by id; null: no labels. */
  readonly labels: LabelField | null
  /** Labels published at or after this time (epoch ms) do not count. */
  readonly asOf: number
  /** Rows tell what predictions of them lack. */
  readonly tellsLacks?: boolean
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
  readonly label: Label | null
  /** What a prediction of it had to have read of other partitions and had not; asked before the next row comes. */
  lacks(sight: Sight): readonly Lack[]
}

export interface ReplaySummary {
  readonly scored: number
  /** Records that are dead letters. */
  readonly rejected: number
  /** Null: none were asked for. */
  readonly labels: LabelCounts | null
}

/** Reads all sources that features need, from the start to their ends of now; in which order: see `replayFeatures`. */
export async function readReplay(
  options: ReplayOptions,
  emit: (row: ReplayedRow) => Promise<void>,
  signal: AbortSignal,
): Promise<ReplaySummary> {
  const { plan, clock, log, labels, tellsLacks = false } = options
  await waitForBroker({ plan: plan.kafka, clock, log, startWaitMs: plan.limits.startWaitMs, signal })
  // Labels come days after what they label: they are read first, whole.
  const known = labels === null ? null : await readLabels(options, labels, signal)
  let scored = 0
  let rejected = 0
  const nowMs = clock.now()
  const opened = openDecoders(options)
  const decoders = new Map(
    plan.sources.flatMap(({ name, limits }) => {
      const decoder = opened.get(name)?.decoder
      return decoder === undefined ? [] : [[name, refuseFuture(decoder, nowMs + limits.futureMaxMs)] as const]
    }),
  )
  await withLogs(options, sourcesRead(plan), async (logs) => {
    for await (const result of replayFeatures({ plan, decoders, logs, tellsLacks }, signal)) {
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
        label: known?.byId.get(event.id)?.label ?? null,
        lacks: (sight) => result.lacks(sight),
      })
    }
  })
  return { scored, rejected, labels: known?.counts ?? null }
}

/** The scored source, and those that some feature reads. */
function sourcesRead(plan: Plan): readonly string[] {
  const names = plan.sources.map(({ name }) => name)
  return names.filter(
    (name) => name === plan.featuresSpec.scored || plan.features.layoutsFedBy(name).length > 0,
  )
}

interface KnownLabel {
  readonly label: Label
  readonly publishedAt: number
}

/** The label that was published last, by id. */
async function readLabels(
  options: ReplayOptions,
  field: LabelField,
  signal: AbortSignal,
): Promise<{ readonly byId: ReadonlyMap<string, KnownLabel>; readonly counts: LabelCounts }> {
  // It may be a source that is not served, and the label a field that is not read there.
  const source: SourcePlan = { ...labelSourceOf(options.plan, field), fieldsRead: null }
  const reading = { ...options, plan: { ...options.plan, sources: [source] } }
  const decoder = openDecoders(reading).get(source.name)?.decoder
  if (decoder === undefined) throw new Error(`no decoder for ${source.name}`)
  const byId = new Map<string, KnownLabel>()
  const counts = { records: 0, rejected: 0, later: 0, without: 0 }
  const take = (record: RawRecord): void => {
    const decoded = decoder.decode(record)
    if (isReject(decoded)) {
      counts.rejected++
      return
    }
    const { topic, partition, offset, timestamp: publishedAt } = record
    const label = labelIn(decoded.fields, field, `${topic}:${partition}@${offset}`)
    if (label === null) counts.without++
    else if (publishedAt >= (byId.get(decoded.id)?.publishedAt ?? -Infinity)) {
      byId.set(decoded.id, { label, publishedAt })
    }
  }
  await withLogs(reading, [source.name], async (logs) => {
    for (const each of logs) {
      for (let records = await each.read(signal); records.length > 0; records = await each.read(signal)) {
        const due = records.filter(({ timestamp }) => timestamp < options.asOf)
        counts.records += records.length
        counts.later += records.length - due.length
        await decoder.prepare(due, signal)
        for (const record of due) take(record)
      }
    }
  })
  const [sampleId = null] = byId.keys()
  return { byId, counts: { ...counts, ids: byId.size, sampleId } }
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
